"""A shopping cart: a process for each customer, which keeps what it has answered.

The cart's own state is lost when its app dies with a message of that very cart in hand. So before it answers, it puts the state on a
shelf: `shelf/KEY`, a built-in document that lives in a sidecar, out of the app's reach. It begins with what it finds there.
"""
import os

import orrery

PRICES = {"tea": 450, "mug": 1200, "honey": 790}  # in cents
REMIND_SECONDS = float(os.environ.get("REMIND_SECONDS", "1800"))
EXPIRE_SECONDS = float(os.environ.get("EXPIRE_SECONDS", "86400"))
ANSWERED_MAX = 50


class Cart(orrery.Process):
    class_name = "cart"

    async def init(self, key):
        self.state = await self.call(f"shelf/{key}", "get", "cart") or {"items": {}, "answered": []}
        if self.state["items"]:
            self.after(REMIND_SECONDS, "forgotten")

    @orrery.call
    async def add(self, *, request, item, count=1):
        """`request` names the request: the same one again changes nothing and gets the same answer."""
        if item not in PRICES:
            raise orrery.Refused("not_found", f"there is no '{item}'; there are {', '.join(sorted(PRICES))}")
        if not isinstance(count, int) or not 1 <= count <= 100:
            raise orrery.Refused("invalid_argument", f"count is a whole number from 1 to 100, not {count!r}")
        if (answer := self.answered(request)) is None:
            items = self.state["items"]
            items[item] = items.get(item, 0) + count
            answer = await self.keep(request, self.summary())
        return answer

    @orrery.call
    async def remove(self, *, request, item):
        if (answer := self.answered(request)) is None:
            self.state["items"].pop(item, None)
            answer = await self.keep(request, self.summary())
        return answer

    @orrery.call
    async def total(self):
        return self.summary()

    @orrery.call
    async def checkout(self, *, request):
        if (answer := self.answered(request)) is None:
            if not self.state["items"]:
                raise orrery.Refused("conflict", "the cart is empty")
            order = {"order": request, "customer": self.key, **self.summary()}
            # The queue takes one message for each id: if this app dies after this line, the same request again makes no second order.
            await self.call("orders/main", "enqueue", {"value": order, "dedupId": request})
            self.state["items"] = {}
            answer = await self.keep(request, order)
        return answer

    @orrery.info
    async def forgotten(self, argument):
        self.cast("mail/outbox", "enqueue", {"value": {"to": self.key, "text": "your cart is waiting", **self.summary()}})
        self.after(EXPIRE_SECONDS, "expired")

    @orrery.info
    async def expired(self, argument):
        self.state["items"] = {}
        await self.put_on_shelf()

    # ---- what the methods above share ----

    def summary(self):
        items = self.state["items"]
        return {"items": items, "cents": sum(PRICES[item] * count for item, count in items.items())}

    def answered(self, request):
        return next((answer for name, answer in self.state["answered"] if name == request), None)

    async def keep(self, request, answer):
        """Remembers the answer with the state, puts both on the shelf, and sets the timers anew."""
        self.state["answered"] = [*self.state["answered"], [request, answer]][-ANSWERED_MAX:]
        await self.put_on_shelf()
        self.cancel_timer("expired")
        if self.state["items"]:
            self.after(REMIND_SECONDS, "forgotten")
        else:
            self.cancel_timer("forgotten")
        return answer

    async def put_on_shelf(self):
        await self.call(f"shelf/{self.key}", "put", {"key": "cart", "value": self.state})
