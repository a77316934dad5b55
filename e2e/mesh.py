"""A ProcessMesh as a test sees it: its pods, its status, and its processes through any of its sidecars."""
import json
import time

from waiting import eventually

APP = {  # the samples' app: Orrery's own command line, which prints what happens in the mesh
    "name": "app", "image": "localhost/orrery-sidecar:dev", "imagePullPolicy": "IfNotPresent", "command": ["/usr/bin/orrery", "events"],
    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
}


def document(name, replicas=3, **spec):
    return {"apiVersion": "orrery.dev/v1alpha1", "kind": "ProcessMesh", "metadata": {"name": name},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [APP]}}, **spec}}


def class_document(name, mesh, **spec):
    return {"apiVersion": "orrery.dev/v1alpha1", "kind": "ProcessClass", "metadata": {"name": name},
            "spec": {"meshRef": {"name": mesh}, **spec}}


# A pod's programs end within its grace period. When its kubelet says so by removing the object is its own affair: those of 1.20
# look for what has ended once a minute where they have missed the end itself ("ContainerStatusUnknown").
OBJECT_GONE_WITHIN = 150


def runs(pod):
    statuses = pod["status"].get("containerStatuses", []) + pod["status"].get("initContainerStatuses", [])  # native sidecars
    return any("running" in each["state"] for each in statuses)


def joined(pod):
    return not pod["metadata"].get("deletionTimestamp") and any(
        c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


class Mesh:
    def __init__(self, cluster, namespace, name):
        self.cluster, self.namespace, self.name = cluster, namespace, name

    def create(self, replicas=3, **spec):
        self.cluster.apply(document(self.name, replicas, **spec), self.namespace)
        return self

    def get(self):
        return self.cluster.json("-n", self.namespace, "get", "processmesh", self.name)

    def status(self):
        return self.get().get("status", {})

    def condition(self, kind):
        return next((c for c in self.status().get("conditions", []) if c["type"] == kind), None)

    def scale(self, replicas):
        self.cluster.kubectl("-n", self.namespace, "scale", "processmesh", self.name, f"--replicas={replicas}")

    def patch(self, spec):
        self.cluster.kubectl("-n", self.namespace, "patch", "processmesh", self.name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def everything(self, kinds="pods,secrets,configmaps,services,serviceaccounts,roles,rolebindings,poddisruptionbudgets"):
        return self.cluster.items(kinds, self.namespace, f"orrery.dev/mesh={self.name}")

    def pods(self, terminating=False):
        pods = self.cluster.items("pods", self.namespace, f"orrery.dev/mesh={self.name},orrery.dev/role=node")
        return sorted((p for p in pods if terminating or not p["metadata"].get("deletionTimestamp")), key=lambda p: p["metadata"]["name"])

    def pod(self, name):
        return next(p for p in self.pods() if p["metadata"]["name"] == name)

    def sidecar(self, pod):
        return self.cluster.sidecar(self.namespace, pod)

    def orrery(self, pod, *arguments, check=True):
        return self.cluster.orrery(self.namespace, pod, *arguments, check=check)

    def whole(self, replicas):
        """Its pods when exactly as many as wanted are there and have joined, and the operator says the same; else None."""
        pods = self.pods()
        status = self.status()
        if len(pods) == replicas and all(map(joined, pods)) and status.get("readyReplicas") == replicas:
            return pods
        return None

    def wait_whole(self, replicas=3, within=30):
        started = time.monotonic()
        eventually(lambda: self.whole(replicas) is not None, within, f"mesh {self.name} is whole with {replicas} pods")
        self.formation_seconds = time.monotonic() - started
        return self.pods()

    def wait_meshed(self, replicas=3, within=30):
        """Whole, and every node is connected to every other by its own account."""
        pods = self.wait_whole(replicas, within)
        names = [p["metadata"]["name"] for p in pods]
        for pod in pods:
            eventually(lambda: self.sidecar(pod).up() == names, within, f"{pod['metadata']['name']} is connected to {names}")
        return pods

    def owned_by(self, pod, asked=None, process_class="counter", prefix="k"):
        """A name that belongs to this pod's node, by the mesh's own account."""
        sidecar = self.sidecar(asked or pod)
        for number in range(200):
            name = f"{process_class}/{prefix}{number}"
            if sidecar.owner(name) == pod["metadata"]["name"]:
                return name
        raise AssertionError(f"none of 200 names belongs to {pod['metadata']['name']}")

    def delete(self, within=60):
        self.cluster.kubectl("-n", self.namespace, "delete", "processmesh", self.name, "--ignore-not-found", f"--timeout={within}s", timeout=within + 10)

    def wait_nothing_left(self, within=60):
        """Nothing with its label is there; within `within` no more than objects of pods of which nothing runs."""
        def left(but_ended=False):
            names = [f"{i['kind']}/{i['metadata']['name']}" for i in self.everything() if not but_ended or i["kind"] != "Pod" or runs(i)]
            assert names == []
            return True
        eventually(lambda: left(but_ended=True), within, f"nothing of mesh {self.name} is left that does anything")
        eventually(left, OBJECT_GONE_WITHIN, f"nothing of mesh {self.name} is left")
