"""The cart's own tests: no sidecar, and a clock that stands still until it is moved."""
import pathlib
import unittest

from shop import Cart, orrery
from orrery import testing


class CartTest(unittest.IsolatedAsyncioTestCase):
    async def test_counts_what_is_added(self):
        async with testing.Host(Cart) as host:
            self.assertEqual(await host.call("ada", "add", {"item": "pen"}), 1)
            self.assertEqual(await host.call("ada", "add", {"item": "pen", "count": 2}), 3)
            self.assertEqual(host.state("ada"), {"items": {"pen": 3}})

    async def test_takes_what_is_bought_from_the_stock(self):
        async with testing.Host(Cart) as host:
            host.answer("stock", "take", lambda key, items: {"from": key, "items": items})
            await host.call("ada", "add", {"item": "pen"})
            self.assertEqual(await host.call("ada", "checkout"), {"from": "main", "items": {"pen": 1}})
            self.assertEqual((host.state("ada"), host.timers("ada")), ({"items": {}}, {}))
            with self.assertRaisesRegex(orrery.Conflict, "the cart is empty"):
                await host.call("ada", "checkout")

    async def test_reminds_of_a_cart_that_is_left_alone(self):
        async with testing.Host(Cart) as host:
            await host.call("ada", "add", {"item": "pen"})
            await host.advance(1800)
            self.assertEqual(host.casts, [testing.Cast("mail/ada", "remind", {"pen": 1})])


class ThePages(unittest.TestCase):
    def test_show_this_cart(self):
        here = pathlib.Path(__file__).resolve()
        shown = (here.parent / "shop.py").read_text()
        cart = shown[shown.index("class Cart"):shown.index("\n\nif __name__")].rstrip()
        for page in (here.parents[1] / "README.md", here.parents[3] / "docs" / "sdk-python.md"):
            self.assertIn(cart, page.read_text(), page)


if __name__ == "__main__":
    unittest.main()
