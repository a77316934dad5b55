"""Processes are the same from every pod of the mesh."""
import json

import pytest

from sdk import Refused


def test_a_process_called_from_one_pod_answers_another(mesh):
    one, other, third = mesh.pods()
    before = json.loads(mesh.orrery(one, "call", "counter/a", "get").stdout)
    assert json.loads(mesh.orrery(one, "call", "counter/a", "add", "5").stdout) == before + 5
    assert json.loads(mesh.orrery(other, "call", "counter/a", "get").stdout) == before + 5
    assert json.loads(mesh.orrery(third, "call", "counter/a", "get").stdout) == before + 5


def test_every_pod_agrees_who_owns_a_name(mesh):
    pods = mesh.pods()
    for number in range(20):
        assert len({mesh.sidecar(pod).owner(f"counter/agree{number}") for pod in pods}) == 1


def test_names_spread_over_all_pods(mesh):
    sidecar = mesh.sidecar(mesh.pods()[0])
    assert {sidecar.owner(f"counter/spread{n}") for n in range(60)} == {p["metadata"]["name"] for p in mesh.pods()}


def test_concurrent_calls_from_all_pods_lose_nothing(mesh):
    from concurrent.futures import ThreadPoolExecutor
    sidecars = [mesh.sidecar(pod) for pod in mesh.pods()]
    sidecars[0].call("counter/total", "reset")
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda n: sidecars[n % 3].call("counter/total", "add", 1), range(300)))
    assert sidecars[1].call("counter/total", "get") == 300


def test_a_kv_document_has_compare_and_set(mesh):
    one, other, _ = (mesh.sidecar(pod) for pod in mesh.pods())
    version = one.call("kv/settings", "put", {"key": "colour", "value": "blue"})["version"]
    assert other.call("kv/settings", "get", "colour") == "blue"
    other.call("kv/settings", "cas", {"key": "colour", "version": version, "value": "green"})
    with pytest.raises(Refused) as refused:
        one.call("kv/settings", "cas", {"key": "colour", "version": version, "value": "red"})
    assert refused.value.code == "conflict"
    assert one.call("kv/settings", "get", "colour") == "green"


def test_a_lua_class_works_from_every_pod(mesh):
    one, other, _ = (mesh.sidecar(pod) for pod in mesh.pods())
    if one.owner("cart/alice"):
        one.call("cart/alice", "remove", "tea")
    one.call("cart/alice", "add", {"item": "tea", "count": 2})
    assert other.call("cart/alice", "items")["tea"] == 2


def test_keys_may_be_any_text(mesh):
    one, other, _ = (mesh.sidecar(pod) for pod in mesh.pods())
    for key in ("a/b c", "ünï", "?&=%", "日本"):
        one.call(f"counter/{key}", "set", 7)
        assert other.call(f"counter/{key}", "get") == 7


@pytest.mark.parametrize("name, method, code", [("nosuch/x", "get", "not_found"), ("counter/x", "nosuch", None), ("kv/x", "cas", "invalid_argument")])
def test_what_does_not_exist_is_refused_with_a_code(mesh, name, method, code):
    for pod in mesh.pods():
        with pytest.raises(Refused) as refused:
            mesh.sidecar(pod).call(name, method, 1)
        assert refused.value.code and (code is None or refused.value.code == code)
        assert refused.value.problem["detail"] and refused.value.problem["effect"] in ("not_executed", "executed", "unknown")


def test_the_command_line_lists_nodes_and_processes(mesh):
    pod = mesh.pods()[0]
    mesh.orrery(pod, "call", "counter/listed", "add")
    nodes = json.loads(mesh.orrery(pod, "nodes", "-o", "json").stdout)
    assert len(nodes["nodes"] if isinstance(nodes, dict) else nodes) == 3
    assert "listed" in mesh.orrery(pod, "processes").stdout
    assert "counter" in mesh.orrery(pod, "tree").stdout
