"""What the demo and the examples share: a cluster with the operator on it, an account of what happens, and an orderly end."""
import argparse
import fcntl
import signal
import sys
import time

import clusters
from clusters import ROOT, SYSTEM, Cluster, EmbeddedCluster
from waiting import eventually

COLOUR = sys.stdout.isatty()
began = time.monotonic()


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def chapter(title):
    print(f"\n{paint('1;36', title)}", flush=True)


def line(text, since=None):
    stamp = f"{time.monotonic() - (since or began):7.2f} s"
    print(f"  {paint('2', stamp)}  {text}", flush=True)


def bold(text):
    return paint("1", text)


def seconds(value, digits=0):
    if value < 0.001:
        return f"{value * 1e6:.{digits}f} µs"
    return f"{value * 1e3:.1f} ms" if value < 1 else f"{value:.2f} s"


def arguments(program, description):
    """The options that everything on a stage has."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--once", action="store_true", help="end when all was shown; exit status 0, or 1 with the reason")
    parser.add_argument("--kubeconfig", help="show it on that cluster; its nodes must have the images")
    parser.add_argument("--cluster", choices=["embedded", "real"], default="embedded", help=argparse.SUPPRESS)
    parser.add_argument("--bin", default=str(ROOT / "build/release/bin"), help=argparse.SUPPRESS)
    return parser


def set_up(cluster, namespace):
    """Starts the cluster, installs the operator, and makes the namespace anew."""
    chapter("0. A cluster and the operator")
    since = time.monotonic()
    cluster.start()
    version = cluster.json("version").get("serverVersion", {}).get("gitVersion", "?")
    line(f"Kubernetes API {version} at {cluster.kubeconfig}", since)
    cluster.load_images()
    clusters.install(cluster)
    line("kubectl apply -k manifests/: the operator is ready", since)
    fresh_namespace(cluster, namespace)


def fresh_namespace(cluster, namespace):
    """Nothing left of an earlier run: meshes first, whose operator ends their pods in order, then the namespace."""
    cluster.kubectl("-n", namespace, "delete", "pmesh", "--all", "--ignore-not-found", "--timeout=60s", check=False, timeout=70)
    cluster.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--timeout=180s", timeout=190)
    cluster.kubectl("create", "namespace", namespace)
    eventually(lambda: cluster.items("serviceaccounts", namespace), 20, "the namespace has its service account")


def wait_for_ctrl_c():
    print("\nCtrl-C ends it.", flush=True)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        print()


def clear_away(cluster, mesh):
    """Leaves nothing on a cluster that goes on."""
    if not isinstance(cluster, EmbeddedCluster):
        mesh.delete()
        cluster.kubectl("delete", "namespace", mesh.namespace, "--wait=false")
        line(f"the namespace {mesh.namespace} is deleted; the operator stays (kubectl delete -k manifests/ removes it)")


def play(program, options, tour, folder):
    """Runs tour(cluster) on the cluster that the options name, an embedded one in build/FOLDER, and ends it. Returns the exit status."""
    if options.kubeconfig:
        cluster = Cluster(options.kubeconfig, options.bin)
    elif options.cluster == "real":
        cluster = clusters.open_cluster("real", None, options.bin)
    else:
        cluster = EmbeddedCluster(ROOT / "build" / folder, options.bin)
        (ROOT / "build").mkdir(exist_ok=True)
        alone = open(ROOT / "build" / f"{folder}.lock", "w", encoding="utf-8")  # for as long as this runs
        try:
            fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print(f"{program}: another one of this checkout is running; end it first, or use its cluster: export KUBECONFIG=build/{folder}/kubeconfig",
                  file=sys.stderr)
            return 1
    end_by_signal()
    try:
        tour(cluster)
    except KeyboardInterrupt:
        print("\nstopped")
        return 130
    except Exception as error:
        explain(cluster)
        print(f"\n{paint('1;31', f'{program} failed')} after {time.monotonic() - began:.1f} s: {error}", file=sys.stderr)
        return 1
    finally:
        cluster.stop()
    print(f"\n{bold('done:')} all was as told ({time.monotonic() - began:.0f} s)")
    return 0


def explain(cluster):
    """After a failure: what the cluster looked like, in short."""
    for command in (["get", "pmesh,pods", "-A"], ["-n", SYSTEM, "logs", "-l", "app.kubernetes.io/component=operator", "--tail=15"]):
        try:
            done = cluster.kubectl(*command, check=False, timeout=10)
            print(f"\n$ kubectl {' '.join(command)}\n{done.stdout}{done.stderr}", file=sys.stderr)
        except Exception:
            pass


def end_by_signal():
    """A closed terminal and `kill` end it as Ctrl-C does: with its cluster."""
    for each in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) != signal.SIG_IGN:
            signal.signal(each, signal.default_int_handler)
