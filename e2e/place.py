"""An example on a cluster, as its story sees it: where its pods serve, and how to hurt them."""
import os
import signal
import time
import urllib.request

from clusters import ROOT
from mesh import Mesh, runs
from waiting import eventually

PORT = 8080
RELEASE = "example.orrery.dev/release"


class Place:
    """examples/NAME in a namespace of its own. `program` is what runs in its containers."""

    eventually = staticmethod(eventually)

    def __init__(self, cluster, namespace, name, program, say=print, skip=None):
        self.cluster, self.name, self.program, self.say = cluster, name, program, say
        self.skip = skip or say  # takes the reason why an act cannot be shown here
        self.mesh = Mesh(cluster, namespace, name)

    def apply(self, within=90):
        """kubectl apply -k examples/NAME, and waits until every pod's app answers. Returns seconds."""
        since = time.monotonic()
        self.cluster.kubectl("-n", self.mesh.namespace, "apply", "-k", ROOT / "examples" / self.name)
        self.whole(within)
        return time.monotonic() - since

    def whole(self, within=60):
        """Waits until as many pods as wanted are there, and their apps answer."""
        replicas = self.mesh.get()["spec"]["replicas"]
        self.mesh.wait_whole(replicas, within)
        for url in self.urls().values():
            eventually(lambda: urllib.request.urlopen(url + "/healthz", timeout=2).status == 200, within, f"the app at {url} answers")

    def urls(self):
        """Pod name -> where its app serves; of the pods that have an address yet."""
        return {pod["metadata"]["name"]: self.cluster.url(self.mesh.namespace, pod, PORT) for pod in self.mesh.pods() if pod["status"].get("podIP")}

    def follow_urls(self, over, found):
        """Until `over` is set: found(addresses), over and over, as a Service would know them. For a thread."""
        while not over.wait(0.5):
            try:
                if urls := list(self.urls().values()):
                    found(urls)
            except Exception as error:  # a pod that goes while it is looked at; the next look is soon
                self.say(f"looking for the pods: {error}")

    def machine(self, name):
        return self.mesh.pod(name)["spec"]["nodeName"]

    def owner(self, process):
        """The pod that a process belongs to."""
        return self.mesh.sidecar(self.mesh.pods()[0]).owner(process)

    def kill_app(self, name):
        """kill -9 of the app in a pod; the kubelet starts it again. False, and said, where its processes are out of reach."""
        if not self.cluster.can_see_processes:
            self.say("processes of this cluster's containers are out of reach from here: the app is not killed")
            return False
        [pid] = self.cluster.pids(self.program, self.mesh.pod(name))
        os.kill(pid, signal.SIGKILL)
        self.say(f"kill -9 of the app in pod {name}")
        return True

    def roll_out(self, within=120):
        """A new release of the app: every pod is replaced, one after the other. Returns seconds."""
        since = time.monotonic()
        old = {pod["metadata"]["name"] for pod in self.mesh.pods()}
        self.mesh.patch({"template": {"metadata": {"annotations": {RELEASE: str(time.time_ns())}}}})
        eventually(lambda: not old & {pod["metadata"]["name"] for pod in self.mesh.pods(terminating=True) if runs(pod)}, within, "every pod that runs is of the new release")
        self.whole(within)
        return time.monotonic() - since

    def scale(self, replicas, within=60):
        self.mesh.scale(replicas)
        self.mesh.wait_whole(replicas, within)
        self.whole(within)
