"""The operator dies at any moment, again and again; the mesh converges all the same."""
import contextlib
import random
import subprocess
import threading
import time

import pytest

from clusters import ROOT, SYSTEM, operator_ready, remove_operator
from waiting import eventually

KILLS = 20
SEED = 20


class HandOperator:
    """An operator that the test starts and kills as it likes, on this machine, in place of the one in the cluster."""

    def __init__(self, cluster):
        self.command = [cluster.programs / "orrery-operator", "--kubeconfig", cluster.kubeconfig, "--no-leader-election", "--metrics-address", "off"]
        self.log = open(ROOT / "build/e2e/hand-operator.log", "wb")
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def hand_operator(cluster):
    (ROOT / "build/e2e").mkdir(parents=True, exist_ok=True)
    one = HandOperator(cluster)
    yield one
    one.kill()
    cluster.kubectl("-n", SYSTEM, "scale", "deployment", "orrery-operator", "--replicas=1")
    eventually(lambda: operator_ready(cluster), 60, "the operator in the cluster is back")


def test_killed_twenty_times_during_scaling_and_replacement(own_mesh, cluster, hand_operator):
    mesh = own_mesh("chaos")
    remove_operator(cluster)
    hand_operator.start()
    chance = random.Random(SEED)
    watch = Watch(mesh, most=3)
    with watch:
        for kill in range(KILLS):
            wanted = chance.choice([2, 3, 4, 5])
            watch.most = max(watch.most, wanted)
            mesh.scale(wanted)
            pods = mesh.pods()
            if kill % 4 == 3 and pods:
                cluster.kubectl("-n", mesh.namespace, "delete", "pod", chance.choice(pods)["metadata"]["name"], "--wait=false", check=False)
            time.sleep(chance.uniform(0.0, 2.5))  # the moment of death is the test's input
            hand_operator.kill()
            hand_operator.start()
        mesh.scale(3)
        mesh.wait_whole(3, within=120)
    assert watch.problems == []
    assert watch.seen >= {2, 3, 4}, f"the operator did something between its deaths: {watch.seen}"
    mesh.wait_meshed(3)


class Watch:
    """Looks on from outside: never two pods too many, never a running pod without its certificate."""

    def __init__(self, mesh, most):
        self.mesh, self.most = mesh, most
        self.problems, self.seen, self.done = [], set(), threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def run(self):
        while not self.done.wait(0.2):
            with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
                pods = self.mesh.pods()
                self.seen.add(len(pods))
                if len(pods) > self.most + 1:
                    self.problems.append(f"{len(pods)} pods while at most {self.most} are wanted")
                running = {p["metadata"]["name"] for p in pods if any(c.get("started") for c in p["status"].get("containerStatuses", []))}
                secrets = {s["metadata"]["name"].removesuffix("-tls") for s in self.mesh.everything("secrets")}
                if running - secrets:
                    still = {p["metadata"]["name"] for p in self.mesh.pods()}
                    self.problems += [f"pod {name} runs without a certificate" for name in (running - secrets) & still]


def test_another_operator_takes_over(own_mesh, cluster):
    mesh = own_mesh("orphan", replicas=1)
    cluster.kill_operator()
    mesh.scale(2)
    mesh.wait_whole(2, within=60)
