"""Deleting the ProcessMesh leaves nothing behind."""
from conftest import NAMESPACE


def test_nothing_is_left(cluster, own_mesh):
    mesh = own_mesh("leaving")
    assert mesh.everything()
    others = {m["metadata"]["name"] for m in cluster.items("processmeshes", NAMESPACE)} - {"leaving"}
    mesh.delete(within=60)
    mesh.wait_nothing_left()
    by_name = [i["metadata"]["name"] for i in cluster.items("pods,secrets,configmaps,services,roles,rolebindings,serviceaccounts,endpoints", NAMESPACE)
               if i["metadata"]["name"].startswith("leaving-") and not i["metadata"]["name"].startswith("leaving-counter")]
    assert by_name == [], "neither anything without the label"
    assert {m["metadata"]["name"] for m in cluster.items("processmeshes", NAMESPACE)} == others
