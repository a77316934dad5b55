"""Processes that the pods' own app hosts, here a Python script: they are called, they move, and their app may be killed."""
import functools
import http.client
import os
import signal
import time
import urllib.request

import pytest

from clusters import PYTHON_IMAGE, ROOT
from conftest import NAMESPACE
from load import Load
from mesh import class_document
from sdk import Refused
from waiting import eventually

KEYS = 12


def app_template():
    return {"spec": {
        "containers": [{
            "name": "app", "image": PYTHON_IMAGE, "command": ["python3", "/app/basket_app.py"],
            "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "volumeMounts": [{"name": "app", "mountPath": "/app"}]}],
        "volumes": [{"name": "app", "configMap": {"name": "basket-app"}}]}}


@pytest.fixture
def baskets(cluster, own_mesh):
    if not cluster.can_see_processes:
        pytest.skip(f"the {cluster.name} cluster's containers are out of reach: their app cannot be killed")
    script = (ROOT / "e2e/basket_app.py").read_text()
    cluster.apply([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "basket-app"}, "data": {"basket_app.py": script}},
                   class_document("basket", "baskets", behaviour={"app": {"handlerTimeout": "3s", "waitForApp": "20s"}})], NAMESPACE)
    mesh = own_mesh("baskets", template=app_template())
    for pod in mesh.wait_meshed(3):
        eventually(lambda: metric(pod, "orrery_app_registrations") == 1, 20, f"the app of {pod['metadata']['name']} has registered")
    yield mesh
    cluster.kubectl("-n", NAMESPACE, "delete", "processclass/basket", "configmap/basket-app", "--ignore-not-found")


def metric(pod, name):
    with urllib.request.urlopen(f"http://{pod['status']['podIP']}:3602/metrics", timeout=5) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
    return None


class Adders(Load):
    """One for each key, that adds 1 through any pod; what was answered, and what may have been executed."""

    def __init__(self, mesh):
        self.sidecars = [mesh.sidecar(pod) for pod in mesh.pods()]
        self.sure, self.unknown, self.refused = [0] * KEYS, [0] * KEYS, [0] * KEYS
        super().__init__([functools.partial(self.add, key) for key in range(KEYS)])

    def add(self, key):
        number = 0
        while not self.over.is_set():
            number += 1
            try:
                self.sidecars[(key + number) % len(self.sidecars)].call(f"basket/k{key}", "add", 1, timeout=30)
                self.sure[key] += 1
            except Refused as refused:
                (self.refused if refused.problem["effect"] == "not_executed" else self.unknown)[key] += 1
            except ConnectionRefusedError:  # a sidecar that has gone was asked nothing
                self.refused[key] += 1
            except (OSError, http.client.HTTPException):  # it went while it was asked
                self.unknown[key] += 1


def test_an_apps_processes_are_the_same_from_every_pod(baskets):
    pods = baskets.pods()
    sidecars = [baskets.sidecar(pod) for pod in pods]
    names = [f"basket/k{key}" for key in range(KEYS)] + [baskets.owned_by(pod, pods[0], "basket", "at") for pod in pods]  # some on each
    for number, sidecar in enumerate(sidecars):
        for name in names:
            assert sidecar.call(name, "add", 2) == 2 * (number + 1)
    with pytest.raises(Refused) as crashed:
        sidecars[0].call("basket/k0", "boom")
    assert crashed.value.code == "process_exited" and "KeyError" in crashed.value.problem["detail"]
    assert sidecars[1].call("basket/k0", "total") == 0
    assert sidecars[1].call("basket/k1", "total") == 6
    with pytest.raises(Refused) as slow:
        sidecars[0].call("basket/k1", "slow", 30, timeout=20)
    assert (slow.value.code, slow.value.problem["effect"]) == ("limit_exceeded", "unknown")


def test_a_killed_app_comes_back_and_every_call_was_answered_truly(cluster, baskets):
    """A process whose work was with the app starts afresh, and every other keeps its state: no more is gone than was in hand."""
    victim = baskets.pods()[0]
    theirs = [key for key in range(KEYS) if baskets.sidecar(victim).owner(f"basket/k{key}") == victim["metadata"]["name"]]
    with Adders(baskets) as load:
        eventually(lambda: sum(load.sure) > 200, 30, "the load runs")
        [pid] = cluster.pids("python3", victim)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: cluster.pids("python3", victim) not in ([], [pid]), 30, "the kubelet has started the app again")
        eventually(lambda: metric(victim, "orrery_app_registrations") == 1, 30, "it has registered again")
        before = sum(load.sure)
        eventually(lambda: sum(load.sure) > before + 200, 30, "the load goes on")
    sidecar = baskets.sidecar(baskets.pods()[1])
    for key in range(KEYS):
        total = sidecar.call(f"basket/k{key}", "total")
        assert total <= load.sure[key] + load.unknown[key], f"k{key}: executed more often than answered"
        if load.unknown[key] == 0:
            assert total == load.sure[key], f"k{key}: {total} of {load.sure[key]}"
        assert key in theirs or load.unknown[key] == 0, f"k{key} was not the dead app's"
    assert sum(load.unknown) <= len(theirs), "only what was in hand is not known"


def test_while_a_pods_app_is_away_its_processes_answer_elsewhere_and_no_call_is_refused(cluster, baskets):
    """Its sidecar is well all the time. Within waitForApp nothing moves; then all do, under load, and nothing is lost; when the app is back, they are."""
    victim, other = baskets.pods()[:2]
    ill, well = victim["metadata"]["name"], baskets.sidecar(other)
    cluster.apply([class_document("basket", "baskets", behaviour={"app": {"handlerTimeout": "3s", "waitForApp": "4s"}})], NAMESPACE)
    for pod in baskets.pods():
        eventually(lambda: baskets.sidecar(pod).classes()["basket"]["version"] == 2, 90, "the class has a shorter waitForApp")
    theirs = [f"basket/k{key}" for key in range(KEYS) if well.owner(f"basket/k{key}") == ill]
    assert theirs, "some of the names belong there"
    [app] = cluster.pids("python3", victim)
    with Adders(baskets) as load:
        eventually(lambda: sum(load.sure) > 200, 30, "the load runs")
        os.kill(app, signal.SIGUSR1)
        gone = time.monotonic()
        eventually(lambda: metric(victim, "orrery_app_registrations") == 0, 5, "the app is away")
        assert {well.owner(name) for name in theirs} == {ill} or time.monotonic() > gone + 3, "a restart would move nothing"
        eventually(lambda: ill not in {well.owner(name) for name in theirs}, 15, "its processes have gone where an app is")
        assert metric(victim, "orrery_classes_unhosted") == 1
        before = sum(load.sure)
        eventually(lambda: sum(load.sure) > before + 200, 30, "all are answered")
        os.kill(app, signal.SIGUSR2)
        eventually(lambda: {well.owner(name) for name in theirs} == {ill}, 15, "they are back with their app")
        before = sum(load.sure)
        eventually(lambda: sum(load.sure) > before + 200, 30, "the load goes on")
    assert (sum(load.refused), sum(load.unknown)) == (0, 0)
    for key in range(KEYS):
        assert well.call(f"basket/k{key}", "total") == load.sure[key], f"k{key}"


def test_a_planned_move_keeps_state_under_load(baskets):
    with Adders(baskets) as load:
        eventually(lambda: sum(load.sure) > 200, 30, "the load runs")
        leaving = set(p["metadata"]["name"] for p in baskets.pods())
        baskets.scale(2)
        baskets.wait_whole(2, within=60)
        leaving -= {p["metadata"]["name"] for p in baskets.pods()}
        load.sidecars = [baskets.sidecar(pod) for pod in baskets.pods()]
        before = sum(load.sure)
        eventually(lambda: sum(load.sure) > before + 100, 30, "the load goes on")
    sidecar = baskets.sidecar(baskets.pods()[0])
    for key in range(KEYS):
        total = sidecar.call(f"basket/k{key}", "total")
        assert load.sure[key] <= total <= load.sure[key] + load.unknown[key], f"k{key}"
    assert len(leaving) == 1
