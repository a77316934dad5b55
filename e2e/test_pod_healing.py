"""A pod that goes is replaced; its processes answer from other pods meanwhile."""
import time

import pytest

from mesh import runs
from waiting import Prober, eventually

ANSWERED_AGAIN_SECONDS_MAX = 2.0


def delete_and_probe(mesh, *how):
    """Deletes a pod while another calls a process of it. Returns (seconds to an answer once it is gone, longest silence, value)."""
    victim, survivor, _ = mesh.pods()
    name = mesh.owned_by(victim, survivor)
    sidecar = mesh.sidecar(survivor)
    sidecar.call(name, "set", 4)
    with Prober(lambda: sidecar.call(name, "get", timeout=1)) as prober:
        mesh.cluster.kubectl("-n", mesh.namespace, "delete", "pod", victim["metadata"]["name"], "--wait=false", *how)
        eventually(lambda: gone(mesh, victim), 60, "the pod is gone", every=0.05)
        took = prober.answers_after(time.monotonic(), 20)
    print(f"answering {took:.2f} s after the pod is gone; the longest silence was {prober.longest_silence():.2f} s, {len(prober.errors)} calls failed")
    pods = mesh.wait_meshed(3, within=60)
    assert victim["metadata"]["name"] not in [p["metadata"]["name"] for p in pods]
    return took, prober.longest_silence(), sidecar.call(name, "get")


def gone(mesh, pod):
    """It, or all that it ran: its object may stay."""
    return not any(runs(one) for one in mesh.pods(terminating=True) if one["metadata"]["uid"] == pod["metadata"]["uid"])


def test_a_deleted_pod_hands_its_processes_over(mesh):
    took, silence, value = delete_and_probe(mesh)
    assert took <= ANSWERED_AGAIN_SECONDS_MAX and silence <= ANSWERED_AGAIN_SECONDS_MAX
    assert value == 4, "with their state: nothing was lost"


def test_a_pod_that_dies_at_once_is_replaced_and_its_processes_answer_elsewhere(mesh):
    took, silence, _ = delete_and_probe(mesh, "--grace-period=0", "--force")
    assert took <= ANSWERED_AGAIN_SECONDS_MAX + 2.0, "a silent node is down after 2 s, and then its processes start"
    assert silence <= ANSWERED_AGAIN_SECONDS_MAX + 2.0


def test_a_sidecar_that_is_killed_outright_comes_back_in_its_pod(mesh):
    victim, survivor, _ = mesh.pods()
    name, sidecar = mesh.owned_by(victim, survivor), mesh.sidecar(survivor)
    with Prober(lambda: sidecar.call(name, "get", timeout=1)) as prober:
        if not mesh.cluster.kill_sidecar(victim):
            pytest.skip("the processes of this cluster's pods are out of reach")
        killed = time.monotonic()
        took = prober.answers_after(killed + 0.05, 20)
        eventually(lambda: restarts(mesh.pod(victim["metadata"]["name"])) == restarts(victim) + 1, 30, "the kubelet restarts it")
        mesh.wait_meshed(3, within=60)
    print(f"answering {took:.2f} s after SIGKILL; the longest silence was {prober.longest_silence():.2f} s, {len(prober.errors)} calls failed")
    assert prober.longest_silence() <= ANSWERED_AGAIN_SECONDS_MAX + 2.0
    assert victim["metadata"]["uid"] in [p["metadata"]["uid"] for p in mesh.pods()], "the pod was not replaced for it"


def restarts(pod):
    statuses = pod["status"].get("containerStatuses", []) + pod["status"].get("initContainerStatuses", [])
    return next(c["restartCount"] for c in statuses if c["name"] == "orrery")


def test_the_mesh_says_what_it_did(mesh):
    reasons = {e["reason"] for e in mesh.cluster.items("events", mesh.namespace) if e["involvedObject"].get("name", "").startswith(mesh.name)}
    assert {"MeshReady", "MemberJoined"} <= reasons, reasons
