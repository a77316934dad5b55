"""A changed template replaces pods one at a time, and carries state along."""
import threading
import time

from waiting import eventually


def test_one_at_a_time_with_calls_answering(mesh):
    before = {p["metadata"]["name"] for p in mesh.pods()}
    first = mesh.sidecar(mesh.pods()[0])
    names = [f"counter/rolled{n}" for n in range(12)]
    for number, name in enumerate(names):
        first.call(name, "set", number)

    samples, stop = [], threading.Event()

    def watch():
        while not stop.is_set():
            try:
                pods = mesh.pods()
                samples.append((len(pods), sum(1 for p in pods if ready(p))))
            except AssertionError:
                pass
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        mesh.patch({"template": {"metadata": {"annotations": {"test/rolled": str(time.time())}}}})
        eventually(lambda: not before & {p["metadata"]["name"] for p in mesh.pods()} and mesh.whole(3), 150, "all three pods are new")
    finally:
        stop.set()
        watcher.join()

    assert min(count for _, count in samples) >= 2, f"more than one was away at a time: {samples}"
    assert max(count for count, _ in samples) <= 4, f"more pods than one extra: {samples}"
    assert mesh.status()["updatedReplicas"] == 3
    mesh.wait_meshed(3)
    sidecar = mesh.sidecar(mesh.pods()[0])
    assert {name: sidecar.call(name, "get") for name in names} == {name: n for n, name in enumerate(names)}


def ready(pod):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
