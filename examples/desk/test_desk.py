"""The desk's own tests: what is read, and what becomes of a document that cannot be."""
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


if __name__ == "__main__":
    unittest.main()
