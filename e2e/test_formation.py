"""A ProcessMesh becomes pods that have joined each other."""
from conftest import NAMESPACE
from mesh import Mesh, class_document
from waiting import eventually


def test_three_pods_join_within_thirty_seconds(own_mesh):
    mesh = own_mesh("forming", within=30)
    print(f"3/3 after {mesh.formation_seconds:.1f} s")
    line = mesh.cluster.kubectl("-n", NAMESPACE, "get", "pmesh", "forming").stdout.splitlines()[1]
    assert "3/3" in line and "Ready" in line, line


def test_every_node_is_connected_to_every_other(mesh: Mesh):
    pods = mesh.wait_meshed(3)
    names = [p["metadata"]["name"] for p in pods]
    for pod in pods:
        assert mesh.sidecar(pod).up() == names


def test_applying_classes_before_their_mesh_warns_of_nothing(cluster, own_mesh):
    own_mesh("quiet", replicas=1)  # its class comes first

    def told():
        return [(e["type"], e["reason"]) for e in cluster.items("events", NAMESPACE)
                if e["involvedObject"]["kind"] in ("ProcessMesh", "ProcessClass") and e["involvedObject"]["name"].startswith("quiet")]
    eventually(lambda: ("Normal", "Accepted") in told() and ("Normal", "MeshReady") in told(), 20, "the events have arrived")
    assert [e for e in told() if e[0] != "Normal"] == []


def test_a_class_that_nobody_makes_a_mesh_for_says_so_at_once_and_warns_later(cluster):
    cluster.apply(class_document("orphan", "nowhere", behaviour={"builtin": "counter"}), NAMESPACE)

    def accepted():
        return cluster.json("-n", NAMESPACE, "get", "processclass", "orphan")["status"]["conditions"][0]
    condition = eventually(accepted, 8, "the class has a condition")
    assert condition["status"] == "False" and "no ProcessMesh nowhere" in condition["message"], condition
    warned = eventually(lambda: [e for e in cluster.items("events", NAMESPACE) if e["involvedObject"]["name"] == "orphan"], 30, "somebody is warned")
    assert [(e["type"], e["reason"]) for e in warned] == [("Warning", "MeshNotFound")]
    cluster.kubectl("-n", NAMESPACE, "delete", "processclass", "orphan")


def test_the_status_tells_the_truth(mesh):
    status = mesh.status()
    assert (status["replicas"], status["readyReplicas"], status["updatedReplicas"], status["joined"]) == (3, 3, 3, "3/3")
    assert status["phase"] == "Ready"
    assert mesh.condition("Ready")["status"] == "True"
    assert status["observedGeneration"] == mesh.get()["metadata"]["generation"]


def test_everything_it_makes_is_labelled_and_owned(mesh):
    made = mesh.everything()
    kinds = {item["kind"] for item in made}
    assert kinds >= {"Pod", "Secret", "ConfigMap", "Service", "ServiceAccount", "Role", "RoleBinding", "PodDisruptionBudget"}, kinds
    for item in made:
        labels = item["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == mesh.name and labels["app.kubernetes.io/managed-by"] == "orrery-operator", item["metadata"]
        owners = item["metadata"].get("ownerReferences", [])
        assert any(o["kind"] in ("ProcessMesh", "Pod") for o in owners), item["metadata"]


def test_a_sidecar_may_read_pods_and_nothing_else(mesh):
    roles = mesh.everything("roles")
    assert roles
    for rule in [r for role in roles for r in role["rules"]]:
        assert rule["resources"] == ["pods"] and set(rule["verbs"]) <= {"get", "list", "watch"}, rule


def test_a_certificate_for_every_pod(mesh):
    secrets = {s["metadata"]["name"] for s in mesh.everything("secrets")}
    assert {f"{p['metadata']['name']}-tls" for p in mesh.pods()} <= secrets
