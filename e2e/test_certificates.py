"""Certificates are renewed under a running mesh."""
import base64
import subprocess

import pytest

from waiting import eventually


def serial(pem):
    done = subprocess.run(["openssl", "x509", "-noout", "-serial"], input=pem, capture_output=True, check=True)
    return done.stdout.decode().strip()


def secret_serial(mesh, pod):
    secret = mesh.cluster.json("-n", mesh.namespace, "get", "secret", f"{pod['metadata']['name']}-tls")
    return serial(base64.b64decode(secret["data"]["tls.crt"]))


def served_serial(mesh, pod):
    done = subprocess.run(["openssl", "s_client", "-connect", f"{mesh.cluster.address(pod)}:3601"],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=10)
    return serial(done.stdout)


def test_certificates_of_pods_that_are_gone_are_gone(mesh):
    victim = mesh.pods()[0]["metadata"]["name"]
    mesh.cluster.kubectl("-n", mesh.namespace, "delete", "pod", victim, "--wait=false")
    mesh.wait_meshed(3, within=60)
    names = {p["metadata"]["name"] for p in mesh.pods()}

    def clean():
        return names == {s["metadata"]["name"].removesuffix("-tls") for s in mesh.everything("secrets") if s["metadata"]["name"].endswith("-tls")}
    eventually(clean, 100, "exactly one certificate per pod (those without a pod are kept for a minute)", every=1)


def restarts(pod):
    return [c["restartCount"] for c in pod["status"]["containerStatuses"]]


def test_a_new_certificate_is_served_without_a_restart(mesh):
    pod = mesh.pods()[0]
    if not mesh.cluster.address(pod):
        pytest.skip("pods cannot be reached by address from here")
    name = pod["metadata"]["name"]
    old = served_serial(mesh, pod)
    assert old == secret_serial(mesh, pod)
    sidecar = mesh.sidecar(mesh.pods()[1])
    counter = mesh.owned_by(pod, mesh.pods()[1])
    sidecar.call(counter, "set", 8)

    mesh.cluster.kubectl("-n", mesh.namespace, "delete", "secret", f"{name}-tls")
    new = eventually(lambda: secret_serial(mesh, pod) != old and secret_serial(mesh, pod), 20, "the operator issues another")
    eventually(lambda: served_serial(mesh, pod) == new, 90, "the sidecar serves it", every=1)
    after = mesh.pod(name)
    assert after["metadata"]["uid"] == pod["metadata"]["uid"] and restarts(after) == restarts(pod)
    mesh.wait_meshed(3)
    assert sidecar.call(counter, "get") == 8, "and no process noticed"
