"""A process that is killed is restarted by its supervisor, and nobody else notices."""
from waiting import eventually


def test_a_killed_process_answers_the_next_call(mesh):
    one, other, _ = (mesh.sidecar(pod) for pod in mesh.pods())
    one.call("counter/victim", "set", 9)
    before = one.inspect("counter/victim")
    one.kill("counter/victim")
    assert other.call("counter/victim", "get") == 0, "it starts afresh in this form"
    after = one.inspect("counter/victim")
    assert after["node"] == before["node"] and after["pid"] != before["pid"]
    assert after["restarts"] == before["restarts"] + 1
    assert "killed by a test" in after["lastExit"]["reason"]


def test_its_siblings_keep_their_state(mesh):
    sidecar = mesh.sidecar(mesh.pods()[0])
    owner = sidecar.owner("counter/victim")
    siblings = [f"counter/sibling{n}" for n in range(60)]
    siblings = [name for name in siblings if sidecar.owner(name) == owner][:5]
    assert siblings
    for name in siblings:
        sidecar.call(name, "set", 3)
    pids = {name: sidecar.inspect(name)["pid"] for name in siblings}
    sidecar.call("counter/victim", "get")
    sidecar.kill("counter/victim")
    for name in siblings:
        assert sidecar.call(name, "get") == 3 and sidecar.inspect(name)["pid"] == pids[name]


def test_a_crash_in_a_lua_script_is_a_restart_too(mesh):
    sidecar = mesh.sidecar(mesh.pods()[0])
    sidecar.call("cart/crashing", "add", {"item": "tea"})
    sidecar.kill("cart/crashing")
    assert eventually(lambda: sidecar.call("cart/crashing", "total") == 0, 5, "it answers again")


def test_kill_by_the_command_line(mesh):
    pod = mesh.pods()[1]
    mesh.orrery(pod, "call", "counter/cli", "add", "2")
    mesh.orrery(pod, "kill", "counter/cli")
    assert mesh.orrery(pod, "call", "counter/cli", "get").stdout.strip() == "0"
