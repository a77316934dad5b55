"""What a ProcessClass says of supervision, as a user sees it: children without a call, budgets of their own, parents, limits."""
import re

import pytest

from conftest import NAMESPACE
from mesh import class_document
from sdk import Refused
from waiting import eventually

JOBS = """
local b = {call = {}}
function b.init(key, argument) return {key = key, argument = argument, count = 0} end
function b.call.add(state) state.count = state.count + 1 return state.count end
function b.call.argument(state) return state.argument end
return b
"""


@pytest.fixture
def define(mesh):
    """Applies a class and waits until every node has this version of it; deletes it after the test."""
    made = []

    def apply(name, **spec):
        mesh.cluster.apply(class_document(name, mesh.name, **spec), NAMESPACE)
        if name not in made:
            made.append(name)
        generation = mesh.cluster.json("-n", NAMESPACE, "get", "processclass", name)["metadata"]["generation"]
        eventually(lambda: all(mesh.sidecar(pod).classes().get(name, {}).get("version") == generation for pod in mesh.pods()), 20,
                   f"generation {generation} of class {name} is known to every node")
    yield apply
    for name in reversed(made):
        mesh.cluster.kubectl("-n", NAMESPACE, "delete", "processclass", name)


def where(mesh, process_class):
    """Key -> node, of the declared children that run."""
    found = {}
    for pod in mesh.pods():
        for child in mesh.sidecar(pod).supervisor(process_class)["declared"]:
            if child["state"] == "running":
                assert child["key"] not in found, f"{child['key']} runs twice"
                found[child["key"]] = pod["metadata"]["name"]
    return found


def test_declared_children_are_there_without_a_call_and_survive_their_pod(mesh, define):
    keys = [f"job{n}" for n in range(9)]
    define("jobs", behaviour={"lua": {"script": JOBS}}, children=[{"key": key, "argument": {"job": key}} for key in keys])
    before = eventually(lambda: (found := where(mesh, "jobs")) and len(found) == len(keys) and found, 10, "all children run")
    assert len(set(before.values())) > 1, "on the nodes that own them"
    sidecar = mesh.sidecar(mesh.pods()[0])
    assert sidecar.call("jobs/job3", "argument") == {"job": "job3"}

    lost = before["job3"]
    survivor = mesh.sidecar(next(p for p in mesh.pods() if p["metadata"]["name"] != lost))  # before there is a new one
    mesh.cluster.kubectl("-n", NAMESPACE, "delete", "pod", lost, "--grace-period=0", "--force")
    eventually(lambda: lost not in where(mesh, "jobs").values() and len(where(mesh, "jobs")) == len(keys), 60, "all run elsewhere")
    mesh.wait_meshed(3, within=90)
    eventually(lambda: len(where(mesh, "jobs")) == len(keys), 20, "all run with the new pod, too")
    assert survivor.call("jobs/job3", "argument") == {"job": "job3"}

    define("jobs", behaviour={"lua": {"script": JOBS}}, children=[{"key": "job3"}])
    eventually(lambda: list(where(mesh, "jobs")) == ["job3"], 10, "what is no longer declared is stopped")


def test_children_that_share_braces_share_a_node_and_restart_together(mesh, define):
    define("pipeline", behaviour={"lua": {"script": JOBS}}, supervision={"strategy": "RestForOne"},
           children=[{"key": f"{{ingest}}{part}"} for part in ("reader", "parser", "writer")])
    found = eventually(lambda: (found := where(mesh, "pipeline")) and len(found) == 3 and found, 10, "all children run")
    assert len(set(found.values())) == 1
    sidecar = mesh.sidecar(mesh.pods()[0])
    for part in ("reader", "parser", "writer"):
        sidecar.call(f"pipeline/{{ingest}}{part}", "add")
    sidecar.kill("pipeline/{ingest}parser")
    assert [sidecar.call(f"pipeline/{{ingest}}{part}", "add") for part in ("reader", "parser", "writer")] == [2, 1, 1]


def test_a_poison_process_is_given_up_alone_until_it_is_released(mesh, define):
    define("guarded", behaviour={"builtin": "counter"}, supervision={"intensity": 3, "period": "1m", "childIntensity": 1, "childCooldown": "10m"})
    sidecar = mesh.sidecar(mesh.pods()[0])
    sidecar.call("guarded/good", "set", 7)
    owner = next(p for p in mesh.pods() if p["metadata"]["name"] == sidecar.owner("guarded/poison"))
    for _ in range(2):
        sidecar.call("guarded/poison", "add", 1)
        sidecar.kill("guarded/poison", "poison")
    with pytest.raises(Refused) as refused:
        sidecar.call("guarded/poison", "add", 1)
    assert refused.value.code == "given_up" and refused.value.status == 503
    assert "orrery release guarded/poison" in refused.value.problem["detail"]
    assert sidecar.call("guarded/good", "get") == 7
    assert sidecar.inspect("guarded/poison")["state"] == "given up"
    assert re.search(r"poison +given up for .*: guarded/poison is given up", mesh.orrery(owner, "tree", "--local").stdout)
    mesh.orrery(owner, "release", "guarded/poison")
    assert sidecar.call("guarded/poison", "add", 1) == 1


def test_a_class_below_another_is_shown_there_and_follows_its_parent(mesh, define):
    define("shop", behaviour={"builtin": "counter"}, supervision={"strategy": "OneForAll", "intensity": 10})
    define("basket", behaviour={"builtin": "counter"}, supervision={"intensity": 0, "parent": "shop"})
    pod, other = mesh.pods()[:2]
    process = mesh.owned_by(pod, other, "basket")
    sidecar = mesh.sidecar(other)
    sidecar.call(process, "add", 1)
    assert "root/shop/basket" == sidecar.inspect(process)["supervisor"]
    sidecar.kill(process)
    assert sidecar.call(process, "get") == 0
    shop = eventually(lambda: (found := mesh.sidecar(pod).supervisor("shop")) and found["gaveUp"] == 0 and found, 5, "the parent lives on")
    assert shop["path"] == "root/shop" and mesh.sidecar(pod).supervisor("basket")["gaveUp"] == 1


def test_a_parent_that_cannot_be_is_refused_with_its_field(mesh):
    for name, parent, says in (("orphan", "nosuch", "mesh demo has no class nosuch"), ("ring", "ring", "goes in a circle: ring -> ring")):
        mesh.cluster.apply(class_document(name, mesh.name, behaviour={"builtin": "counter"}, supervision={"parent": parent}), NAMESPACE)

        def refused(name=name):
            conditions = mesh.cluster.json("-n", NAMESPACE, "get", "processclass", name).get("status", {}).get("conditions", [])
            return next((c for c in conditions if c["type"] == "Accepted" and c["status"] == "False"), None)
        condition = eventually(refused, 10, f"{name} is refused")
        assert f"spec.supervision.parent: {says}" in condition["message"], condition
        mesh.cluster.kubectl("-n", NAMESPACE, "delete", "processclass", name)


def test_more_processes_than_a_class_may_have_on_a_node_are_refused(mesh, define):
    define("few", behaviour={"builtin": "counter"}, limits={"maxProcesses": 1})
    pod = mesh.pods()[0]
    sidecar = mesh.sidecar(pod)
    first = mesh.owned_by(pod, process_class="few", prefix="a")
    sidecar.call(first, "add", 1)
    second = mesh.owned_by(pod, process_class="few", prefix="b")
    with pytest.raises(Refused) as refused:
        sidecar.call(second, "add", 1)
    assert refused.value.code == "overloaded" and "limits.maxProcesses" in refused.value.problem["detail"]
    sidecar.stop(first)
    assert sidecar.call(second, "add", 1) == 1
