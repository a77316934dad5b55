"""A ProcessMesh becomes pods that have joined each other."""
from mesh import Mesh
from conftest import NAMESPACE


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
