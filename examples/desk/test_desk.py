"""The desk's own tests: what is read, what becomes of a document that cannot be, and what of all that are read when the turn is lost."""
import asyncio
import pathlib
import sys
import unittest
import unittest.mock

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "sdk/python/src")]

import desk  # noqa: E402
import invoices  # noqa: E402
import orrery  # noqa: E402
from orrery import testing  # noqa: E402


class InvoicesTest(unittest.TestCase):
    def test_are_read_as_they_were_written(self):
        for number in range(40):
            fields = invoices.extract(invoices.generate(number))
            self.assertEqual((int(fields["number"]), fields["cents"], len(fields["lines"])),
                             (number, invoices.total_of(number), len(invoices.lines_of(number))))

    def test_that_are_torn_or_changed_are_refused_with_the_reason(self):
        torn = invoices.TORN_EVERY // 2
        with self.assertRaisesRegex(invoices.Unreadable, "no Net found"):
            invoices.extract(invoices.generate(torn))
        text = invoices.generate(1)
        with self.assertRaisesRegex(invoices.Unreadable, "do not add up"):
            invoices.extract(text.replace(text[text.rindex(" ") + 1:], "1,00"))


class FakeClient:
    """A client whose calls are the test's host and a ledger in a dict."""

    def __init__(self, host):
        self.host, self.ledger, self.calls = host, {}, []

    async def call(self, name, method, argument=None, timeout=None):
        self.calls.append(name)
        if name.startswith("worker/"):
            if self.calls.count(name) > 3:
                raise orrery.GivenUp(f"{name} is given up", effect=orrery.NOT_EXECUTED)
            return await self.host.call(name, method, argument)
        self.ledger.setdefault(name, {})[argument["key"]] = argument["value"]


class DeskTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.host = await self.enterAsyncContext(testing.Host(desk.Worker))
        self.client = FakeClient(self.host)
        self.run_ = {"id": "r", "documents": 100, "where": "mesh"}

    async def do(self, number, where="mesh"):
        await desk.do_one(self.client, desk.Ledger(self.client), {**self.run_, "where": where}, number)
        [entry] = [entries[str(number)] for entries in self.client.ledger.values() if str(number) in entries]
        return entry

    async def test_a_document_is_the_same_here_and_anywhere(self):
        self.assertEqual(await self.do(5, "here"), await self.do(5, "mesh"))
        self.assertEqual(self.client.calls.count("worker/r-5"), 1)

    async def test_a_document_that_is_done_twice_is_booked_once(self):
        await self.do(5)
        await self.do(5)
        self.assertEqual(sum(map(len, self.client.ledger.values())), 1)

    async def test_a_worker_that_has_read_its_document_does_not_read_it_again(self):
        text = invoices.generate(5)
        with unittest.mock.patch.object(invoices, "extract", wraps=invoices.extract) as extract:
            self.assertEqual(await self.host.call("r-5", "read", {"text": text}), await self.host.call("r-5", "read", {"text": text}))
        extract.assert_called_once()

    async def test_a_torn_document_is_tried_until_its_worker_is_given_up_and_is_booked_as_that(self):
        torn = invoices.TORN_EVERY // 2
        self.assertEqual(await self.do(torn), {"unreadable": f"worker/r-{torn} is given up"})
        self.assertEqual(len(self.host.exits), 3)
        self.assertEqual(await self.do(torn, "here"), {"unreadable": "no Net found"})


class LosingClient:
    """A client with a run at hand, whose reading takes for ever but for document 0; after that one the mesh does not answer."""

    def __init__(self):
        self.asked = self.reading = 0
        self.all_read = asyncio.Event()

    async def call(self, name, method, argument=None, timeout=None):
        if name == "ledger/runs":
            self.asked += 1
            if self.asked > 1:
                await self.all_read.wait()
                raise orrery.Unavailable("the connection ended", effect=orrery.NOT_EXECUTED)
            return {"id": "r", "documents": 1000, "where": "mesh"}
        if name.startswith("ledger/"):
            return {}
        if name == "worker/r-0":
            return {"fields": {"cents": 1}, "machine": "m"}
        self.reading += 1
        if self.reading == desk.AT_ONCE - 1:
            self.all_read.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # its end takes a moment
            self.reading -= 1


class HandingOutTest(unittest.IsolatedAsyncioTestCase):
    async def test_ends_all_hands_before_it_says_that_one_has_failed(self):
        client = LosingClient()
        with self.assertRaises(orrery.Unavailable):
            await asyncio.wait_for(desk.hand_out(client), 30)
        self.assertEqual(client.reading, 0)

    async def test_ends_all_hands_when_the_turn_is_lost(self):
        client = LosingClient()
        client.asked = -1  # so that nothing fails
        handing = asyncio.ensure_future(desk.hand_out(client))
        await asyncio.wait_for(client.all_read.wait(), 30)
        handing.cancel()
        await asyncio.wait({handing}, timeout=30)
        self.assertTrue(handing.cancelled())
        self.assertEqual(client.reading, 0)


if __name__ == "__main__":
    unittest.main()
