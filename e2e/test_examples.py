"""The examples, as ./dev example shows them: each act of each story is a test."""
import pytest

import stage
from example import PROGRAMS, story_of
from clusters import ROOT
from place import Place

ACTS = [(name, act) for name in sorted(PROGRAMS) for act in story_of(name).ACTS]

NEEDS = {"game-room": ["dist/src/server.js"]}


@pytest.fixture(scope="module")
def place_of(cluster):
    """A factory of places: an example that is there already is used by its next act; the one before is gone by then."""
    current = {}

    def leave():
        for name, place in list(current.items()):
            place.mesh.delete()
            cluster.kubectl("delete", "namespace", place.mesh.namespace, "--wait=false")
            del current[name]

    def place(name):
        if name not in current:
            leave()
            namespace = f"orrery-{name}"
            stage.fresh_namespace(cluster, namespace)
            current[name] = Place(cluster, namespace, name, PROGRAMS[name], skip=pytest.skip)
            current[name].apply()
        current[name].whole()
        return current[name]

    yield place
    leave()


@pytest.mark.parametrize("name, act", ACTS, ids=[f"{name}-{act.__name__}" for name, act in ACTS])
def test_example(place_of, name, act):
    if not all((ROOT / "examples" / name / file).exists() for file in NEEDS.get(name, [])):
        pytest.skip(f"examples/{name} is not built: its build.sh needs node and npm")
    act(place_of(name))
