"""A mesh of real programs on the embedded cluster, measured from outside as its users see it."""
import json
import os
import pathlib
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "e2e"))  # its clusters, meshes and client of the SDK, which need the standard library alone

import clusters  # noqa: E402
from mesh import Mesh, class_document, joined  # noqa: E402
from rows import summary  # noqa: E402
from waiting import eventually  # noqa: E402

NAMESPACE = "orrery-bench"
REPLICAS = 3
FORMATIONS = 3
PROCESS_KILLS = 2000
POD_KILLS = 5
SILENCES = 3
CALLS = 5000
SETTLED = 5.0           # seconds without work before memory counts as idle
RESTART_BACKOFF = 0.2   # seconds before a killed sidecar starts again; Kubernetes' own 10 s would only make the run longer
CLASS = {"behaviour": {"builtin": "counter"}, "supervision": {"intensity": 100_000, "period": "1s"}}  # survives being killed for a living


class Stream(threading.Thread):
    """Watches objects by kubectl, and remembers when each state was first seen."""

    def __init__(self, cluster, namespace, kind, *selector):
        super().__init__(daemon=True)
        self.process = subprocess.Popen(
            ["kubectl", "--kubeconfig", cluster.kubeconfig, "-n", namespace, "get", kind, *selector, "-w", "-o", "json"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.first = {}  # (object's name, its state) -> seconds
        self.last = {}   # object's name -> the object
        self.start()

    def run(self):
        decoder, text = json.JSONDecoder(), ""
        for line in self.process.stdout:
            text += line
            if not line.startswith("}"):
                continue
            seen, now = decoder.decode(text), time.monotonic()
            text = ""
            for item in seen.get("items", [seen]):
                self.last[item["metadata"]["name"]] = item
                for state in self.states(item):
                    self.first.setdefault((item["metadata"]["name"], state), now)

    @staticmethod
    def states(item):
        status = item.get("status", {})
        yield "seen"
        if status.get("podIP"):
            yield "addressed"
        if status.get("phase") == "Running" and item["kind"] == "Pod":
            yield "running"
        if item["kind"] == "Pod" and joined(item):
            yield "ready"
        if item["kind"] == "ProcessMesh" and status.get("readyReplicas") == REPLICAS:
            yield "whole"

    def end(self):
        self.process.kill()
        self.process.wait()
        self.join(5)

    def moments(self, state):
        return [when for (_, what), when in list(self.first.items()) if what == state]


class QuickCluster(clusters.EmbeddedCluster):
    """The embedded cluster, with a short back-off for killed containers."""

    def start(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        images = {clusters.OPERATOR_IMAGE: "orrery-operator", clusters.SIDECAR_IMAGE: "orrery-sidecar", "localhost/orrery:dev": "orrery"}
        command = [self.programs / "orrery-local", "--dir", self.folder, "--backoff", str(RESTART_BACKOFF)]
        for image, program in images.items():
            command += ["--image", f"{image}={self.programs / program}"]
        with open(self.folder / "orrery-local.log", "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually(self.serves, 15, f"the embedded cluster serves (its log: {self.folder}/orrery-local.log)", every=0.05)


def megabytes(pid):
    """Resident memory of a program: all of it, its share of it, and what no other program shares."""
    rollup = {}
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        key, amount, _ = line.split()
        rollup[key.rstrip(":")] = int(amount) * 1024 / 1e6
    return {"rss": rollup["Rss"], "pss": rollup["Pss"], "private": rollup["Private_Clean"] + rollup["Private_Dirty"]}


class Programs:
    def __init__(self, rows, programs, progress):
        self.rows, self.programs, self.progress = rows, pathlib.Path(programs), progress
        self.cluster = QuickCluster(ROOT / "build/bench/cluster", programs)
        self.mesh = None

    def measure(self):
        self.progress("starting the embedded cluster and the operator")
        self.cluster.start()
        try:
            clusters.install(self.cluster)
            self.cluster.kubectl("create", "namespace", NAMESPACE)
            eventually(lambda: self.cluster.items("serviceaccounts", NAMESPACE), 20, "the namespace has its service account")
            self.formation()
            pods = self.mesh.wait_meshed(REPLICAS)
            self.cluster.apply(class_document("counter", self.mesh.name, **CLASS), NAMESPACE)
            for pod in pods:
                eventually(lambda: "counter" in self.mesh.sidecar(pod).classes(), 20, "every node knows the class", every=0.05)
            self.memory(pods, "idle")
            self.calls(pods)
            self.memory(pods, "after_calls")
            self.pods_killed()
            self.silence()
        finally:
            self.cluster.stop()

    # ---- formation ----

    def formation(self):
        self.progress(f"forming a mesh of {REPLICAS}, {FORMATIONS} times")
        connected, addressed, whole, applied_to_whole = [], [], [], []
        for round_number in range(FORMATIONS):
            if self.mesh:
                self.mesh.delete()
            self.mesh = Mesh(self.cluster, NAMESPACE, f"bench{round_number}")
            pods = Stream(self.cluster, NAMESPACE, "pods", "-l", f"orrery.dev/mesh={self.mesh.name}")
            meshes = Stream(self.cluster, NAMESPACE, "processmeshes")
            try:
                applied = time.monotonic()
                self.mesh.create(REPLICAS)
                eventually(lambda: len(pods.moments("addressed")) == REPLICAS, 60, f"{REPLICAS} pods have addresses", every=0.001)
                for each in [self.mesh.sidecar(pod) for pod in list(pods.last.values())]:
                    eventually(lambda: len(each.up()) == REPLICAS, 60, "every node is connected to every other", every=0.001)
                meshed = time.monotonic()
                addressed.append((meshed - max(pods.moments("addressed"))) * 1e3)
                eventually(lambda: len(pods.moments("running")) == REPLICAS, 60, f"{REPLICAS} pods run", every=0.001)
                last = max(pods.moments("running"))
                connected.append(max(0.0, meshed - last) * 1e3)
                eventually(lambda: (self.mesh.name, "whole") in meshes.first, 30, f"status.readyReplicas is {REPLICAS}", every=0.01)
                done = meshes.first[(self.mesh.name, "whole")]
                whole.append((done - last) * 1e3)
                applied_to_whole.append((done - applied) * 1e3)
            finally:
                pods.end()
                meshes.end()
        self.rows.add("mesh/addressed_to_connected", "ms", summary(addressed),
                      f"last of {REPLICAS} pods seen with an address, to every node connected to every other; the start of its sidecar is part of it")
        self.rows.add("mesh/running_to_connected", "ms", summary(connected),
                      "the same from when it was seen Running; 0 where they were connected before that")
        self.rows.add("mesh/running_to_whole", "ms", summary(whole),
                      f"the same, to status.readyReplicas: {REPLICAS} (readiness is probed once a second)")
        self.rows.add("mesh/applied_to_whole", "ms", summary(applied_to_whole), "kubectl apply of the mesh, to readyReplicas")

    # ---- calls ----

    def owned(self, pod, asked, prefix):
        return self.mesh.owned_by(pod, asked, prefix=prefix)

    def client(self, pod, process, row, *arguments):
        """The client in C++: Python's would be most of the time."""
        done = clusters.run(self.programs / "orrery-bench", "--json", "sdk", "--host", pod["status"]["podIP"], "--process", process,
                            "--name", row, *arguments, timeout=60)
        measured = json.loads(done.stdout)
        self.rows.add(measured["name"], measured["unit"], measured["values"], measured["what"])

    def calls(self, pods):
        self.progress(f"{CALLS} calls on the process' own pod and on another, and {PROCESS_KILLS} processes killed")
        name = self.owned(pods[0], pods[0], "k")
        self.client(pods[0], name, "sdk/call_own_pod", "--calls", CALLS)
        self.client(pods[1], name, "sdk/call_other_pod", "--calls", CALLS)
        self.client(pods[0], name, "heal/process_own_pod", "--calls", PROCESS_KILLS, "--kill")
        self.client(pods[1], name, "heal/process_other_pod", "--calls", PROCESS_KILLS, "--kill")
        restarts = self.mesh.sidecar(pods[0]).inspect(name)["restarts"]
        if restarts < 2 * PROCESS_KILLS:
            raise AssertionError(f"{2 * PROCESS_KILLS} kills of {name} were answered, but it was restarted {restarts} times")

    # ---- memory ----

    def memory(self, pods, when):
        self.progress(f"resident memory, {'idle' if when == 'idle' else 'after the calls'}")
        time.sleep(SETTLED)
        of_sidecars = [megabytes(pid) for pod in pods for pid in self.cluster.pids("orrery-sidecar", pod)]
        if len(of_sidecars) != len(pods):
            raise AssertionError(f"{len(pods)} pods have {len(of_sidecars)} sidecars among the processes of this machine")
        worst = max(of_sidecars, key=lambda each: each["rss"])
        self.rows.add(f"memory/sidecar_{when}", "MB", worst, f"the largest of {len(pods)} sidecars, {SETTLED:.0f} s after the last work")
        operator = clusters.operator_ready(self.cluster)
        pids = self.cluster.pids("orrery-operator", operator[0]) if operator else []
        if len(pids) != 1:
            raise AssertionError(f"there are {len(pids)} operators among the processes of this machine")
        self.rows.add(f"memory/operator_{when}", "MB", megabytes(pids[0]), f"the operator, with one mesh of {REPLICAS}")

    # ---- pods ----

    def down_told(self, watcher, victim, since):
        """A queue that gets the seconds until `watcher` tells that `victim` is down; and waits for the subscription."""
        told, ready = queue.Queue(), threading.Event()

        def listen():
            try:
                for kind, data in self.mesh.sidecar(watcher).events(timeout=20):
                    if kind is None:
                        ready.set()
                    elif kind == "node_down" and data.get("peer") == victim["metadata"]["name"]:
                        told.put(time.monotonic() - since[0])
                        return
            except OSError as error:
                told.put(error)
        threading.Thread(target=listen, daemon=True).start()
        if not ready.wait(5):
            raise AssertionError("no event stream within 5 s")
        return told

    @staticmethod
    def taken(told, what):
        try:
            took = told.get(timeout=20)
        except queue.Empty:
            raise AssertionError(f"{what}: not told within 20 s") from None
        if isinstance(took, Exception):
            raise AssertionError(f"{what}: {took}")
        return took * 1e3

    def pid(self, pod):
        pids = self.cluster.pids("orrery-sidecar", pod)
        if len(pids) != 1:
            raise AssertionError(f"pod {pod['metadata']['name']} has {len(pids)} sidecars")
        return pids[0]

    def pods_killed(self):
        self.progress(f"{POD_KILLS} sidecars killed outright")
        down, answered, whole = [], [], []
        for round_number in range(POD_KILLS):
            pods = self.mesh.wait_meshed(REPLICAS, 60)
            watcher, victim = pods[0], pods[1 + round_number % (REPLICAS - 1)]
            name = self.owned(victim, watcher, f"killed{round_number}-")
            asking = self.mesh.sidecar(watcher)
            asking.call(name, "set", 7)
            pid, since = self.pid(victim), [0.0]
            told = self.down_told(watcher, victim, since)
            since[0] = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: asking.call(name, "get", timeout=2, **{"Orrery-Timeout": "500ms"}) == 0, 20, f"{name} answers afresh", every=0.001)
            answered.append((time.monotonic() - since[0]) * 1e3)
            down.append(self.taken(told, "a killed sidecar"))
            # Its own account of a mesh that is whole again may be older than the death: wait for a new life first.
            eventually(lambda: self.cluster.pids("orrery-sidecar", victim) not in ([], [pid]), 30, "the sidecar is started again", every=0.02)
            self.mesh.wait_meshed(REPLICAS, 60)
            whole.append((time.monotonic() - since[0]) * 1e3)
        self.rows.add("mesh/killed_to_down", "ms", summary(down), "SIGKILL of a sidecar, to node_down told by another")
        self.rows.add("heal/pod_killed_to_answer", "ms", summary(answered), "SIGKILL of a sidecar, to its process answering a call on another pod")
        self.rows.add("heal/pod_killed_to_whole", "ms", summary(whole),
                      f"the same, to a whole mesh; {RESTART_BACKOFF} s and more of it are the back-off before the container starts again")

    def silence(self):
        self.progress(f"{SILENCES} sidecars fall silent")
        down = []
        for round_number in range(SILENCES):
            pods = self.mesh.wait_meshed(REPLICAS, 60)
            watcher, victim = pods[0], pods[1 + round_number % (REPLICAS - 1)]
            pid, since = self.pid(victim), [0.0]
            told = self.down_told(watcher, victim, since)
            since[0] = time.monotonic()
            os.kill(pid, signal.SIGSTOP)
            try:
                down.append(self.taken(told, "a silent sidecar"))
            finally:
                os.kill(pid, signal.SIGCONT)
        self.rows.add("mesh/silent_to_down", "ms", summary(down), "SIGSTOP of a sidecar, to node_down told by another")
