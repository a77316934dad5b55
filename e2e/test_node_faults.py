"""Machines stop and networks part; the rest of the mesh goes on."""
import time

import pytest

from waiting import eventually

pytestmark = pytest.mark.faults


def on_other_host(mesh, host):
    return next(p for p in mesh.pods() if p["spec"]["nodeName"] != host)


def host_of_one(mesh):
    """A pod on a host that has no more than its share of the mesh and not the operator."""
    from clusters import operator_ready
    operator_host = operator_ready(mesh.cluster)[0]["spec"]["nodeName"]
    pods = mesh.pods()
    return next((p for p in pods if p["spec"]["nodeName"] != operator_host), pods[0])


def test_a_machine_that_stops_is_survived(mesh, faulty_hosts):
    victim = host_of_one(mesh)
    host = victim["spec"]["nodeName"]
    survivor = on_other_host(mesh, host)
    sidecar = mesh.sidecar(survivor)
    name = mesh.owned_by(victim, survivor)
    mine = mesh.owned_by(survivor, survivor)
    sidecar.call(mine, "set", 6)

    faulty_hosts.stop_host(host)
    stopped = time.monotonic()
    eventually(lambda: sidecar.call(name, "get", timeout=2) == 0, 15, "its processes answer elsewhere")
    print(f"answering {time.monotonic() - stopped:.1f} s after the power was cut")
    assert sidecar.call(mine, "get") == 6, "processes of the others are untouched"
    eventually(lambda: len([p for p in mesh.pods() if p["spec"]["nodeName"] != host]) == 3, 120, "its pod is replaced on another machine")
    faulty_hosts.start_host(host)
    mesh.wait_meshed(3, within=90)


def test_a_machine_that_is_cut_off_comes_back(mesh, faulty_hosts):
    victim = host_of_one(mesh)
    host = victim["spec"]["nodeName"]
    survivor = on_other_host(mesh, host)
    sidecar = mesh.sidecar(survivor)
    name = mesh.owned_by(victim, survivor)
    faulty_hosts.cut(host)
    cut = time.monotonic()
    eventually(lambda: sidecar.call(name, "add", 1, timeout=2) >= 1, 15, "its processes answer on this side")
    print(f"answering {time.monotonic() - cut:.1f} s after the cut")
    faulty_hosts.heal(host)
    mesh.wait_meshed(3, within=120)
    owners = {mesh.sidecar(pod).owner(name) for pod in mesh.pods()}
    assert len(owners) == 1, "one owner, by everybody's account"
