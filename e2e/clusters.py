"""The clusters that the suite runs on, behind one interface: the embedded one, a real one on this machine, or any kubeconfig."""
import contextlib
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

from sdk import Sidecar
from waiting import eventually

ROOT = pathlib.Path(__file__).resolve().parents[1]
SOUND_API_SERVER = ROOT / "e2e/kube_apiserver.sh"
SYSTEM = "orrery-system"
OPERATOR_IMAGE = "localhost/orrery-operator:dev"
SIDECAR_IMAGE = "localhost/orrery-sidecar:dev"
PYTHON_IMAGE = "localhost/orrery-python:dev"
OPERATOR = "app.kubernetes.io/component=operator"  # label of its pods
CLONE_NEWNET = 0x40000000
PROBE_DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "probes.e2e.orrery.dev"},
    "spec": {"group": "e2e.orrery.dev", "scope": "Namespaced", "names": {"plural": "probes", "kind": "Probe"},
             "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}]}}


class Failed(AssertionError):
    pass


class Unusable(Exception):
    """The cluster itself is at fault, whatever runs on it: there is nothing to test there."""


def run(*command, timeout=60, check=True, stdin=None, env=None):
    """Runs a command; its failure says what it printed."""
    done = subprocess.run([str(c) for c in command], input=stdin, capture_output=True, text=True, timeout=timeout, env=env)
    if check and done.returncode:
        raise Failed(f"{' '.join(str(c) for c in command)}: exit {done.returncode}\n{done.stdout}{done.stderr}".strip())
    return done


class Cluster:
    """A cluster reached by a kubeconfig. What it cannot do raises NotImplementedError, and the test that wants it is skipped."""

    name = "kubeconfig"
    can_fault_hosts = False       # stop_host, start_host, cut, heal
    can_stop_api_server = False   # api_server(running)
    can_see_processes = False     # pids
    ends_with_the_run = False     # stop() takes it down, and all that is on it

    def __init__(self, kubeconfig, programs):
        self.kubeconfig = str(kubeconfig)
        self.programs = pathlib.Path(programs)
        self.forwards = {}

    # ---- life ----

    def start(self):
        pass

    def stop(self):
        for process, _ in self.forwards.values():
            process.kill()
            process.wait()
        self.forwards.clear()

    def load_images(self):
        pass

    # ---- kubectl ----

    def kubectl(self, *arguments, **options):
        return run("kubectl", "--kubeconfig", self.kubeconfig, *arguments, **options)

    def json(self, *arguments, **options):
        return json.loads(self.kubectl(*arguments, "-o", "json", **options).stdout)

    def items(self, kinds, namespace, selector=None):
        return self.json("-n", namespace, "get", kinds, *(["-l", selector] if selector else []))["items"]

    def apply(self, manifest, namespace=None, check=True):
        """Applies a document or a list of them."""
        documents = manifest if isinstance(manifest, list) else [manifest]
        text = manifest if isinstance(manifest, str) else json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
        return self.kubectl(*(["-n", namespace] if namespace else []), "apply", "-f", "-", stdin=text, check=check)

    # ---- into a pod ----

    def sidecar(self, namespace, pod):
        """The SDK of a pod."""
        return Sidecar("127.0.0.1", self.forward(namespace, pod, 3600))

    def url(self, namespace, pod, port):
        """Where this machine reaches what a container of the pod serves."""
        if address := self.address(pod):
            return f"http://{address}:{port}"
        return f"http://127.0.0.1:{self.forward(namespace, pod, port)}"

    def forward(self, namespace, pod, port):
        """A port of this machine that leads to the pod's, through a port-forward that is kept while the pod lives."""
        key = (namespace, pod["metadata"]["name"], pod["metadata"]["uid"], port)
        process, local = self.forwards.get(key, (None, None))
        if process is None or process.poll() is not None:
            process = subprocess.Popen(
                ["kubectl", "--kubeconfig", self.kubeconfig, "-n", namespace, "port-forward", "pod/" + key[1], f":{port}"],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            line = process.stdout.readline()
            match = re.search(r"127\.0\.0\.1:(\d+)", line)
            if not match:
                process.kill()
                process.wait()
                raise Failed(f"no port-forward to pod {key[1]}: {line.strip() or 'it ended'}")
            local = int(match.group(1))
            self.forwards[key] = (process, local)
        return local

    def orrery(self, namespace, pod, *arguments, check=True):
        """The command line inside a pod, as its user would run it."""
        return self.kubectl("-n", namespace, "exec", pod["metadata"]["name"], "-c", "orrery", "--", "orrery", *arguments, check=check)

    def address(self, pod):
        """An address at which this machine reaches the pod's ports, or None."""
        return None

    # ---- faults ----

    def kill_operator(self):
        """Ends the operator without a chance to say goodbye; the Deployment brings another at once."""
        for pod in self.items("pods", SYSTEM, OPERATOR):
            for pid in self.pids("orrery-operator", pod):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            # Without this the kubelet would wait longer before each restart: crash loop back-off, 10 s doubled each time.
            self.kubectl("-n", SYSTEM, "delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force", "--wait=false", check=False)

    def kill_sidecar(self, pod):
        """Ends the sidecar of a pod as a crash would; False where processes are out of reach."""
        pids = self.pids("orrery-sidecar", pod)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return bool(pids)

    def api_server_only(self, running):
        """Takes the API server away, and leaves the kubelets at work."""
        self.api_server(running)

    def pids(self, program, pod):
        """Processes of that name in a pod, where they run on this machine."""
        return []


def processes(program, belongs):
    """Pids of running programs of that base name for which belongs(folder in /proc) holds."""
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
            if os.path.basename(command[0].decode(errors="replace")) != program:
                continue
            if not belongs(entry):
                continue
        except (OSError, IndexError):
            continue
        yield int(entry.name)


def connect_inside(network, address, timeout):
    """A connection made in another network namespace; a socket stays where it was made, the thread comes back."""
    set_namespace = ctypes.CDLL(None, use_errno=True).setns
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if set_namespace(network, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        try:
            return socket.create_connection(address, timeout)
        finally:
            set_namespace(home, CLONE_NEWNET)
    finally:
        os.close(home)


class RealCluster(Cluster):
    """A real Kubernetes whose hosts are network namespaces of this machine; see e2e/README.md for the script it is driven by."""

    name = "real"
    can_fault_hosts = True
    can_stop_api_server = True
    can_see_processes = True

    def __init__(self, script, programs):
        self.script = pathlib.Path(script).resolve()
        self.state = pathlib.Path(os.environ.get("CLUSTER_DIR", "/tmp/cluster"))
        self.was_up = False
        self.networks = {}  # pod uid -> open network namespace
        super().__init__(run(self.script, "kubeconfig").stdout.strip(), programs)

    def start(self):
        self.was_up = self.kubectl("get", "nodes", check=False).returncode == 0
        if self.was_up:
            return
        run(self.script, "up", timeout=300)
        if self.stores_custom_resources():
            return
        run(self.script, "down", timeout=120)
        print(f"{self.script}: its kube-apiserver dies when it stores a custom resource; building one that does not ({SOUND_API_SERVER.name})", flush=True)
        done = subprocess.run([SOUND_API_SERVER, self.state / "bin/kube-apiserver"], stdin=subprocess.DEVNULL, timeout=1200)
        if done.returncode == 0:
            run(self.script, "up", timeout=300)
            if self.stores_custom_resources():
                return
            run(self.script, "down", timeout=120)
        raise Unusable(f"{self.script}: its kube-apiserver dies when it stores a custom resource, and none that does not could be built "
                       f"({SOUND_API_SERVER.name} says why)")

    def stores_custom_resources(self):
        """Kubernetes 1.20 built with Go 1.18 or later dies when it stores its first one. No ProcessMesh can exist there, and no test would
        say anything of ours."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps(PROBE_DEFINITION))
        self.kubectl("wait", "--for=condition=Established", "crd/probes.e2e.orrery.dev", "--timeout=30s")
        probe = {"apiVersion": "e2e.orrery.dev/v1", "kind": "Probe", "metadata": {"name": "probe", "namespace": "default"}}
        eventually(lambda: self.kubectl("get", "probes", "-n", "default", check=False).returncode == 0, 30, "probes are served")
        self.kubectl("create", "-f", "-", stdin=json.dumps(probe), check=False)
        if self.kubectl("get", "--raw", "/readyz", check=False).returncode:
            return False
        self.kubectl("delete", "crd", "probes.e2e.orrery.dev")
        return True

    @property
    def ends_with_the_run(self):
        return not self.was_up

    def stop(self):
        super().stop()
        for network in self.networks.values():  # a namespace lives as long as somebody holds it
            os.close(network)
        self.networks.clear()
        if not self.was_up:
            done = run(self.script, "down", timeout=120, check=False)  # says nothing of ours: told, not judged
            if done.returncode:
                print(f"{self.script} down: exit {done.returncode}\n{done.stdout}{done.stderr}")

    def load_images(self):
        for image in sorted((ROOT / "build/images").glob("orrery-*.tar")):
            run(self.script, "load", image, timeout=120)

    def address(self, pod):
        return pod["status"].get("podIP")

    def sidecar(self, namespace, pod):
        """From inside the pod's network, as its app: with no API server in between, so it works while that is stopped."""
        uid = pod["metadata"]["uid"]
        if uid not in self.networks:
            pids = self.pids("orrery-sidecar", pod)
            if not pids:
                raise Failed(f"no orrery-sidecar runs in pod {pod['metadata']['name']}")
            self.networks[uid] = os.open(f"/proc/{pids[0]}/ns/net", os.O_RDONLY)
        return Sidecar("127.0.0.1", 3600, lambda timeout: connect_inside(self.networks[uid], ("127.0.0.1", 3600), timeout))

    def pids(self, program, pod):
        uid = pod["metadata"]["uid"]
        return list(processes(program, lambda entry: uid in (entry / "cgroup").read_text()))

    # Hosts are named node1, node2, ... in Kubernetes and 1, 2, ... by the script.
    def stop_host(self, host):
        run(self.script, "stop-node", host.removeprefix("node"), timeout=60)

    def start_host(self, host):
        """Its kubelet needs the script to stay in the background: no pipes to wait for."""
        subprocess.run([self.script, "start-node", host.removeprefix("node")], timeout=60, check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(lambda: self.host_ready(host), 90, f"{host} is ready again")

    def cut(self, host):
        run(self.script, "cut", host.removeprefix("node"))

    def heal(self, host):
        run(self.script, "heal", host.removeprefix("node"))

    def host_ready(self, host):
        conditions = self.json("get", "node", host)["status"]["conditions"]
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    def api_server(self, running):
        """Stops the API server's process where it stands, or lets it go on: connections hang, as with a machine that swaps."""
        pid = int((self.state / "pid/kube-apiserver").read_text())
        assert b"kube-apiserver" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        os.kill(pid, signal.SIGCONT if running else signal.SIGSTOP)


class EmbeddedCluster(Cluster):
    """kube/local: an API server and a kubelet in one process of this machine; pods are processes with an address of 127.0.0.0/8."""

    name = "embedded"
    can_stop_api_server = True
    can_see_processes = True
    ends_with_the_run = True

    def __init__(self, folder, programs):
        self.folder = pathlib.Path(folder)
        self.process = None
        super().__init__(self.folder / "kubeconfig", programs)

    def start(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        modules = self.folder / "node_modules/@orrery"  # above every pod's files, as /node_modules is in the image with Node
        modules.mkdir(parents=True)
        (modules / "sdk").symlink_to(ROOT / "sdk/typescript")
        with open(self.folder / "orrery-local.log", "wb") as log:
            self.process = subprocess.Popen(
                [self.programs / "orrery-local", "--dir", self.folder, "--nodes", "2",
                 "--image", f"{OPERATOR_IMAGE}={self.programs}/orrery-operator",
                 "--image", f"{SIDECAR_IMAGE}={self.programs}/orrery-sidecar",
                 "--image", f"localhost/orrery:dev={self.programs}/orrery",  # the sidecar image's other program, found by its name
                 "--image", f"{PYTHON_IMAGE}={ROOT}/e2e/interpreters/python3"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually(self.serves, 15, f"the embedded cluster serves (its log: {self.folder}/orrery-local.log)")

    def serves(self):
        if self.process.poll() is not None:
            raise Failed(f"orrery-local ended with status {self.process.returncode}")
        return os.path.exists(self.kubeconfig) and self.kubectl("get", "--raw", "/readyz", check=False).returncode == 0

    def stop(self):
        super().stop()
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def sidecar(self, namespace, pod):
        return Sidecar(pod["status"]["podIP"], 3600)

    def orrery(self, namespace, pod, *arguments, check=True):
        return run(self.programs / "orrery", "--sidecar", f"http://{pod['status']['podIP']}:3600", *arguments, check=check)

    def address(self, pod):
        return pod["status"].get("podIP")

    def pids(self, program, pod):
        """Its pods are plain processes, which have their pod's name in the environment."""
        marks = {f"HOSTNAME={pod['metadata']['name']}".encode()}
        return list(processes(program, lambda entry: marks <= set((entry / "environ").read_bytes().split(b"\0"))))

    def api_server(self, running):
        self.process.send_signal(signal.SIGCONT if running else signal.SIGSTOP)

    def api_server_only(self, running):
        # The kubelet lives in the same process, and goes on: it does not use the interface that is shut here, to our programs.
        if running:
            self.kubectl("delete", "--raw", "/orrery/faults")
        else:
            self.kubectl("create", "--raw", "/orrery/faults", "-f", "-", stdin='{"outage": true, "user_agent": "orrery-", "drop_watches": true}')


def open_cluster(kind, kubeconfig, programs):
    if kubeconfig:
        return Cluster(kubeconfig, programs)
    if kind == "real":
        script = os.environ.get("ORRERY_REAL_CLUSTER") or ROOT.parent / "shared/cluster/cluster"
        if not os.access(script, os.X_OK):
            raise SystemExit(f"e2e: no cluster script at {script}; set ORRERY_REAL_CLUSTER, see e2e/README.md")
        return RealCluster(script, programs)
    if not (pathlib.Path(programs) / "orrery-local").exists():
        raise SystemExit(f"e2e: no orrery-local in {programs}; ./dev build first")
    return EmbeddedCluster(ROOT / "build/e2e/embedded", programs)


def install(cluster):
    """kubectl apply -k manifests/, and a fresh operator of the images that were just loaded."""
    cluster.kubectl("apply", "-k", ROOT / "manifests", timeout=120)
    for crd in ("processmeshes", "processclasses"):
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", f"crd/{crd}.orrery.dev")
    cluster.kubectl("-n", SYSTEM, "delete", "pods", "-l", OPERATOR, "--wait=false")
    started = time.monotonic()
    eventually(lambda: operator_ready(cluster) or operator_crashes(cluster), 60, "the operator is ready")
    if (why := operator_crashes(cluster)) and not operator_ready(cluster):
        raise RuntimeError(f"the operator does not start: {why}")
    return time.monotonic() - started


def operator_crashes(cluster, namespace=SYSTEM):
    """Its last words, where it has ended more than once."""
    for pod in cluster.items("pods", namespace, OPERATOR):
        for container in pod["status"].get("containerStatuses", []):
            if container.get("restartCount", 0) > 1 and not pod["metadata"].get("deletionTimestamp"):
                log = cluster.kubectl("-n", namespace, "logs", pod["metadata"]["name"], "--tail=1", check=False).stdout.strip()
                return log or f"pod {pod['metadata']['name']} was restarted {container['restartCount']} times"
    return None


def remove_operator(cluster):
    """Until its Deployment is scaled up again. Its pods go by force: a kubelet may take a minute to say that an ended pod is gone."""
    cluster.kubectl("-n", SYSTEM, "scale", "deployment", "orrery-operator", "--replicas=0")
    cluster.kubectl("-n", SYSTEM, "delete", "pods", "-l", OPERATOR, "--grace-period=0", "--force", "--wait=false")
    eventually(lambda: not cluster.items("pods", SYSTEM, OPERATOR), 60, "the operator in the cluster is gone")


def operator_ready(cluster, namespace=SYSTEM):
    pods = cluster.items("pods", namespace, OPERATOR)
    alive = [p for p in pods if not p["metadata"].get("deletionTimestamp")]
    ready = [p for p in alive if any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions", []))]
    return ready if len(alive) == len(ready) == 1 else None
