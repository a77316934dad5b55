"""The cart's own tests: no sidecar, no sockets, and a clock that stands still until it is moved."""
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "sdk/python/src")]

import orrery  # noqa: E402
from cart import ANSWERED_MAX, EXPIRE_SECONDS, REMIND_SECONDS, Cart  # noqa: E402
from orrery import testing  # noqa: E402


class CartTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.host = await self.enterAsyncContext(testing.Host(Cart))
        self.shelf, self.orders = {}, {}
        self.host.answer("shelf", "get", lambda key, what: self.shelf.get(key))
        self.host.answer("shelf", "put", lambda key, entry: self.shelf.update({key: entry["value"]}))
        self.host.answer("orders", "enqueue", lambda key, entry: self.orders.setdefault(entry["dedupId"], entry["value"]))

    async def add(self, request, item="tea", count=1):
        return await self.host.call("ada", "add", {"request": request, "item": item, "count": count})

    async def test_adds_removes_and_sums_up(self):
        await self.add("1", "tea", 2)
        self.assertEqual(await self.add("2", "mug"), {"items": {"tea": 2, "mug": 1}, "cents": 2100})
        await self.host.call("ada", "remove", {"request": "3", "item": "tea"})
        self.assertEqual(await self.host.call("ada", "total"), {"items": {"mug": 1}, "cents": 1200})

    async def test_answers_the_same_request_again_and_changes_nothing(self):
        first = await self.add("1")
        await self.add("2")
        self.assertEqual(await self.add("1"), first)
        self.assertEqual((await self.host.call("ada", "total"))["items"], {"tea": 2})

    async def test_begins_with_what_it_had_answered_before_it_was_lost(self):
        await self.add("1")
        await self.host.kill("ada")
        self.assertEqual((await self.host.call("ada", "total"))["items"], {"tea": 1})
        await self.add("1")
        self.assertEqual((await self.host.call("ada", "total"))["items"], {"tea": 1})
        self.assertIn("forgotten", self.host.timers("ada"))

    async def test_a_checkout_that_is_asked_again_after_a_crash_makes_one_order(self):
        await self.add("1")
        before = dict(self.shelf)
        order = await self.host.call("ada", "checkout", {"request": "2"})
        await self.host.kill("ada")
        self.shelf = before  # as if the app had died between the order and the shelf
        self.assertEqual(await self.host.call("ada", "checkout", {"request": "2"}), order)
        self.assertEqual(list(self.orders), ["2"])
        with self.assertRaisesRegex(orrery.Conflict, "the cart is empty"):
            await self.host.call("ada", "checkout", {"request": "3"})

    async def test_refuses_what_it_has_not_and_what_is_no_count(self):
        with self.assertRaisesRegex(orrery.NotFound, "no 'gold'; there are honey, mug, tea"):
            await self.add("1", "gold")
        for count in (0, 101, "2", 1.5):
            with self.assertRaisesRegex(orrery.InvalidArgument, "from 1 to 100"):
                await self.add("1", "tea", count)
        self.assertEqual((await self.host.call("ada", "total"))["items"], {})

    async def test_reminds_of_a_cart_that_is_left_alone_and_empties_it_a_day_later(self):
        await self.add("1")
        await self.host.advance(REMIND_SECONDS)
        [mail] = self.host.casts
        self.assertEqual((mail.to, mail.argument["value"]["to"]), ("mail/outbox", "ada"))
        await self.host.advance(EXPIRE_SECONDS)
        self.assertEqual((await self.host.call("ada", "total"))["items"], {})
        self.assertEqual(self.shelf["ada"]["items"], {})

    async def test_remembers_a_bounded_number_of_answers(self):
        for number in range(ANSWERED_MAX + 5):
            await self.add(str(number))
        self.assertEqual(len(self.host.state("ada")["answered"]), ANSWERED_MAX)


if __name__ == "__main__":
    unittest.main()
