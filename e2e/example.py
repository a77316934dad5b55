#!/usr/bin/env python3
"""./dev example NAME: a cluster, the operator, an example on it, and its story in numbers."""
import importlib.util
import sys

import stage
from clusters import ROOT, EmbeddedCluster
from place import Place

PROGRAMS = {"cart": "python3", "desk": "python3", "game-room": "node"}


def story_of(name):
    """The module examples/NAME/story.py: ACTS are given a place one by one, TRY is what to try by hand."""
    spec = importlib.util.spec_from_file_location(f"story_of_{name}", ROOT / "examples" / name / "story.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tour(cluster, name, once):
    namespace = f"orrery-{name}"
    stage.set_up(cluster, namespace)
    stage.chapter(f"1. kubectl apply -k examples/{name}")
    place = Place(cluster, namespace, name, PROGRAMS[name], stage.line)
    took = place.apply()
    for pod, url in place.urls().items():
        stage.line(f"pod {stage.bold(pod)} on {place.machine(pod)} serves at {stage.bold(url)}")
    stage.line(f"all of them, {stage.bold(stage.seconds(took))} after kubectl apply")
    story = story_of(name)
    for number, act in enumerate(story.ACTS, 2):
        stage.chapter(f"{number}. {act.__doc__.splitlines()[0]}")
        act(place)
    if not once:
        stage.chapter("It is running. Try, in another terminal:")
        url = next(iter(place.urls().values()))
        shown = story.TRY.format(url=url, namespace=namespace, name=name)
        if isinstance(cluster, EmbeddedCluster):
            shown = f"export KUBECONFIG={cluster.kubeconfig}\n{shown.strip()}"
        print("\n  " + shown.strip().replace("\n", "\n  "))
        stage.wait_for_ctrl_c()
    stage.clear_away(cluster, place.mesh)


def main():
    parser = stage.arguments("./dev example", __doc__)
    parser.add_argument("name", choices=sorted(PROGRAMS))
    options = parser.parse_args()
    program = f"./dev example {options.name}"
    return stage.play(program, options, lambda cluster: tour(cluster, options.name, options.once), f"example-{options.name}")


if __name__ == "__main__":
    sys.exit(main())
