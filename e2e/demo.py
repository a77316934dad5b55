#!/usr/bin/env python3
"""./dev demo: a cluster, the operator, a mesh of three pods, and both levels of healing, live and in numbers."""
import json
import pathlib
import statistics
import subprocess
import sys
import threading
import time

import stage
from clusters import ROOT, EmbeddedCluster
from mesh import Mesh, joined
from stage import bold, chapter, line, seconds
from waiting import eventually

NAMESPACE = "orrery-demo"


def watch_formation(mesh, replicas, within, since):
    """Prints what each pod comes to, once, until the mesh is whole."""
    seen = {}

    def tell(pods):
        for pod in pods:
            name = pod["metadata"]["name"]
            state = "has joined the mesh" if joined(pod) else {"Pending": "is being made", "Running": "runs, and looks for its peers"}.get(
                pod["status"].get("phase", "Pending"), pod["status"].get("phase"))
            if seen.get(name) != state:
                seen[name] = state
                line(f"pod {bold(name)} {state}", since)

    def look():
        tell(mesh.pods())
        pods = mesh.whole(replicas)
        tell(pods or [])
        return pods
    pods = eventually(look, within, f"{replicas} pods have joined the mesh", every=0.1)
    line(f"kubectl get pmesh: {bold(mesh.status()['joined'])} joined, phase {mesh.status()['phase']}", since)
    return pods


def show_formation(mesh):
    chapter("1. The mesh forms: kubectl apply -k manifests/samples")
    since = time.monotonic()
    mesh.cluster.kubectl("-n", NAMESPACE, "apply", "-k", ROOT / "manifests/samples")
    watch_formation(mesh, 3, 60, since)
    pods = mesh.wait_meshed(3, 30)
    line(f"every node is connected to every other by mutual TLS, {bold(seconds(time.monotonic() - since))} after kubectl apply", since)
    return pods


def show_calls(mesh, pods):
    chapter("2. A process is the same from every pod: orrery call counter/visits add 1")
    sidecars = [mesh.sidecar(pod) for pod in pods]
    owner = sidecars[0].owner("counter/visits")
    for pod, sidecar in zip(pods, sidecars):
        sidecar.call("counter/visits", "add", 0)
        times = []
        for _ in range(200):
            start = time.perf_counter()
            value = sidecar.call("counter/visits", "add", 1)
            times.append(time.perf_counter() - start)
        where = "its own node" if pod["metadata"]["name"] == owner else f"through the mesh to {owner}"
        line(f"200 calls from {bold(pod['metadata']['name'])}, {where}: counter is at {bold(value)}, median {seconds(statistics.median(times))}")
    if value != 600:
        raise AssertionError(f"600 calls were answered, but the counter is at {value}")
    sidecars[1].call("cart/alice", "add", {"item": "tea", "count": 2})
    line(f"a class in Lua: cart/alice is given tea on one pod, and tells another what it holds: {bold(sidecars[2].call('cart/alice', 'items'))}")


def first_event(sidecar, wanted, ready, found):
    """In a thread: puts the first event that wanted(kind, data) into `found`."""
    try:
        for kind, data in sidecar.events(timeout=10):
            if kind is None:
                ready.set()
            elif wanted(kind, data):
                found.append(data)
                return
    except OSError as error:
        found.append({"error": str(error)})
    finally:
        ready.set()


def show_restart_time(programs):
    """What HTTP hides: the same runtime without it, killing processes one after another."""
    line("now the same without HTTP, 20000 times in one program (some seconds) ...")
    try:
        done = subprocess.run([programs / "orrery-bench", "--json", "processes"], capture_output=True, text=True, timeout=60)
        rows = {row["name"]: row["values"] for row in map(json.loads, done.stdout.splitlines())}
        crash = rows["process/crash_counter"]
    except (OSError, ValueError, KeyError, subprocess.TimeoutExpired):
        return
    line(f"killed, restarted and answering again in {bold(seconds(crash['p50'] / 1e6, 1))} (p50), {seconds(crash['p99'] / 1e6, 1)} (p99)")


def show_process_healing(mesh, pods):
    chapter("3. A process is killed: orrery kill counter/visits")
    sidecar = mesh.sidecar(pods[0])
    owner = sidecar.owner("counter/visits")
    siblings = [name for name in (f"counter/sibling{n}" for n in range(300)) if sidecar.owner(name) == owner][:50]
    for name in siblings:
        sidecar.call(name, "set", 7)
    sidecar.call("counter/visits", "get")
    before = sidecar.inspect("counter/visits")

    ready, found = threading.Event(), []
    listener = threading.Thread(daemon=True, target=first_event, args=(
        mesh.sidecar(mesh.pod(owner)), lambda kind, data: kind == "process_restarted" and data.get("key") == "visits", ready, found))
    listener.start()
    ready.wait(5)
    start = time.perf_counter()
    sidecar.kill("counter/visits", "the demo's doing")
    value = sidecar.call("counter/visits", "get")
    answered = time.perf_counter() - start
    listener.join(5)
    after = sidecar.inspect("counter/visits")
    if found and "pid" in found[0]:
        took = bold("within the same turn of its node's loop, before any other message")
        line(f"its supervisor restarted it {took}: {before['pid']} is now {after['pid']}")
    line(f"kill and next call, two HTTP requests from here: {bold(seconds(answered))}; it answers {value}, afresh (state is in memory in this form)")
    line(f"restarts {before['restarts']} -> {bold(after['restarts'])}, last exit: {after['lastExit']['reason']}")
    if after["restarts"] != before["restarts"] + 1:
        raise AssertionError(f"one restart was expected, not {after['restarts'] - before['restarts']}")
    touched = [name for name in siblings if sidecar.call(name, "get") != 7]
    if touched or not siblings:
        raise AssertionError(f"siblings lost their state: {touched}")
    line(f"{bold(len(siblings))} siblings on the same node kept their state")
    show_restart_time(mesh.cluster.programs)


def show_pod_healing(mesh, pods):
    chapter("4. A pod is killed: kubectl delete pod --force")
    sidecar = mesh.sidecar(pods[0])
    victim = next(p for p in pods[1:])
    name = mesh.owned_by(victim, pods[0], prefix="homed")
    sidecar.call(name, "set", 7)
    untouched = mesh.owned_by(pods[0], pods[0], prefix="stays")
    sidecar.call(untouched, "set", 7)
    line(f"{bold(name)} lives on {bold(victim['metadata']['name'])}; now that pod is killed, with no time to say goodbye")
    since = time.monotonic()
    mesh.cluster.kubectl("-n", NAMESPACE, "delete", "pod", victim["metadata"]["name"], "--grace-period=0", "--force", "--wait=false")

    def elsewhere():
        sidecar.call(name, "get", timeout=1)
        owner = sidecar.owner(name)
        return owner if owner != victim["metadata"]["name"] else None
    owner = eventually(elsewhere, 20, f"{name} answers from another pod", every=0.02)
    moved = time.monotonic() - since
    line(f"{bold(name)} answers from {bold(owner)} after {bold(seconds(moved))}", since)
    if sidecar.call(untouched, "get") != 7:
        raise AssertionError(f"{untouched} lost its state, but its pod was not touched")
    line("processes of the other pods never noticed", since)
    watch_formation(mesh, 3, 90, since)
    mesh.wait_meshed(3, 30)
    line(f"a new pod has taken its place after {bold(seconds(time.monotonic() - since))}", since)


def try_it(cluster, mesh):
    program = cluster.programs / "orrery"
    shown = program.relative_to(pathlib.Path.cwd()) if program.is_relative_to(pathlib.Path.cwd()) else program
    chapter("It is running. Try, in another terminal:")
    print(f"""
  export KUBECONFIG={cluster.kubeconfig}
  kubectl -n {NAMESPACE} get pmesh,pclass,pods
  kubectl -n {NAMESPACE} describe pmesh {mesh.name}
  kubectl -n {NAMESPACE} scale pmesh {mesh.name} --replicas=5
  {shown} --mesh {mesh.name} -n {NAMESPACE} nodes
  {shown} --mesh {mesh.name} -n {NAMESPACE} call counter/visits add 5
  {shown} --mesh {mesh.name} -n {NAMESPACE} kill counter/visits
  {shown} --mesh {mesh.name} -n {NAMESPACE} processes
  {shown} --mesh {mesh.name} -n {NAMESPACE} events          # of every node
  {shown} --help""")
    if isinstance(cluster, EmbeddedCluster):
        for pod in mesh.pods():
            print(f"  curl http://{pod['status']['podIP']}:3600/v1/nodes          # {pod['metadata']['name']}'s sidecar")
    stage.wait_for_ctrl_c()


def tour(cluster, once):
    stage.set_up(cluster, NAMESPACE)
    mesh = Mesh(cluster, NAMESPACE, "demo")
    pods = show_formation(mesh)
    show_calls(mesh, pods)
    show_process_healing(mesh, pods)
    show_pod_healing(mesh, pods)
    if not once:
        try_it(cluster, mesh)
    stage.clear_away(cluster, mesh)


def main():
    options = stage.arguments("./dev demo", __doc__).parse_args()
    return stage.play("./dev demo", options, lambda cluster: tour(cluster, options.once), "demo")


if __name__ == "__main__":
    sys.exit(main())
