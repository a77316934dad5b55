"""`orrery attach` reaches into a live mesh from outside of the cluster, at one local port for as long as it is wanted; and so does a notebook."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading

import pytest

from clusters import ROOT
from sdk import Sidecar
from waiting import eventually

PYTHON_SDK = ROOT / "sdk/python/src"
sys.path.insert(0, str(PYTHON_SDK))
import orrery  # noqa: E402


def command_line(mesh, *words):
    return [str(mesh.cluster.programs / "orrery"), "--kubeconfig", mesh.cluster.kubeconfig, "-n", mesh.namespace, *words]


class Attached:
    """`orrery attach -o json` as its user runs it, in a group of processes of its own."""

    def __init__(self, mesh, *options):
        self.process = subprocess.Popen(command_line(mesh, "attach", "--mesh", mesh.name, "-o", "json", *options), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        self.said = []
        line = self.process.stdout.readline()
        self.where = json.loads(line) if line else {}
        self.thread = threading.Thread(target=self.listen)
        self.thread.start()
        self.port = int(self.where.get("url", ":0").rpartition(":")[2])
        self.sidecar = Sidecar("127.0.0.1", self.port)

    def listen(self):
        for line in self.process.stderr:
            self.said.append(line.rstrip())

    def end(self, how=signal.SIGINT):
        self.process.send_signal(how)
        status = self.process.wait(10)
        self.thread.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return status


@pytest.fixture
def attached(mesh):
    made = []

    def attach(*options):
        made.append(Attached(mesh, *options))
        return made[-1]
    yield attach
    for one in made:
        if one.process.poll() is None:
            one.end(signal.SIGKILL)


def group_of(process):
    """Processes of its group and session: itself, and all that it started."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and int((entry / "stat").read_text().rpartition(")")[2].split()[3]) == process.pid:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def running(pid):
    """Not where it has ended and nobody has asked how."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def lasting(mesh):
    """What the mesh consists of, but for its pods and what is of one of them."""
    return sorted((each["kind"], each["metadata"]["name"]) for each in mesh.everything() if each["kind"] != "Pod" and not each["metadata"]["name"].endswith("-tls"))


def delete_pod(mesh, name):
    mesh.cluster.kubectl("-n", mesh.namespace, "delete", "pod", name, "--wait=false")


def test_the_port_stays_when_its_pod_goes_and_nothing_is_left_at_the_end(mesh, attached):
    before = lasting(mesh)
    one = attached()
    assert one.where == {"url": f"http://127.0.0.1:{one.port}", "pod": one.where["pod"], "mesh": mesh.name, "namespace": mesh.namespace}
    pod = mesh.pod(one.where["pod"])
    name = mesh.owned_by(next(p for p in mesh.pods() if p["metadata"]["name"] != one.where["pod"]), prefix="attached")
    value = one.sidecar.call(name, "add", 5)
    assert mesh.sidecar(pod).call(name, "get") == value
    assert [n["name"] for n in one.sidecar.nodes() if n["state"] == "self"] == [one.where["pod"]]

    delete_pod(mesh, one.where["pod"])
    eventually(lambda: [line for line in one.said if f"orrery: {one.where['pod']} " in line and "going on through" in line], 60, "it goes on through another pod")
    other = eventually(lambda: next(n["name"] for n in one.sidecar.nodes() if n["state"] == "self"), 20, "the same port answers")
    assert other != one.where["pod"] and other in " ".join(one.said)
    assert one.sidecar.call(name, "get") == value
    mesh.wait_meshed(3, within=60)
    assert one.sidecar.call(name, "add", 1) == value + 1

    assert group_of(one.process) == [one.process.pid]
    assert one.end() == 0
    assert group_of(one.process) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", one.port), 5)
    assert lasting(mesh) == before


def test_many_short_connections_are_let_go(mesh, attached):
    one = attached()
    for _ in range(300):  # more than it has at a time, and each is left open by its client's end
        assert len(one.sidecar.up()) == 3
    assert one.end(signal.SIGTERM) == 0
    assert not [line for line in one.said if "going on" in line]


def test_it_ends_with_whoever_reads_its_output(mesh, attached):
    one = attached()
    one.process.stdout.close()
    assert one.process.wait(10) == 0


def test_a_notebook_that_is_killed_leaves_nothing(mesh):
    code = (f"import orrery, signal; live = orrery.attach({mesh.name!r}, {mesh.namespace!r}, kubeconfig={mesh.cluster.kubeconfig!r}, "
            f"program={str(mesh.cluster.programs / 'orrery')!r}); print(live._attached._process.pid, flush=True); signal.pause()")
    notebook = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(PYTHON_SDK)})
    with notebook:
        child = int(notebook.stdout.readline())
        assert pathlib.Path(f"/proc/{child}").exists()
        notebook.kill()
    eventually(lambda: not running(child), 10, "what it had started has ended")


def test_a_port_of_ones_own_and_one_that_is_taken(mesh, attached):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    one = attached("--port", str(port))
    assert one.port == port and len(one.sidecar.up()) == 3
    again = subprocess.run(command_line(mesh, "attach", "--mesh", mesh.name, "--port", str(port)), capture_output=True, text=True, timeout=30)
    assert again.returncode == 1 and f"127.0.0.1:{port}: Address already in use" in again.stderr, again
    assert one.end() == 0
    missing = subprocess.run(command_line(mesh, "attach", "--mesh", "nosuch"), capture_output=True, text=True, timeout=30)
    assert missing.returncode == 4 and "no pods of a mesh 'nosuch'" in missing.stderr, missing


def test_a_command_has_the_sidecar_and_ends_as_it_does(mesh):
    def run(*words):
        return subprocess.run(command_line(mesh, "attach", "--mesh", mesh.name, "--", *words), capture_output=True, text=True, timeout=60)
    orrery_program = str(mesh.cluster.programs / "orrery")
    mesh.sidecar(mesh.pods()[0]).call("kv/attached", "put", {"key": "a", "value": [1, 2]})
    done = run(orrery_program, "call", "kv/attached", "get", '"a"')
    assert (done.returncode, done.stdout, done.stderr) == (0, "[1,2]\n", ""), done
    done = run("sh", "-c", 'echo "$ORRERY_MESH $1"; exit 42', "sh", "[1,2]")
    assert (done.returncode, done.stdout) == (42, f"{mesh.name} [1,2]\n"), done
    assert run(orrery_program, "inspect", "counter/never-was").returncode == 1
    done = run("no-such-program-anywhere")
    assert done.returncode == 127 and "no-such-program-anywhere" in done.stderr, done

    ordered = subprocess.Popen(command_line(mesh, "attach", "--mesh", mesh.name, "--", "sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done"),
                               stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert ordered.stdout.readline() == "up\n"
        ordered.terminate()
        assert ordered.wait(10) == 7
        eventually(lambda: not group_of(ordered), 5, "nothing is left")
    finally:
        ordered.stdout.close()
        if ordered.poll() is None:
            os.killpg(ordered.pid, signal.SIGKILL)


def test_a_notebook_looks_into_the_mesh_and_acts_on_it(mesh):
    with orrery.attach(mesh.name, mesh.namespace, kubeconfig=mesh.cluster.kubeconfig, program=str(mesh.cluster.programs / "orrery")) as live:
        child = live._attached._process
        up = {node["name"] for node in live.nodes() if node["state"] in ("self", "up")}  # those that went a moment ago are told as down
        assert up == {pod["metadata"]["name"] for pod in mesh.pods()}
        assert "counter" in {one["name"] for one in live.classes()}
        for number in range(40):  # so many that some are on every node
            live.call(f"counter/noted{number}", "set", number)
        live.cast("counter/noted5", "add", 10)
        eventually(lambda: live.call("counter/noted5", "get", timeout=5) == 15, 10, "the cast has arrived")
        assert live.state("counter/noted3") == live.call("counter/noted3", "get")
        found = dict(live.query("counter", where=lambda state: isinstance(state, int) and state == 15))
        assert "counter/noted5" in found
        assert live.inspect("counter/noted3")["state"] == "running"
        assert {row["class"] for row in live.processes("counter")} == {"counter"}
        assert "<td" in live.processes("counter")._repr_html_() and "counter/noted3" in str(live.processes("counter"))
        assert {row["node"] for row in live.tree()} == up

        here = next(node["name"] for node in live.nodes() if node["state"] == "self")
        mine = next(row for row in live.processes("counter") if row["node"] == here)
        events = live.events("process_restarted")
        live.kill(f"counter/{mine['key']}", "for the notebook")
        told = next(event for event in events if event.type == "process_restarted" and event.data["key"] == mine["key"])
        assert "for the notebook" in told.data["reason"]
        events.close()
        assert f"counter/{mine['key']}" in str(live.crashes("counter")) and live.top(by="memory")
        live.stop("counter/noted4")
        with pytest.raises(orrery.NotFound):
            live.inspect("counter/noted4")
        with pytest.raises(orrery.NotFound):
            live.call("nosuch/x", "get")

        delete_pod(mesh, here)
        eventually(lambda: here not in {node["name"] for node in live.nodes() if node["state"] == "self"}, 60, "it goes on through another pod")
        eventually(lambda: isinstance(live.call("counter/noted2", "get"), int), 20, "calls are answered there")
    assert child.poll() is not None and group_of(child) == []
    with pytest.raises(orrery.NotFound):
        orrery.attach("nosuch", mesh.namespace, kubeconfig=mesh.cluster.kubeconfig, program=str(mesh.cluster.programs / "orrery"))
