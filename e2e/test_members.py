"""Clients that are processes: an app in each pod is in a group and stands for leader, and apps and pods are killed."""
import os
import signal

import pytest

from clusters import PYTHON_IMAGE, ROOT
from conftest import NAMESPACE
from waiting import eventually


@pytest.fixture
def members(cluster, own_mesh):
    if not cluster.can_see_processes:
        pytest.skip(f"the {cluster.name} cluster's containers are out of reach: their app cannot be killed")
    script = (ROOT / "e2e/members_app.py").read_text()
    cluster.apply([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "members-app"}, "data": {"members_app.py": script}}], NAMESPACE)
    mesh = own_mesh("members", template={"spec": {
        "containers": [{
            "name": "app", "image": PYTHON_IMAGE, "command": ["python3", "/app/members_app.py"],
            "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "volumeMounts": [{"name": "app", "mountPath": "/app"}]}],
        "volumes": [{"name": "app", "configMap": {"name": "members-app"}}]}})
    mesh.wait_meshed(3)
    yield mesh
    cluster.kubectl("-n", NAMESPACE, "delete", "configmap/members-app", "--ignore-not-found")


def names(mesh):
    return {pod["metadata"]["name"] for pod in mesh.pods()}


def in_group(mesh):
    """Where each sidecar sees members of the group."""
    return [sorted(each["node"] for each in mesh.sidecar(pod).request("GET", "/v1/groups/members")["members"]) for pod in mesh.pods()]


def leaders(mesh):
    """(pid, node, value) of who leads, as each sidecar sees it."""
    seen = [mesh.sidecar(pod).request("GET", "/v1/registry?prefix=leader")["entries"] for pod in mesh.pods()]
    return [[(each["pid"], each["node"], each["value"]) for each in entries] for entries in seen]


def the_leader(mesh):
    """The one that all agree on, or None."""
    seen = leaders(mesh)
    return seen[0][0] if seen and len(seen[0]) == 1 and all(each == seen[0] for each in seen) else None


def settled(mesh, within, but=None):
    """The leader, once all three are members and all agree on another than `but`."""
    eventually(lambda: len(names(mesh)) == 3 and in_group(mesh) == [sorted(names(mesh))] * 3, within, "one app of each pod is a member")
    eventually(lambda: the_leader(mesh) not in (None, but), within, "all agree on who leads")
    leader = the_leader(mesh)
    assert leader[1] == leader[2] and leader[1] in names(mesh)
    return leader


def test_a_group_and_a_leader_outlive_the_apps_and_pods_of_their_members(cluster, members):
    first = settled(members, 30)
    pod = members.pod(first[1])
    [app] = cluster.pids("python3", pod)
    os.kill(app, signal.SIGKILL)
    eventually(lambda: the_leader(members) not in (None, first), 10, "another leads when the leader's app is killed")
    second = settled(members, 60, but=first)
    cluster.kubectl("-n", NAMESPACE, "delete", "pod", second[1], "--grace-period=0", "--force")
    eventually(lambda: the_leader(members) not in (None, second), 20, "another leads when the leader's pod is gone")
    members.wait_meshed(3, within=60)
    third = settled(members, 60, but=second)
    assert second[1] not in names(members) and third[1] != second[1]
