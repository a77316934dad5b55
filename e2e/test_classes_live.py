"""Classes reach running sidecars without a restart; broken ones are refused with their line, and the last good one goes on."""
from conftest import NAMESPACE
from mesh import class_document
from sdk import Refused
from waiting import eventually

SCRIPT = """
local greeter = {call = {}}
function greeter.init(key) return {count = 0} end
function greeter.call.greet(state, name)
  return "%s " .. name, state
end
return greeter
"""


def greeting(mesh, word):
    return all(mesh.sidecar(pod).call(f"greeter/{word}{number}", "greet", "you") == f"{word} you"
               for number, pod in enumerate(mesh.pods()))


def accepted(mesh, name):
    conditions = mesh.cluster.json("-n", NAMESPACE, "get", "processclass", name).get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == "Accepted"), None)


def test_a_class_is_added_changed_broken_and_mended(mesh):
    pods = [p["metadata"]["uid"] for p in mesh.pods()]
    script = lambda text: mesh.cluster.apply(class_document("greeter", mesh.name, behaviour={"lua": {"script": text}}), NAMESPACE)
    try:
        script(SCRIPT % "hello")
        eventually(lambda: greeting(mesh, "hello"), 20, "the new class answers on every pod")
        eventually(lambda: accepted(mesh, "greeter")["status"] == "True", 10, "its status says so")

        script(SCRIPT % "goodbye")
        eventually(lambda: greeting(mesh, "goodbye"), 20, "new processes use the new script")

        script((SCRIPT % "oops").replace("return greeter", "return greeter end end"))
        condition = eventually(lambda: accepted(mesh, "greeter")["status"] == "False" and accepted(mesh, "greeter"), 20, "it is refused")
        assert "line" in condition["message"] or ":" in condition["message"], condition
        assert greeting(mesh, "goodbye"), "the last version that was in order goes on"

        script(SCRIPT % "again")
        eventually(lambda: greeting(mesh, "again"), 20, "and the mended one is taken")
        eventually(lambda: accepted(mesh, "greeter")["status"] == "True", 10, "and accepted")
    finally:
        mesh.cluster.kubectl("-n", NAMESPACE, "delete", "processclass", "greeter", "--ignore-not-found")

    def forgotten():
        try:
            mesh.sidecar(mesh.pods()[0]).call("greeter/late", "greet", "you")
            return False
        except Refused as refused:
            return refused.code == "not_found"
    eventually(forgotten, 20, "a deleted class is gone")
    assert [p["metadata"]["uid"] for p in mesh.pods()] == pods, "no pod was replaced for any of this"
