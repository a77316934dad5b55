"""The story of the cart example, act by act: what ./dev example cart shows, and what e2e/test_examples.py checks."""
import functools
import json
import urllib.error
import urllib.request
import uuid

from load import Crowd

TRY = """
curl -d '{{"item": "tea", "count": 2}}' {url}/carts/ada/items
curl {url}/carts/ada
curl -X POST {url}/carts/ada/checkout
kubectl -n {namespace} get pmesh,pods
kubectl -n {namespace} delete pod POD                # carts move, and keep what is in them
"""


def ask(url, path, body=None, method=None, key=None):
    """One request; an error of the service raises Refused with its status and its document."""
    request = urllib.request.Request(url + path, None if body is None else json.dumps(body).encode(), {"Idempotency-Key": key} if key else {},
                                     method=method)
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise Refused(error.code, json.loads(error.read())) from None


class Refused(Exception):
    def __init__(self, status, problem):
        super().__init__(f"{status}: {problem}")
        self.status, self.problem = status, problem


class Customers(Crowd):
    """Each fills its cart."""

    def __init__(self, place, count=16):
        self.held = {f"customer-{uuid.uuid4().hex[:6]}": 0 for _ in range(count)}
        super().__init__(place, [functools.partial(self.shop, name, number) for number, name in enumerate(self.held)])

    def shop(self, name, number):
        while not self.over.is_set():
            number += 1
            if not self.insist(number, lambda url, key: ask(url, f"/carts/{name}/items", {"item": "tea"}, key=key)):
                return
            self.held[name] += 1

    def check(self):
        """Every cart holds exactly what was answered."""
        told = self.account()
        urls = list(self.place.urls().values())
        for number, (name, count) in enumerate(self.held.items()):
            held = ask(urls[number % len(urls)], f"/carts/{name}")["items"].get("tea", 0)
            if held != count:
                raise AssertionError(f"{name} was answered {count} times, and its cart holds {held}")
        return f"{told}; none lost and none counted twice"


def shop(place):
    """Every pod answers for every cart"""
    urls = list(place.urls().values())
    for number, url in enumerate(urls, 1):
        held = ask(url, "/carts/ada/items", {"item": "tea"})
        if held["items"] != {"tea": number}:
            raise AssertionError(f"after {number} cups of tea the cart holds {held}")
        place.say(f"POST {url}/carts/ada/items: {held}")
    place.say(f"cart/ada lives in pod {place.owner('cart/ada')}, and nowhere else")
    try:
        ask(urls[0], "/carts/ada/items", {"item": "gold"})
        raise AssertionError("gold was sold")
    except Refused as refused:
        place.say(f"what it does not know it refuses: {refused.status}, {refused.problem['error']}")


def kill(place):
    """The app of a pod is killed under load: nothing that was answered is lost"""
    with Customers(place) as customers:
        killed = [pod for pod in list(place.urls())[:2] if kill_one(place, customers, pod)]
        place.whole()
    if killed and not customers.again:
        raise AssertionError("two apps were killed, and no customer noticed: the load did not reach them")
    place.say(customers.check())


def kill_one(place, customers, pod):
    killed = place.kill_app(pod)
    customers.wait_for(300)
    return killed


def check_out(place):
    """A checkout that is asked for twice makes one order"""
    url = next(iter(place.urls().values()))
    before = ask(url, "/orders")["ready"]
    first = ask(url, "/carts/ada/checkout", method="POST", key="order-of-ada")
    second = ask(url, "/carts/ada/checkout", method="POST", key="order-of-ada")
    made = ask(url, "/orders")["ready"] - before
    if first != second or made != 1:
        raise AssertionError(f"{first} and {second} were answered, and {made} orders made")
    place.say(f"POST {url}/carts/ada/checkout, twice with the same key: {first}")


def wait_for_mail(place):
    """A cart that is left alone reminds of itself"""
    url = next(iter(place.urls().values()))
    count = place.eventually(lambda: ask(url, "/mail")["ready"], 15, "a reminder is in the mail")
    place.say(f"{count} reminders are in the queue mail/outbox")


def roll_out(place):
    """A new release is rolled out under load, pod by pod: nothing is lost either"""
    with Customers(place) as customers:
        took = place.roll_out()
        customers.wait_for(100)
    place.say(f"every pod was replaced in {took:.1f} s")
    place.say(customers.check())


ACTS = [shop, kill, check_out, wait_for_mail, roll_out]
