"""The story of the game room, act by act: what ./dev example game-room shows, and what e2e/test_examples.py checks."""
import functools
import http.client
import json
import pathlib
import sys
import threading
import time
import urllib.request
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import browser  # noqa: E402
from load import Crowd  # noqa: E402

TRY = """
open {url}/lobby                    # in two browsers, at two pods: the same room
curl -N {url}/lobby/events
kubectl -n {namespace} delete pod POD    # the room moves, and everybody goes on playing
"""


def post(url, path, body, key=None):
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Idempotency-Key": key or uuid.uuid4().hex})
    with urllib.request.urlopen(request, timeout=15) as answer:
        return json.loads(answer.read())


class Looker:
    """Follows a room's events at one pod, and connects again, as a browser does."""

    def __init__(self, url, room):
        self.url, self.room, self.views, self.over = url, room, [], False
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()

    def look(self):
        while not self.over:
            try:
                with urllib.request.urlopen(f"{self.url}/{self.room}/events", timeout=30) as stream:
                    for line in stream:
                        if line.startswith(b"data:"):
                            self.views.append(json.loads(line[5:]))
                        if self.over:
                            return
            except (OSError, http.client.HTTPException):
                time.sleep(0.1)

    def latest(self):
        return self.views[-1] if self.views else {"version": -1}


class Players(Crowd):
    """Each walks to and fro in one room."""

    def __init__(self, place, room, count=12):
        self.room = room
        self.x = {f"player-{number}": 0 for number in range(count)}
        super().__init__(place, [functools.partial(self.play, name, number) for number, name in enumerate(self.x)])

    def tell(self, number, what, body):
        return self.insist(number, lambda url, key: post(url, f"/{self.room}/{what}", body, key))

    def play(self, name, number):
        if not self.tell(number, "join", {"player": name}):
            return
        ahead = 1
        while not self.over.is_set():
            number += 1
            ahead = {0: 1, 15: -1}.get(self.x[name], ahead)
            if not self.tell(number, "move", {"player": name, "dx": ahead}):
                return
            self.x[name] += ahead

    def check(self):
        """Everybody is where the answered steps led."""
        told = self.account()
        players = post(next(iter(self.place.urls().values())), f"/{self.room}/join", {"player": "player-0"})["players"]
        wrong = {name: (x, players[name]["x"]) for name, x in self.x.items() if players[name]["x"] != x}
        if wrong:
            raise AssertionError(f"where they should be, and are: {wrong}")
        return f"{told}; everybody is where they led"


def play(place):
    """Players at different pods are in the same room, and see each other's steps"""
    urls = list(place.urls().values())
    lookers = [Looker(url, "lobby") for url in urls]
    for number, url in enumerate(urls):
        post(url, "/lobby/join", {"player": f"guest-{number}"})
    view = post(urls[0], "/lobby/move", {"player": "guest-1", "dx": 1})
    since = time.monotonic()
    for looker in lookers:
        place.eventually(lambda: looker.latest()["version"] >= view["version"], 5, f"{looker.url} shows version {view['version']}", every=0.005)
        if looker.latest()["players"]["guest-1"]["x"] != view["players"]["guest-1"]["x"]:
            raise AssertionError(f"{looker.url} shows {looker.latest()}")
        looker.over = True
    place.say(f"a step told to {urls[0]} was seen at all {len(urls)} pods, {(time.monotonic() - since) * 1000:.0f} ms after its answer; the room lives in {place.owner('room/lobby')}")


def kill(place):
    """The room's app is killed while twelve play: everybody is where the answers said"""
    with Players(place, "arena") as players:
        looker = Looker(players.urls[0], "arena")
        for _ in range(3):  # it may be that no player's request is in hand just then
            killed = place.kill_app(place.owner("room/arena"))
            players.wait_for(100)
            place.whole()
            if not killed or players.again:
                break
        players.wait_for(50)
    if killed and not players.again:
        raise AssertionError("the app was killed, and no player noticed: the load did not reach it")
    place.eventually(lambda: {name: player["x"] for name, player in looker.latest().get("players", {}).items()} == players.x, 20,
                     "who looks on sees them where they are")
    looker.over = True
    place.say(players.check())


def roll_out(place):
    """A new release is rolled out while twelve play"""
    with Players(place, "stadium") as players:
        place.say(f"every pod was replaced in {place.roll_out():.1f} s")
        players.wait_for(50)
    place.say(players.check())


def browse(place):
    """Two browsers at two pods play in one room"""
    if not browser.program():
        place.skip("there is no Chromium here (Debian: apt-get install chromium), so no browser plays")
        return
    ada, bob = list(place.urls().values())[:2]
    scores = "document.getElementById('scores').textContent"
    with browser.Browser() as chromium:
        here, there = chromium.open(f"{ada}/garden?player=ada"), chromium.open(f"{bob}/garden?player=bob")
        for page in (here, there):
            place.eventually(lambda: "ada" in page.value(scores) and "bob" in page.value(scores), 20, "both pages show both players", every=0.1)
        for _ in range(3):
            here.press("ArrowRight")
        place.eventually(lambda: "ada: 0 (3, 0)" in there.value(scores), 10, "bob's page shows ada's steps", every=0.05)
        place.kill_app(place.owner("room/garden"))
        here.press("ArrowDown")
        place.eventually(lambda: "ada: 0 (3, 1)" in there.value(scores), 20, "bob's page shows ada's step after the room's app was killed", every=0.05)
        place.say(f"bob's page says: {there.value(scores)}")
    place.whole()


ACTS = [play, kill, browse, roll_out]
