"""The API server hangs for a minute: the mesh serves on, and the operator resumes by itself."""
import time

import pytest

from clusters import operator_ready
from waiting import eventually

OUTAGE_SECONDS = 60
pytestmark = pytest.mark.faults


def test_the_mesh_serves_while_the_api_server_is_away(mesh, api_server):
    pods = mesh.pods()
    operator = eventually(lambda: operator_ready(mesh.cluster), 60, "the operator is ready")[0]
    name = mesh.owned_by(pods[1], pods[0])
    sidecars = [mesh.sidecar(pod) for pod in pods]
    if not all(mesh.cluster.address(pod) for pod in pods):
        pytest.skip("without an API server, pods of this cluster cannot be reached from here")
    expected = sidecars[0].call(name, "set", 0)

    api_server(running=False)
    failures, calls = [], 0
    began = time.monotonic()
    while time.monotonic() - began < OUTAGE_SECONDS:
        for sidecar in sidecars:
            calls += 1
            try:
                expected += 1
                assert sidecar.call(name, "add", 1, timeout=3) == expected
            except Exception as error:
                failures.append(f"{time.monotonic() - began:.0f} s: {error!r}")
        time.sleep(0.5)
    api_server(running=True)
    print(f"{calls} calls during {OUTAGE_SECONDS} s without an API server, {len(failures)} failed")
    assert failures == []

    mesh.wait_whole(3, within=60)
    assert [p["metadata"]["uid"] for p in mesh.pods()] == [p["metadata"]["uid"] for p in pods], "no pod was lost to it"
    mesh.scale(4)
    mesh.wait_whole(4, within=60)
    assert operator_ready(mesh.cluster)[0]["metadata"]["uid"] == operator["metadata"]["uid"], "the operator resumed by itself"
    mesh.scale(3)
    mesh.wait_whole(3, within=60)


def test_a_sidecar_that_restarts_meanwhile_joins_with_the_members_that_it_remembers(mesh, api_server_only):
    pods = mesh.pods()
    names = [p["metadata"]["name"] for p in pods]
    victim = pods[1]
    name = mesh.owned_by(pods[0], victim)
    through = mesh.sidecar(victim)
    if not all(mesh.cluster.address(pod) for pod in pods):
        pytest.skip("without an API server, pods of this cluster cannot be reached from here")
    through.call(name, "set", 7)
    before = mesh.cluster.pids("orrery-sidecar", victim)
    if not before:
        pytest.skip("processes of this cluster are out of reach")

    api_server_only(running=False)
    killed = time.monotonic()
    mesh.cluster.kill_sidecar(victim)
    eventually(lambda: set(mesh.cluster.pids("orrery-sidecar", victim)) - set(before), 30, "the kubelet restarts the container")
    restarted = time.monotonic()
    eventually(lambda: through.up() == names, 10, "it is connected to every other")
    assert through.call(name, "get") == 7
    assert through.call(mesh.owned_by(victim, pods[0], prefix="back"), "add", 1) == 1
    print(f"restarted {restarted - killed:.1f} s after the kill, and joined {time.monotonic() - restarted:.1f} s later, without an API server")
    api_server_only(running=True)

    mesh.wait_whole(3, within=60)
    assert [p["metadata"]["uid"] for p in mesh.pods()] == [p["metadata"]["uid"] for p in pods], "no pod was lost to it"
