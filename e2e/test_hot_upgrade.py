"""A class' script changes under load: running processes go on with their state in the new form, and back, and no call fails."""
import functools
import itertools

from conftest import NAMESPACE
from load import Load
from mesh import class_document
from waiting import eventually

KEYS = 6

VERSION_1 = """
local c = {call = {}}
function c.init(key) return {count = 0} end
function c.call.add(state) state.count = state.count + 1 return {value = state.count, script = 1} end
function c.code_change(old, state) if state.total then return {count = state.total} end end
return c
"""
# The state has another form: what a process of the first version kept would be of no use without code_change.
VERSION_2 = """
local c = {call = {}}
function c.init(key) return {total = 0} end
function c.call.add(state) state.total = state.total + 1 return {value = state.total, script = 2} end
function c.code_change(old, state) if state.count then return {total = state.count} end end
return c
"""


class Tallies(Load):
    """One adder for each key, each through another pod; what was answered, in order, and what failed."""

    def __init__(self, mesh):
        pods = mesh.pods()
        self.answers = {key: [] for key in range(KEYS)}
        self.errors = []
        super().__init__([functools.partial(self.add, mesh.sidecar(pods[key % len(pods)]), key) for key in range(KEYS)])

    def add(self, sidecar, key):
        while not self.over.is_set():
            try:
                self.answers[key].append(sidecar.call(f"tally/k{key}", "add", timeout=5))
            except Exception as error:
                self.errors.append(f"k{key}: {error}")
            self.over.wait(0.005)

    def all_answer_by(self, script):
        return all(answers and answers[-1]["script"] == script for answers in self.answers.values())


def test_from_one_version_to_the_next_and_back_under_load_no_call_fails_and_no_count_is_lost(mesh):
    apply = lambda text: mesh.cluster.apply(class_document("tally", mesh.name, behaviour={"lua": {"script": text}}), NAMESPACE)
    apply(VERSION_1)
    try:
        eventually(lambda: all("tally" in mesh.sidecar(pod).classes() for pod in mesh.pods()), 20, "the class is known to every node")
        with Tallies(mesh) as load:
            eventually(lambda: load.all_answer_by(1), 20, "the first version answers")
            apply(VERSION_2)
            eventually(lambda: load.all_answer_by(2), 30, "every process runs the second")
            apply(VERSION_1)
            eventually(lambda: load.all_answer_by(1), 30, "and the first again")
        assert not load.errors, load.errors[:5]
        for key, answers in load.answers.items():
            values = [each["value"] for each in answers]
            assert values == list(range(1, len(values) + 1)), f"k{key} lost or repeated a count: {values}"
            assert [script for script, _ in itertools.groupby(each["script"] for each in answers)] == [1, 2, 1], f"k{key} went back and forth"
        print(f"{sum(map(len, load.answers.values()))} calls over two changes of the script, none failed")
        assert all(mesh.sidecar(mesh.pods()[0]).inspect(f"tally/k{key}")["restarts"] == 0 for key in range(KEYS))
    finally:
        mesh.cluster.kubectl("-n", NAMESPACE, "delete", "processclass", "tally", "--ignore-not-found")
