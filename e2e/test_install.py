"""kubectl apply -k manifests/ installs everything, with no more rights than are needed."""
from clusters import ROOT, SYSTEM, operator_ready
from waiting import eventually


def test_the_operator_is_ready_and_its_kinds_are_known(cluster):
    assert operator_ready(cluster)
    kinds = cluster.kubectl("api-resources", "--api-group=orrery.dev").stdout
    assert "pmesh" in kinds and "pclass" in kinds


def test_kubectl_explains_the_kinds(cluster):
    # An API server publishes the schema of a new kind some time after it serves the kind.
    eventually(lambda: cluster.kubectl("explain", "pmesh", "--request-timeout=10s", check=False).returncode == 0, 60, "the schema is published")
    assert "How many pods the mesh has" in cluster.kubectl("explain", "pmesh.spec.replicas").stdout
    assert "Default: 3." in cluster.kubectl("explain", "pmesh.spec.replicas").stdout
    assert "exactly one of builtin, lua and app" in cluster.kubectl("explain", "pclass.spec.behaviour").stdout


def test_applying_it_again_changes_nothing(cluster):
    again = cluster.kubectl("apply", "-k", ROOT / "manifests").stdout.splitlines()
    assert again and all(line.endswith("unchanged") for line in again), again


def test_the_operator_runs_restricted(cluster):
    pod = operator_ready(cluster)[0]
    container = pod["spec"]["containers"][0]
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
    assert container["resources"]["requests"] and container["livenessProbe"] and container["readinessProbe"]


def test_no_rule_has_a_wildcard(cluster):
    rules = cluster.json("get", "clusterrole", "orrery-operator")["rules"]
    rules += [r for role in cluster.items("roles", SYSTEM) for r in role["rules"]]
    assert rules
    for rule in rules:
        assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"], rule


def test_the_overlay_for_one_namespace_has_roles_only(cluster):
    text = cluster.kubectl("kustomize", ROOT / "manifests/overlays/namespaced").stdout
    assert "kind: Role\n" in text and "kind: RoleBinding\n" in text and "kind: Deployment\n" in text
    assert "ClusterRole" not in text and "CustomResourceDefinition" not in text and "orrery-system" not in text
