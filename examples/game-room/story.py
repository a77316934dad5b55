"""The story of the game room, act by act: what ./dev example game-room shows, and what e2e/test_examples.py checks."""
import http.client
import json
import pathlib
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import browser  # noqa: E402

TRY = """
open {url}/lobby                    # in two browsers, at two pods: the same room
curl -N {url}/lobby/events
kubectl -n {namespace} delete pod POD    # the room moves, and everybody goes on playing
"""

PATIENCE = 40  # seconds that a player goes on asking


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


class Players:
    """A thread each, that walks to and fro through whichever pod; a step that broke is asked again, with the same key, until it is answered."""

    def __init__(self, place, room, count=12):
        self.place, self.room = place, room
        self.x = {f"player-{number}": 0 for number in range(count)}
        self.urls = list(place.urls().values())
        self.steps, self.again, self.longest, self.failed, self.over = 0, 0, 0.0, [], threading.Event()
        self.threads = [threading.Thread(target=place.follow_urls, args=(self.over, self.know), daemon=True)]
        self.threads += [threading.Thread(target=self.play, args=(name, number), daemon=True) for number, name in enumerate(self.x)]

    def know(self, urls):
        self.urls = urls

    def tell(self, number, what, body):
        key, since = uuid.uuid4().hex, time.monotonic()
        while True:
            number, urls = number + 1, self.urls
            try:
                post(urls[number % len(urls)], f"/{self.room}/{what}", body, key)
                break
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    self.failed.append(f"{error.code}: {error.read()}")
                    raise
                self.again += 1
            except (OSError, http.client.HTTPException):
                self.again += 1
            if time.monotonic() > since + PATIENCE:
                self.failed.append(f"no answer in {PATIENCE} s")
                raise TimeoutError(self.failed[-1])
            time.sleep(0.05)
        self.longest = max(self.longest, time.monotonic() - since)

    def play(self, name, number):
        self.tell(number, "join", {"player": name})
        ahead = 1
        while not self.over.is_set():
            ahead = {0: 1, 15: -1}.get(self.x[name], ahead)
            self.tell(number + self.steps, "move", {"player": name, "dx": ahead})
            self.x[name] += ahead
            self.steps += 1

    def wait_for(self, more):
        goal = self.steps + more
        self.place.eventually(lambda: self.failed or self.steps >= goal, 30, f"{more} more steps are answered", every=0.05)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.wait_for(50)
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def check(self):
        """Everybody is where the answered steps led."""
        if self.failed:
            raise AssertionError(f"refused for good: {self.failed[:3]}")
        players = post(next(iter(self.place.urls().values())), f"/{self.room}/join", {"player": "player-0"})["players"]
        wrong = {name: (x, players[name]["x"]) for name, x in self.x.items() if players[name]["x"] != x}
        if wrong:
            raise AssertionError(f"where they should be, and are: {wrong}")
        return f"{self.steps} steps answered, {self.again} asked again with the same key, everybody is where they led; the longest took {self.longest:.2f} s"


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
        killed = place.kill_app(place.owner("room/arena"))
        players.wait_for(100)
        place.whole()
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
