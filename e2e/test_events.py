"""`orrery events --mesh` follows every node of the mesh at once: those that there are, and those that come."""
import contextlib
import json
import os
import signal
import subprocess
import threading

import pytest

from waiting import eventually


class Following:
    """`orrery events` as its user runs it, outside of the cluster; what it has printed so far."""

    def __init__(self, mesh, *options):
        self.events, self.said = [], []
        self.process = subprocess.Popen(
            [mesh.cluster.programs / "orrery", "--kubeconfig", mesh.cluster.kubeconfig, "--mesh", mesh.name, "-n", mesh.namespace, "events", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "NO_COLOR": "1"})
        self.threads = [threading.Thread(target=self.read, args=[self.process.stdout, self.events]),
                        threading.Thread(target=self.read, args=[self.process.stderr, self.said])]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def read(stream, into):
        for line in stream:
            into.append(line.rstrip("\n"))

    def follows(self, names):
        return {f"orrery: following {name}" for name in names} <= set(self.said)

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGINT)
        status = self.process.wait(10)
        for thread in self.threads:
            thread.join()
        return status


@pytest.fixture
def following():
    made = []

    def follow(mesh, *options):
        made.append(Following(mesh, *options))
        return made[-1]
    yield follow
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
            one.end()


def start_one_on_each(mesh, prefix):
    """A process on each node, and who told of its start: all from one sidecar."""
    pods = mesh.pods()
    names = {}
    for pod in pods:
        name = mesh.owned_by(pod, pods[0], prefix=prefix)
        mesh.sidecar(pods[0]).call(name, "add", 1)
        names[name] = pod["metadata"]["name"]
    return names


def test_all_nodes_are_followed_and_new_ones_too(mesh, following):
    watch = following(mesh, "-o", "json")
    eventually(lambda: watch.follows([p["metadata"]["name"] for p in mesh.pods()]), 20, "all three are followed")

    def started():
        told = [json.loads(line) for line in watch.events]
        return {f"{e['class']}/{e['key']}": e["node"] for e in told if e["type"] == "process_started"}
    names = start_one_on_each(mesh, "followed")
    assert len(set(names.values())) == 3
    eventually(lambda: names.items() <= started().items(), 10, f"each start is told with its node: {names}")

    victim = mesh.pods()[0]["metadata"]["name"]
    mesh.cluster.kubectl("-n", mesh.namespace, "delete", "pod", victim, "--wait=false")
    eventually(lambda: f"orrery: {victim} is gone" in watch.said, 60, "the one that went is let go")
    pods = [p["metadata"]["name"] for p in mesh.wait_meshed(3, within=60)]
    eventually(lambda: watch.follows(pods), 20, "its successor is followed")
    names = start_one_on_each(mesh, "successor")
    eventually(lambda: names.items() <= started().items(), 10, f"each start is told with its node: {names}")
    assert watch.end() == 0
    assert not [line for line in watch.said if not line.endswith(" is gone") and not line.startswith("orrery: following ")], watch.said


def test_people_read_lines_that_name_the_node(mesh, following):
    watch = following(mesh)
    pods = mesh.pods()
    eventually(lambda: watch.follows([p["metadata"]["name"] for p in pods]), 20, "all three are followed")
    names = start_one_on_each(mesh, "lines")

    def line_of(name):
        return next((line for line in watch.events if "process_started" in line and name in line.split()), None)
    for name, node in names.items():
        line = eventually(lambda: line_of(name), 10, f"the start of {name} is told")
        assert node in line and "reason" not in line, line
    assert watch.end() == 0


def test_a_mesh_that_there_is_not_is_refused(mesh):
    done = subprocess.run([mesh.cluster.programs / "orrery", "--kubeconfig", mesh.cluster.kubeconfig, "--mesh", "nosuch", "-n", mesh.namespace, "events"],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 4 and "no pods of a mesh 'nosuch'" in done.stderr, done
