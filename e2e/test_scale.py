"""kubectl scale, up and down, with no state lost on the way."""
from mesh import OBJECT_GONE_WITHIN, runs
from waiting import eventually

NAMES = [f"counter/scaled{n}" for n in range(24)]


def read(mesh):
    sidecar = mesh.sidecar(mesh.pods()[0])
    return {name: sidecar.call(name, "get") for name in NAMES}


def test_up_to_six_and_down_to_two_keeping_state(mesh):
    sidecar = mesh.sidecar(mesh.pods()[0])
    for number, name in enumerate(NAMES):
        sidecar.call(name, "set", number)
    expected = {name: number for number, name in enumerate(NAMES)}

    mesh.scale(6)
    mesh.wait_meshed(6, within=60)
    assert read(mesh) == expected
    owners = {mesh.sidecar(mesh.pods()[0]).owner(name) for name in NAMES}
    assert len(owners) >= 4, "new nodes take their share"

    mesh.scale(2)
    mesh.wait_meshed(2, within=90)
    assert read(mesh) == expected
    eventually(lambda: not [pod for pod in mesh.pods(terminating=True) if runs(pod) and pod["metadata"].get("deletionTimestamp")], 40, "the programs of the other pods have ended")
    eventually(lambda: len(mesh.pods(terminating=True)) == 2, OBJECT_GONE_WITHIN, "the other pods are gone")

    status = mesh.status()
    assert status["joined"] == "2/2" and status["phase"] == "Ready"


def test_a_mesh_of_one(own_mesh):
    mesh = own_mesh("single", replicas=1)
    sidecar = mesh.sidecar(mesh.pods()[0])
    assert sidecar.call("single-counter/x", "add", 1) == 1
