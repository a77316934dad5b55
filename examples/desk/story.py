"""The story of the desk, act by act: what ./dev example desk shows, and what e2e/test_examples.py checks."""
import collections
import json
import pathlib
import sys
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import invoices  # noqa: E402

TRY = """
open {url}/                                          # progress, and the map of workers
curl -d '{{"documents": 5000, "where": "mesh"}}' {url}/run
curl {url}/progress
kubectl -n {namespace} scale pmesh {name} --replicas=3      # more room; workers move over
"""


def ask(place, path, body=None):
    """Asks any pod that answers."""
    def one():
        for url in place.urls().values():
            try:
                with urllib.request.urlopen(urllib.request.Request(url + path, body and json.dumps(body).encode()), timeout=10) as answer:
                    return json.loads(answer.read())
            except OSError as error:
                problem = error
        raise problem
    return place.eventually(one, 30, f"an answer to {path}", every=0.1)


def run(place, documents, where, disturb=None):
    """Starts a run, perhaps disturbs it half way, and checks what it comes to. Returns (progress at the end, seconds)."""
    since = time.monotonic()
    started = ask(place, "/run", {"documents": documents, "where": where})

    def at_least(count):
        now = ask(place, "/progress")
        return now if now["run"] == started and now["booked"] >= count else None
    if disturb:
        place.eventually(lambda: at_least(documents // 4), 60, "a quarter is read", every=0.1)
        disturb()
    end = place.eventually(lambda: at_least(documents), 90, f"{documents} documents are read", every=0.1)
    took = time.monotonic() - since
    torn = {str(number) for number in range(documents) if invoices.is_torn(number)}
    if set(end["unreadable"]) != torn:
        raise AssertionError(f"unreadable should be {sorted(torn)}, and are {end['unreadable']}")
    cents = sum(invoices.total_of(number) for number in range(documents) if not invoices.is_torn(number))
    if (end["booked"], end["cents"]) != (documents, cents):
        raise AssertionError(f"{documents} documents of {cents} cents came to {end['booked']} of {end['cents']}")
    return end, took


def tell(place, end, took):
    read = collections.Counter(end["machines"].values())
    place.say(f"{end['booked']} documents in {took:.1f} s, {end['booked'] / took:.0f} a second: " +
              ", ".join(f"{count} on {machine}" for machine, count in sorted(read.items())))
    if end["workers"]:
        alive = collections.Counter(end["workers"].values())
        place.say("workers alive: " + ", ".join(f"{count} in {pod}" for pod, count in sorted(alive.items())))
    place.say(f"{len(end['unreadable'])} documents are torn and were given up; all others add up to {end['cents'] / 100:.2f}, as they should")
    return read


def here(place):
    """On one machine: await asyncio.to_thread(invoices.extract, text)"""
    read = tell(place, *run(place, 400, "here"))
    if len(read) != 1:
        raise AssertionError(f"one machine was to read, not {read}")


def mesh(place):
    """One call is changed: await client.call(f"worker/{name}", "read", {"text": text})"""
    end, took = run(place, 1000, "mesh")
    read = tell(place, end, took)
    machines = {place.machine(pod) for pod in place.urls()}
    if set(read) != machines or min(read.values()) < 300:
        raise AssertionError(f"the workers were to spread over {machines}, and did so: {read}")
    first = end["unreadable"][str(invoices.TORN_EVERY // 2)]
    place.say(f"document {invoices.TORN_EVERY // 2}: {first}")


def kill(place):
    """Both apps are killed meanwhile, one after the other: every document counts once"""
    def disturb():
        for pod in list(place.urls()):
            place.kill_app(pod)
            place.whole()
    tell(place, *run(place, 1000, "mesh", disturb))


def roll_out(place):
    """A new release is rolled out meanwhile: every document counts once"""
    def disturb():
        place.say(f"both pods were replaced in {place.roll_out():.1f} s")
    tell(place, *run(place, 1000, "mesh", disturb))


ACTS = [here, mesh, kill, roll_out]
