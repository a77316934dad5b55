"""What is wrong is refused with what was wrong and where, and nothing that runs is touched."""
import pytest

from conftest import NAMESPACE
from mesh import APP, class_document, document
from sdk import Refused
from waiting import eventually


@pytest.mark.parametrize("field, spec", [
    ("spec.replicas", {"replicas": "three"}),
    ("spec.replicas", {"replicas": -1}),
    ("spec.replicas", {"replicas": 100000}),
    ("replicaz", {"replicaz": 3}),
    ("downAfter", {"failureDetection": {"downAfter": "soon"}}),
    ("meshPort", {"network": {"meshPort": 80}}),
    ("logLevel", {"sidecar": {"logLevel": "loud"}}),
])
def test_a_mesh_that_cannot_be(cluster, field, spec):
    bad = document("bad")
    bad["spec"].update(spec)
    done = cluster.apply(bad, NAMESPACE, check=False)
    assert done.returncode != 0 and field in done.stderr, done.stderr
    assert "bad" not in [m["metadata"]["name"] for m in cluster.items("processmeshes", NAMESPACE)]


@pytest.mark.parametrize("field, spec", [
    ("behaviour", {"behaviour": {"builtin": "counter", "lua": {"script": "return {}"}}}),
    ("builtin", {"behaviour": {"builtin": "cache"}}),
    ("behaviour", {"behaviour": {"lua": {"script": "return {}"}, "options": {}}}),
    ("behaviour", {}),
    ("spec.behaviour in body should have at least 1 properties", {"behaviour": {}}),
    ("mailbox", {"behaviour": {"builtin": "counter"}, "limits": {"mailbox": 0}}),
    ("restart", {"behaviour": {"builtin": "counter"}, "supervision": {"restart": "Sometimes"}}),
    ("strategy", {"behaviour": {"builtin": "counter"}, "supervision": {"strategy": "All"}}),
    ("shutdown", {"behaviour": {"builtin": "counter"}, "supervision": {"shutdown": "soon"}}),
    ("spec.supervision.backoff", {"behaviour": {"builtin": "counter"}, "supervision": {"backoff": {}}}),
    ("childIntensity", {"behaviour": {"builtin": "counter"}, "supervision": {"childIntensity": -1}}),
    ("mailboxPolicy", {"behaviour": {"builtin": "counter"}, "limits": {"mailboxPolicy": "Drop"}}),
    ("maxProcesses", {"behaviour": {"builtin": "counter"}, "limits": {"maxProcesses": 0}}),
    ("spec.children[0]", {"behaviour": {"builtin": "counter"}, "children": [{"restart": "Permanent"}]}),
    ("spec.children[1]", {"behaviour": {"builtin": "counter"}, "children": [{"key": "a"}, {"key": "a"}]}),
])
def test_a_class_that_cannot_be(cluster, field, spec):
    done = cluster.apply(class_document("bad", "demo", **spec), NAMESPACE, check=False)
    assert done.returncode != 0 and field in done.stderr, done.stderr


def test_a_template_that_the_server_refuses_leaves_running_pods_alone(own_mesh):
    mesh = own_mesh("refused")
    pods = [p["metadata"]["uid"] for p in mesh.pods()]
    broken = dict(APP, name="Not A Name")
    mesh.patch({"template": {"spec": {"containers": [broken]}}})
    condition = eventually(lambda: next((c for c in mesh.status().get("conditions", []) if c["type"] in ("TemplateValid", "SpecValid")
                                         and c["status"] == "False"), None), 30, "the status says that the template is wrong")
    assert "name" in condition["message"], condition
    assert [p["metadata"]["uid"] for p in mesh.pods()] == pods, "running pods are left alone"
    assert mesh.sidecar(mesh.pods()[0]).call("refused-counter/x", "add", 1) >= 1
    mesh.patch({"template": {"spec": {"containers": [dict(APP, env=[{"name": "MENDED", "value": "yes"}])]}}})
    eventually(lambda: mesh.whole(3) and not set(pods) & {p["metadata"]["uid"] for p in mesh.pods()}, 120, "the mended template rolls out")


def test_a_container_may_not_take_the_sidecars_name(own_mesh):
    mesh = own_mesh("named")
    mesh.patch({"template": {"spec": {"containers": [dict(APP, name="orrery")]}}})
    eventually(lambda: any(c["status"] == "False" and "orrery" in c["message"] for c in mesh.status()["conditions"]), 30, "the status names the field")
    assert len(mesh.pods()) == 3


@pytest.fixture
def lua(mesh):
    def make(name, script, **limits):
        mesh.cluster.apply(class_document(name, mesh.name, behaviour={"lua": {"script": script}}, limits=limits,
                                          supervision={"intensity": 1000, "period": "1s"}), NAMESPACE)
        eventually(lambda: all(name in mesh.sidecar(pod).classes() for pod in mesh.pods()), 20, f"class {name} is known to every node")
        made.append(name)
    made = []
    yield make
    for name in made:
        mesh.cluster.kubectl("-n", NAMESPACE, "delete", "processclass", name)


@pytest.mark.parametrize("what, body", [
    ("loops", "while true do end"),
    ("eats", "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end"),
    ("recurses", "local function f(n) return 1 + f(n + 1) end return f(1)"),
    ("raises", "error('on purpose')"),
])
def test_a_lua_script_that_misbehaves_harms_only_itself(mesh, lua, what, body):
    lua(what, f"local c = {{call = {{}}}} function c.init(key) return {{}} end function c.call.go(state) {body} end "
              "function c.call.ping(state) return 'pong' end return c")
    sidecar = mesh.sidecar(mesh.pods()[0])
    sidecar.call("counter/bystander", "set", 5)
    for _ in range(3):
        with pytest.raises(Refused) as refused:
            sidecar.call(f"{what}/x", "go")
        assert refused.value.code in ("limit_exceeded", "process_exited", "handler_failed", "deadline_exceeded"), refused.value
    assert sidecar.call(f"{what}/x", "ping") == "pong", "restarted, it answers"
    assert sidecar.call("counter/bystander", "get") == 5


def test_bodies_that_are_not_what_they_should_be(mesh):
    sidecar = mesh.sidecar(mesh.pods()[0])
    for body, status in ((b"{not json", 400), (b"\xff\xfe", 400), (b'"text"', 400)):
        with pytest.raises(Refused) as refused:
            sidecar.request("POST", "/v1/processes/counter/x/call/add", body)
        assert refused.value.status == status, refused.value
    for path, statuses in (("/v1/nosuch", {404}), ("/v1/processes/COUNTER!/x/call/add", {400, 404}),
                           (f"/v1/processes/counter/{'k' * 2000}/call/add", {400, 413})):
        with pytest.raises(Refused) as refused:
            sidecar.request("POST", path, b"1")
        assert refused.value.status in statuses, refused.value


def test_a_body_of_a_hundred_megabytes_is_refused_early(mesh):
    sidecar = mesh.sidecar(mesh.pods()[0])
    try:
        sidecar.request("POST", "/v1/processes/kv/x/call/put", b'"' + b"x" * 100_000_000 + b'"', timeout=30)
        raise AssertionError("it was accepted")
    except Refused as refused:
        assert refused.status == 413
    except OSError:
        pass  # the connection was closed while we were still sending: refused as well
    assert sidecar.call("counter/after", "add", 1) >= 1


def test_garbage_on_the_mesh_port_is_nothing(mesh):
    import os
    import socket
    pod = mesh.pods()[0]
    address = mesh.cluster.address(pod)
    if not address:
        pytest.skip("pods cannot be reached by address from here")
    for _ in range(5):
        with socket.create_connection((address, 3601), timeout=5) as connection:
            connection.sendall(os.urandom(4096))
    mesh.wait_meshed(3)
    assert mesh.pod(pod["metadata"]["name"])["status"]["containerStatuses"][0]["restartCount"] == pod["status"]["containerStatuses"][0]["restartCount"]
