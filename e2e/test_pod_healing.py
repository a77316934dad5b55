"""A pod that goes is replaced; its processes answer from other pods meanwhile."""
import time

from waiting import eventually

ANSWERED_AGAIN_SECONDS_MAX = 2.0


def seconds_without_answer(sidecar, name, gone, within=20):
    """Polls a name until it answers after gone() first turned true; returns how long after that it took."""
    since = None
    deadline = time.monotonic() + within + 60
    while time.monotonic() < deadline:
        if since is None and gone():
            since = time.monotonic()
        if since is not None:
            try:
                sidecar.call(name, "get", timeout=1)
                return time.monotonic() - since
            except Exception:
                assert time.monotonic() - since < within, f"{name} does not answer {within} s after its pod is gone"
        time.sleep(0.02)
    raise AssertionError("the pod never went")


def pod_gone(mesh, pod):
    def gone():
        found = mesh.cluster.kubectl("-n", mesh.namespace, "get", "pod", pod["metadata"]["name"], "-o", "name", check=False)
        return found.returncode != 0
    return gone


def test_a_deleted_pod_is_replaced_and_its_processes_answer_elsewhere(mesh):
    victim, survivor, _ = mesh.pods()
    name = mesh.owned_by(victim, survivor)
    sidecar = mesh.sidecar(survivor)
    sidecar.call(name, "set", 4)
    mesh.cluster.kubectl("-n", mesh.namespace, "delete", "pod", victim["metadata"]["name"], "--wait=false")
    took = seconds_without_answer(sidecar, name, pod_gone(mesh, victim))
    print(f"answering {took:.2f} s after the pod is gone")
    assert took <= ANSWERED_AGAIN_SECONDS_MAX
    assert sidecar.call(name, "get") == 4, "a pod that may drain hands its processes over with their state"
    pods = mesh.wait_meshed(3, within=60)
    assert victim["metadata"]["name"] not in [p["metadata"]["name"] for p in pods]


def test_a_pod_that_dies_at_once_is_replaced(mesh):
    victim, survivor, _ = mesh.pods()
    name = mesh.owned_by(victim, survivor)
    sidecar = mesh.sidecar(survivor)
    sidecar.call(name, "set", 4)
    mesh.cluster.kubectl("-n", mesh.namespace, "delete", "pod", victim["metadata"]["name"], "--grace-period=0", "--force", "--wait=false")
    took = seconds_without_answer(sidecar, name, pod_gone(mesh, victim))
    print(f"answering {took:.2f} s after the pod is gone")
    assert took <= ANSWERED_AGAIN_SECONDS_MAX + 2.0, "a silent node is down after 2 s, and then its processes start"
    mesh.wait_meshed(3, within=60)


def test_what_belonged_to_the_pod_goes_with_it(mesh):
    victim = mesh.pods()[0]["metadata"]["name"]
    mesh.cluster.kubectl("-n", mesh.namespace, "delete", "pod", victim, "--wait=false")
    mesh.wait_meshed(3, within=60)
    eventually(lambda: f"{victim}-tls" not in [s["metadata"]["name"] for s in mesh.everything("secrets")], 30, "its certificate is gone")


def test_the_mesh_says_what_it_did(mesh):
    reasons = {e["reason"] for e in mesh.cluster.items("events", mesh.namespace) if e["involvedObject"].get("name", "").startswith(mesh.name)}
    assert {"MeshReady", "MemberJoined"} <= reasons, reasons
    assert mesh.status()["lastReplacement"]["reason"]
