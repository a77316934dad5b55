"""The operator dies at any moment, again and again; the mesh converges all the same."""
import random
import threading
import time

from waiting import eventually

KILLS = 20
SEED = 20


def test_killed_twenty_times_during_scaling_and_replacement(own_mesh, cluster):
    mesh = own_mesh("chaos")
    chance = random.Random(SEED)
    most, problems, stop = [3], [], threading.Event()

    def watch():
        while not stop.is_set():
            try:
                pods = mesh.pods()
                if len(pods) > most[0] + 1:
                    problems.append(f"{len(pods)} pods while at most {most[0]} are wanted")
                secrets = {s["metadata"]["name"] for s in mesh.everything("secrets")}
                for pod in pods:
                    started = any(c.get("started") for c in pod["status"].get("containerStatuses", []))
                    if started and f"{pod['metadata']['name']}-tls" not in secrets and mesh_has(pod):
                        problems.append(f"pod {pod['metadata']['name']} runs without a certificate")
            except AssertionError:
                pass
            time.sleep(0.2)

    def mesh_has(pod):
        return pod["metadata"]["name"] in [p["metadata"]["name"] for p in mesh.pods()]

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for kill in range(KILLS):
            wanted = chance.choice([2, 3, 4, 5])
            most[0] = max(most[0], wanted)
            mesh.scale(wanted)
            if kill % 4 == 3:
                victim = chance.choice(mesh.pods())["metadata"]["name"]
                cluster.kubectl("-n", mesh.namespace, "delete", "pod", victim, "--wait=false", check=False)
            time.sleep(chance.uniform(0.0, 2.5))  # the moment of death is the test's input
            cluster.kill_operator()
        mesh.scale(3)
        mesh.wait_whole(3, within=120)
    finally:
        stop.set()
        watcher.join()
    assert problems == []
    mesh.wait_meshed(3)
    names = {p["metadata"]["name"] for p in mesh.pods()}

    def clean():
        return {s["metadata"]["name"].removesuffix("-tls") for s in mesh.everything("secrets") if s["metadata"]["name"].endswith("-tls")} == names
    eventually(clean, 60, "one certificate per pod, and no more")
