"""A shopping cart service: `python3 shop.py` in a container beside the sidecar."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "src"))  # not needed where orrery is installed

import orrery  # noqa: E402


class Cart(orrery.Process):
    class_name = "cart"                      # the ProcessClass, declared with `behaviour: {app: {}}`

    async def init(self, key):
        self.state = {"items": {}}           # plain data: what JSON could say, and bytes

    @orrery.call
    async def add(self, *, item, count=1):   # the entries of a map argument; or one parameter for the whole
        items = self.state["items"]
        items[item] = items.get(item, 0) + count
        self.after(1800, "abandoned")        # a timer; set anew with every add
        return sum(items.values())

    @orrery.call
    async def checkout(self):
        if not self.state["items"]:
            raise orrery.Refused("conflict", "the cart is empty")    # the caller's error; nothing changes
        receipt = await self.call("stock/main", "take", self.state["items"], timeout=5)
        self.state["items"] = {}
        self.cancel_timer("abandoned")
        return receipt

    @orrery.info
    async def abandoned(self, argument):
        self.cast(f"mail/{self.key}", "remind", self.state["items"])


if __name__ == "__main__":
    orrery.run(Cart, app="shop 1.4.2")       # until SIGTERM; then what is at work is finished
