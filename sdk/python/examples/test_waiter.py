"""The waiter's own tests, with a kitchen that is not there."""
import pathlib
import unittest

from waiter import Waiter, orrery
from orrery import testing


class WaiterTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.host = await testing.Host(Waiter).__aenter__()
        self.addAsyncCleanup(self.host.__aexit__)
        self.host.answer("kitchen", "cook", lambda key, argument: f"hot {key}")
        for dish in ("soup", "fish"):
            await self.host.call("tom", "order", dish)

    async def test_keeps_orders_apart(self):
        self.assertEqual(self.host.state("tom")["ready"], ["hot soup", "hot fish"])
        self.assertEqual(self.host.monitors("tom"), {"kitchen/soup": "kitchen/soup", "kitchen/fish": "kitchen/fish"})
        await self.host.down("kitchen/soup", "error")
        self.assertEqual(self.host.publishes, [testing.Publish("staff", "closed", {"dish": "soup", "why": "error"})])
        self.assertEqual(self.host.state("tom")["watched"], ["fish"])

    async def test_watches_what_has_moved_anew(self):
        await self.host.down("kitchen/soup", "moved")
        self.assertEqual(set(self.host.monitors("tom")), {"kitchen/soup", "kitchen/fish"})
        self.assertEqual(self.host.publishes, [])

    async def test_watches_what_it_watched_where_it_has_moved_to(self):
        await self.host.down("kitchen/fish")
        await self.host.handoff("tom")
        self.assertEqual(set(self.host.monitors("tom")), {"kitchen/soup"})

    async def test_keeps_the_errors_of_answers(self):
        self.host.answer("kitchen", "cook", orrery.Overloaded("too many orders", effect="not_executed"))
        await self.host.call("tom", "order", "cake")
        self.assertEqual(self.host.state("tom")["failed"], {"cake": "too many orders"})


class ThePages(unittest.TestCase):
    def test_show_this_program(self):
        here = pathlib.Path(__file__).resolve()
        shown = (here.parent / "waiter.py").read_text()
        program = shown[shown.index("class Waiter"):].rstrip()
        self.assertIn("import orrery\n\n\n" + program, (here.parents[3] / "docs" / "sdk-python.md").read_text())


if __name__ == "__main__":
    unittest.main()
