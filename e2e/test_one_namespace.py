"""The operator for one namespace, as manifests/overlays/namespaced installs it: with Roles only, it serves its own namespace and no other."""
import pytest

from clusters import OPERATOR, ROOT, SYSTEM, operator_ready, remove_operator
from conftest import NAMESPACE
from mesh import Mesh, class_document, document
from waiting import always, eventually

OVERLAY = ROOT / "manifests/overlays/namespaced"
HOME = "default"  # what the overlay says
OURS = "serviceaccounts,roles,rolebindings,deployments,pods,leases,secrets,configmaps,services,poddisruptionbudgets,processmeshes,processclasses"


def of_orrery(cluster):
    """Names of what is there with a label or a name of Orrery's. Tokens of service accounts go with those, a moment later."""
    return sorted(f"{i['kind']}/{i['metadata']['name']}" for i in cluster.items(OURS, HOME)
                  if "orrery" in i["metadata"]["name"] or i["metadata"]["name"].startswith("alone")
                  or i["metadata"].get("labels", {}).get("app.kubernetes.io/name") == "orrery")


@pytest.fixture
def in_one_namespace(cluster):
    """The overlay's operator, in place of the one for the whole cluster."""
    remove_operator(cluster)
    cluster.kubectl("apply", "-k", OVERLAY)
    try:
        eventually(lambda: operator_ready(cluster, HOME), 60, "the operator for one namespace is ready")
        yield cluster
    finally:
        cluster.kubectl("-n", HOME, "delete", "processmesh,processclass", "--all", "--timeout=60s", timeout=70, check=False)
        cluster.kubectl("delete", "-k", OVERLAY, "--ignore-not-found", timeout=120, check=False)
        cluster.kubectl("-n", SYSTEM, "scale", "deployment", "orrery-operator", "--replicas=1")
        eventually(lambda: operator_ready(cluster), 60, "the operator for the whole cluster is back")


def test_it_serves_its_own_namespace_with_roles_only_and_leaves_nothing_behind(in_one_namespace):
    cluster = in_one_namespace
    account = f"system:serviceaccount:{HOME}:orrery-operator"
    bound = [b["metadata"]["name"] for b in cluster.json("get", "clusterrolebindings")["items"]
             if any(s["kind"] == "ServiceAccount" and f"system:serviceaccount:{s.get('namespace')}:{s['name']}" == account for s in b.get("subjects", []))]
    assert bound == [], "no right beyond its namespace"

    before = {e["metadata"]["uid"] for e in cluster.items("events", HOME)}  # of an earlier run on the same cluster
    cluster.apply([class_document("alone-counter", "alone", behaviour={"builtin": "counter"}), document("alone", 2)], HOME)
    cluster.apply(document("elsewhere", 1), NAMESPACE)
    mesh = Mesh(cluster, HOME, "alone")
    mesh.wait_meshed(2, within=60)
    one, other = (mesh.sidecar(pod) for pod in mesh.pods())
    one.call("alone-counter/x", "add", 5)
    assert other.call("alone-counter/x", "get") == 5

    victim = mesh.pods()[0]["metadata"]["name"]
    cluster.kubectl("-n", HOME, "delete", "pod", victim, "--wait=false")
    eventually(lambda: victim not in [p["metadata"]["name"] for p in mesh.pods()] and mesh.whole(2), 60, "it is replaced")
    mesh.scale(1)
    mesh.wait_whole(1, within=60)

    elsewhere = Mesh(cluster, NAMESPACE, "elsewhere")
    always(lambda: not elsewhere.status() and not elsewhere.everything(), 0.5, "another namespace's mesh is not its business")
    elsewhere.delete()
    warnings = [e["message"] for e in cluster.items("events", HOME) if e["metadata"]["uid"] not in before
                and e["involvedObject"]["kind"] in ("ProcessMesh", "ProcessClass") and e["type"] == "Warning"]
    assert warnings == []

    mesh.delete()
    mesh.wait_nothing_left()
    cluster.kubectl("-n", HOME, "delete", "processclass", "alone-counter")
    cluster.kubectl("delete", "-k", OVERLAY, timeout=120)
    cluster.kubectl("-n", HOME, "wait", "--for=delete", "pods", "-l", OPERATOR, "--timeout=120s", check=False, timeout=130)

    def nothing_left():
        left = of_orrery(cluster)
        assert left == []
        return True
    eventually(nothing_left, 60, "everything of the operator is gone")
