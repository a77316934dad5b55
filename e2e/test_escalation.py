"""A class whose supervisor gives up with `escalate: Pod` gets the pod replaced, and everybody who looks is told why."""
import contextlib
import re

from conftest import NAMESPACE
from mesh import class_document
from waiting import eventually

WHY = "supervisor root/fragile gave up"


def escalate(mesh, to):
    """Crashes a process until its supervisor gives up. Returns the pod that it ran in."""
    name = "fragile"
    mesh.cluster.apply(class_document(name, mesh.name, behaviour={"builtin": "counter"},
                                      supervision={"intensity": 2, "period": "1m", "escalate": to}), NAMESPACE)
    eventually(lambda: all(name in mesh.sidecar(pod).classes() for pod in mesh.pods()), 20, f"class {name} is known to every node")
    victim, other = mesh.pods()[:2]
    process = mesh.owned_by(victim, other, name)
    sidecar = mesh.sidecar(other)
    sidecar.call(process, "add", 1)
    for _ in range(3):
        with contextlib.suppress(Exception):  # the last one takes the node along
            sidecar.kill(process, "e2e breaks it")
    return victim


def crash_below(mesh, process_class, parent):
    """Crashes a process of a class that allows no restart. Returns the pod that it ran in."""
    victim, other = mesh.pods()[:2]
    process = mesh.owned_by(victim, other, process_class)
    mesh.sidecar(other).call(process, "add", 1)
    assert mesh.sidecar(victim).supervisor(process_class)["path"] == f"root/{parent}/{process_class}"
    with contextlib.suppress(Exception):  # it takes the node along
        mesh.sidecar(other).kill(process, "e2e breaks it")
    return victim


def sidecar_status(pod):
    statuses = pod["status"].get("containerStatuses", []) + pod["status"].get("initContainerStatuses", [])
    return next(c for c in statuses if c["name"] == "orrery")


def terminated(pod):
    status = sidecar_status(pod)
    return status["state"].get("terminated") or status["lastState"].get("terminated")


def test_to_the_pod_it_is_replaced_and_the_mesh_says_why(own_mesh, cluster):
    mesh = own_mesh("escalating", replicas=2)
    victim = escalate(mesh, "Pod")
    name = victim["metadata"]["name"]

    eventually(lambda: name not in [p["metadata"]["name"] for p in mesh.pods(terminating=True)] and mesh.whole(2), 90, "another pod has joined in its place")

    status = mesh.status()
    assert status["lastReplacement"]["pod"] == name
    assert "a supervisor escalated to the pod" in status["lastReplacement"]["reason"] and WHY in status["lastReplacement"]["reason"]
    told = eventually(lambda: [e for e in cluster.items("events", NAMESPACE)
                               if e["involvedObject"]["name"] == mesh.name and e["reason"] == "ProcessEscalated"], 10, "the mesh's event")
    assert [e["type"] for e in told] == ["Warning"] and name in told[0]["message"] and WHY in told[0]["message"], told
    described = cluster.kubectl("-n", NAMESPACE, "describe", "pmesh", mesh.name).stdout
    assert re.search(rf"ProcessEscalated .*{name}.*{WHY}", described), described

    survivors = [p["metadata"]["uid"] for p in mesh.pods()]
    mesh.wait_meshed(2)
    assert mesh.sidecar(mesh.pods()[0]).call("fragile/again", "add", 1) == 1, "the class goes on with a clean record"
    assert [p["metadata"]["uid"] for p in mesh.pods()] == survivors, "one replacement was enough"
    cluster.kubectl("-n", NAMESPACE, "delete", "processclass", "fragile")


def test_to_the_node_its_container_restarts_in_the_same_pod_and_kubectl_describe_shows_why(own_mesh, cluster):
    mesh = own_mesh("restarting", replicas=2)
    victim = escalate(mesh, "Node")
    name = victim["metadata"]["name"]
    eventually(lambda: sidecar_status(mesh.pod(name))["restartCount"] == 1 and mesh.whole(2), 60, "the sidecar is back")
    assert victim["metadata"]["uid"] in [p["metadata"]["uid"] for p in mesh.pods()], "the pod was not replaced for it"
    ended = terminated(mesh.pod(name))
    assert ended["exitCode"] == 70 and WHY in ended["message"], ended
    described = cluster.kubectl("-n", NAMESPACE, "describe", "pod", name).stdout
    assert re.search(rf"Message: +.*{WHY}", described), described
    cluster.kubectl("-n", NAMESPACE, "delete", "processclass", "fragile")


def test_through_a_parent_the_story_names_every_supervisor_on_the_way(own_mesh, cluster):
    mesh = own_mesh("climbing", replicas=2)
    for name, supervision in (("shop", {"intensity": 0, "escalate": "Pod"}), ("basket", {"intensity": 0, "parent": "shop"})):
        cluster.apply(class_document(name, mesh.name, behaviour={"builtin": "counter"}, supervision=supervision), NAMESPACE)
    eventually(lambda: all({"shop", "basket"} <= set(mesh.sidecar(pod).classes()) for pod in mesh.pods()), 20, "both classes are known to every node")
    name = crash_below(mesh, "basket", "shop")["metadata"]["name"]

    eventually(lambda: name not in [p["metadata"]["name"] for p in mesh.pods(terminating=True)] and mesh.whole(2), 90, "another pod has joined in its place")

    told = eventually(lambda: [e["message"] for e in cluster.items("events", NAMESPACE)
                               if e["involvedObject"]["name"] == mesh.name and e["reason"] == "ProcessEscalated"], 10, "the mesh's event")
    # Which pod was replaced, which class asked for it, and why, down to the process.
    assert re.search(rf"pod {name}: .*class shop: supervisor root/shop gave up: .*supervisor root/shop/basket gave up: "
                     r".*basket/\w+, killed: e2e breaks it", told[0]), told
    of_class = [e["message"] for e in cluster.items("events", NAMESPACE)
                if e["involvedObject"]["kind"] == "ProcessClass" and e["involvedObject"]["name"] == "shop" and e["reason"] == "ProcessEscalated"]
    assert any(f"pod {name} of mesh {mesh.name} is replaced" in message for message in of_class), of_class
    successor = next(p["metadata"]["name"] for p in mesh.pods() if p["metadata"]["name"] != name)
    created = [e["message"] for e in cluster.items("events", NAMESPACE)
               if e["involvedObject"]["name"] == mesh.name and e["reason"] == "PodCreated" and "in place of" in e["message"]]
    assert any(name in message for message in created), (created, successor)
    for each in ("basket", "shop"):
        cluster.kubectl("-n", NAMESPACE, "delete", "processclass", each)
