"""Fixtures: a cluster with the operator on it, and one mesh of three pods that most tests share and leave whole."""
import pathlib

import pytest

import clusters
import stage
from clusters import ROOT, SYSTEM
from mesh import Mesh, class_document
from waiting import eventually

NAMESPACE = "orrery-e2e"
ORDER = ["install", "formation", "calls", "process_healing", "pod_healing", "supervision", "escalation", "app_hosted", "examples", "events", "attach", "scale", "delete", "classes_live", "bad_specs", "certificates",
         "rolling_update", "one_namespace", "operator_killed", "api_server_outage", "node_faults"]  # what everything else rests on comes first


def pytest_addoption(parser):
    group = parser.getgroup("orrery")
    group.addoption("--cluster", choices=["embedded", "real"], default="embedded", help="which cluster to run on")
    group.addoption("--kubeconfig", help="run on the cluster of this kubeconfig instead; the images must be on its nodes")
    group.addoption("--programs", default=str(ROOT / "build/release/bin"), help="where the built programs are")
    group.addoption("--keep", action="store_true", help="leave the meshes and the cluster running at the end")


@pytest.fixture(scope="session")
def cluster(request):
    option = request.config.getoption
    one = clusters.open_cluster(option("--cluster"), option("--kubeconfig"), option("--programs"))
    try:
        one.start()
    except clusters.Unusable as fault:
        pytest.skip(str(fault))
    try:
        one.load_images()
        stage.fresh_namespace(one, NAMESPACE)
        one.operator_seconds = clusters.install(one)
        request.config.orrery_cluster = one
        yield one
        # Not where the cluster goes down next: pods that are ending while it does only make that harder.
        if not option("--keep") and not one.ends_with_the_run:
            one.kubectl("-n", NAMESPACE, "delete", "pmesh", "--all", "--wait=false", check=False)
            one.kubectl("delete", "namespace", NAMESPACE, "--wait=false", check=False)
    finally:
        if not option("--keep"):
            one.stop()


@pytest.fixture(scope="session")
def shared(cluster):
    """The mesh that most tests share, with the samples' classes."""
    mesh = Mesh(cluster, NAMESPACE, "demo")
    cluster.kubectl("-n", NAMESPACE, "apply", "-k", ROOT / "manifests/samples")
    mesh.wait_whole(3, within=60)
    yield mesh


@pytest.fixture
def mesh(shared):
    """The shared mesh, whole before the test and after it."""
    shared.wait_meshed(3, within=60)
    yield shared
    if int(shared.get()["spec"]["replicas"]) != 3:
        shared.scale(3)
    shared.wait_whole(3, within=90)


@pytest.fixture
def own_mesh(cluster, request):
    """A factory of meshes that belong to the test alone, with a counter class, and are gone after it."""
    made = []

    def make(name, replicas=3, within=60, **spec):
        one = Mesh(cluster, NAMESPACE, name)
        made.append(one)
        cluster.apply(class_document(f"{name}-counter", name, behaviour={"builtin": "counter"}), NAMESPACE)
        one.create(replicas, **spec).wait_whole(replicas, within)
        return one

    yield make
    for one in made:
        one.delete()
        cluster.kubectl("-n", NAMESPACE, "delete", "processclass", f"{one.name}-counter", "--ignore-not-found")


@pytest.fixture
def faulty_hosts(cluster):
    """Skips where machines cannot be stopped; brings back every host that the test took away."""
    if not cluster.can_fault_hosts:
        pytest.skip(f"the {cluster.name} cluster's hosts cannot be stopped or cut off")
    yield cluster
    for host in [n["metadata"]["name"] for n in cluster.json("get", "nodes")["items"]]:
        cluster.heal(host)
        if not cluster.host_ready(host):
            eventually(lambda: cluster.host_ready(host), 60, f"{host} is ready again")


@pytest.fixture
def api_server(cluster):
    """Skips where the API server cannot be stopped; lets it go on after the test."""
    if not cluster.can_stop_api_server:
        pytest.skip(f"the {cluster.name} cluster's API server cannot be stopped")
    yield cluster.api_server
    cluster.api_server(running=True)


@pytest.fixture
def api_server_only(cluster):
    """As api_server, but containers are restarted meanwhile."""
    if not cluster.can_stop_api_server:
        pytest.skip(f"the {cluster.name} cluster's API server cannot be stopped")
    yield cluster.api_server_only
    cluster.api_server_only(running=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """What the cluster looked like when a test failed, in build/e2e/TEST.txt."""
    report = (yield).get_result()
    cluster = getattr(item.config, "orrery_cluster", None)
    if not report.failed or cluster is None:
        return
    folder = ROOT / "build/e2e"
    folder.mkdir(parents=True, exist_ok=True)
    file = pathlib.Path(folder / f"{item.name}.{report.when}.txt")
    try:
        places = cluster.kubectl("get", "pmesh", "-A", "-o", "jsonpath={.items[*].metadata.namespace}", check=False, timeout=20).stdout.split()
    except Exception:  # the commands below will say why
        places = []
    commands = [["get", "pmesh,pclass,pods,nodes", "-A", "-o", "wide"],
                ["-n", SYSTEM, "logs", "-l", "app.kubernetes.io/component=operator", "--tail=300"]]
    for place in sorted({NAMESPACE, *places}):
        commands += [
            ["-n", place, "get", "events", "--sort-by=.lastTimestamp"], ["-n", place, "get", "pmesh,pods", "-o", "yaml"],
            ["-n", place, "logs", "-l", "orrery.dev/role=node", "--all-containers", "--tail=100", "--prefix"],
        ]
    with open(file, "w", encoding="utf-8") as out:
        for command in commands:
            try:
                done = cluster.kubectl(*command, check=False, timeout=20)
                out.write(f"\n$ kubectl {' '.join(command)}\n{done.stdout}{done.stderr}")
            except Exception as error:
                out.write(f"\n$ kubectl {' '.join(command)}\n{error}\n")
    report.sections.append(("the cluster then", f"written to {file.relative_to(ROOT)}"))


def pytest_collection_modifyitems(items):
    rank = {f"test_{name}": number for number, name in enumerate(ORDER)}
    items.sort(key=lambda item: rank.get(item.module.__name__, len(ORDER)))


def pytest_report_header(config):
    return f"orrery: cluster {config.getoption('--kubeconfig') or config.getoption('--cluster')}"
