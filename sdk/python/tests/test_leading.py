"""Standing for a key: who leads, what ends it, and who leads then."""
import asyncio
import unittest
from unittest import mock

from context import SidecarCase, orrery, until
from orrery import _leading

KEY = "leader/mail"


class Work:
    """Runs until it is told how to end."""

    def __init__(self):
        self.begun, self.cancelled, self.ending = 0, 0, None

    async def __call__(self):
        self.begun += 1
        self.ending = asyncio.get_running_loop().create_future()
        try:
            return await self.ending
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


class ALeader(SidecarCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.client = await self.connect()
        self.work = Work()

    def lead(self, work=None, client=None, **options):
        task = asyncio.ensure_future((client or self.client).lead(KEY, work or self.work, **options))
        self.addAsyncCleanup(given_up, task)
        return task

    async def leading(self, times=1, work=None):
        await until(lambda: (work or self.work).begun == times)

    async def holder(self):
        return next(iter(await self.client.lookup(KEY)), {}).get("pid")

    def there(self, pid):
        return next(p for c in self.sidecar.connections for p in c.client_processes.values() if p.pid == pid)

    async def test_returns_what_the_work_returns_and_the_key_is_free(self):
        task = self.lead(value={"port": 80})
        await self.leading()
        self.assertEqual((await self.client.lookup(KEY))[0]["value"], {"port": 80})
        self.work.ending.set_result("done")
        self.assertEqual(await asyncio.wait_for(task, 5), "done")
        self.assertEqual(await self.client.lookup(KEY), [])
        self.assertFalse(self.client._processes.open)

    async def test_fails_with_what_the_work_raises_and_the_key_is_free(self):
        for problem in (ValueError("broken"), orrery.Unavailable("no mail today"), orrery.NotFound("no mail")):
            task, self.work = self.lead(work := Work()), work
            await self.leading()
            async with self.client.monitor(await self.holder()) as monitor:
                self.work.ending.set_exception(problem)
                with self.assertRaises(type(problem)) as raised:
                    await asyncio.wait_for(task, 5)
                self.assertIs(raised.exception, problem)
                self.assertEqual((await asyncio.wait_for(monitor, 5)).reason.kind, "error")
            self.assertEqual(await self.client.lookup(KEY), [])

    async def test_whose_key_is_lost_cancels_the_work_and_stands_again(self):
        self.lead()
        await self.leading()
        first = await self.holder()
        for key, kept in [("another", True), (KEY, False)]:
            self.there(first).deliver({"kind": "plain", "word": "key_lost", "argument": {"key": key, "pid": "x@1.2.3"}})
            await asyncio.sleep(0.02)
            self.assertEqual(self.work.cancelled, 0 if kept else 1)
        await self.leading(2)
        self.assertNotIn(await self.holder(), (None, first))

    async def test_leads_on_when_messages_were_dropped_and_still_hears_of_its_key(self):
        self.lead()
        await self.leading()
        there = self.there(await self.holder())
        for _ in range(250):
            there.deliver({"kind": "dropped", "count": 3})
        await asyncio.sleep(0.02)
        self.assertEqual(self.work.cancelled, 0)
        there.deliver({"kind": "plain", "word": "key_lost", "argument": {"key": KEY, "pid": "x@1.2.3"}})
        await self.leading(2)

    async def test_whose_connection_is_lost_works_anew_after_the_next(self):
        self.lead()
        await self.leading()
        self.sidecar.cut()
        await until(lambda: self.work.cancelled == 1)
        await self.leading(2)
        self.assertIsNotNone(await self.holder())

    async def test_stands_again_where_the_work_failed_as_the_connection_was_lost(self):
        begun = []

        async def work():
            begun.append(1)
            if len(begun) > 1:
                return "again"
            async with self.client.process() as me:
                self.sidecar.faults.cut_at = {"type": "join", "when": "before"}
                await me.join("g")

        task = self.lead(work)
        await until(lambda: begun)
        await until(lambda: self.sidecar.count("join"))
        self.sidecar.faults.cut_at = None
        self.assertEqual(await asyncio.wait_for(task, 10), "again")

    async def test_looks_again_at_a_key_whose_holder_lives_on(self):
        with mock.patch.object(_leading, "LOOK_SECONDS", 0.05):
            async with self.client.process() as me:
                await me.claim(KEY)
                self.lead()
                await until(lambda: self.sidecar.count("monitor"))
                self.assertEqual(self.work.begun, 0)
                await me.release(KEY)
                await self.leading()
                self.assertNotIn(await self.holder(), (None, me.pid))

    async def test_that_is_killed_stands_again(self):
        self.lead()
        await self.leading()
        async with self.client.process() as me:
            await me.exit(await self.holder(), "kill")
        await self.leading(2)
        self.assertEqual(self.work.cancelled, 1)

    async def test_fails_with_what_the_work_raises_when_it_is_cancelled(self):
        async def work():
            self.work.begun += 1
            try:
                await asyncio.Event().wait()
            finally:
                raise ValueError("cannot tidy up")

        task = self.lead(work)
        await self.leading()
        self.sidecar.cut()
        with self.assertRaisesRegex(ValueError, "cannot tidy up"):
            await asyncio.wait_for(task, 5)

    async def test_waits_for_the_end_of_another(self):
        async with self.client.process() as other:
            await other.claim(KEY)
            self.lead()
            await until(lambda: self.sidecar.mesh.kernel.monitors)
            await asyncio.sleep(0.1)
            self.assertEqual((self.work.begun, self.sidecar.count("claim")), (0, 2))
        await self.leading()

    async def test_takes_over_from_one_that_is_cancelled(self):
        first = self.lead()
        await self.leading()
        second = Work()
        self.lead(second, await self.connect())
        await until(lambda: self.sidecar.mesh.kernel.monitors)
        first.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await first
        self.assertEqual(self.work.cancelled, 1)
        await self.leading(work=second)

    async def test_asks_ever_less_often_for_a_key_that_nobody_alive_holds(self):
        kernel = self.sidecar.mesh.kernel
        kernel.claim("gone@1.2.3", KEY, None, "mesh_unique")
        self.lead()
        await asyncio.sleep(0.6)  # at 0, 50, 150, 350, 750 ms
        self.assertLessEqual(self.sidecar.count("claim"), 4)
        self.assertGreaterEqual(self.sidecar.count("claim"), 2)
        self.assertEqual((_leading.PAUSE_SECONDS, _leading.PAUSE_SECONDS_MAX), (0.05, 1.0))

    async def test_that_is_cancelled_while_it_waits_leaves_nothing_behind(self):
        async with self.client.process() as other:
            await other.claim(KEY)
            task = self.lead()
            await until(lambda: self.sidecar.mesh.kernel.monitors)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertEqual(list(self.client._processes.open.values()), [other])

    async def test_ends_with_its_client(self):
        client = await self.connect()
        task = self.lead(client=client)
        await self.leading()
        await client.close()
        self.assertEqual((await self.error_of(asyncio.wait_for(task, 5))).code, "unavailable")
        self.assertEqual(self.work.cancelled, 1)

    async def test_that_cannot_be_says_so_before_anything_is_sent(self):
        self.assertEqual((await self.error_of(self.client.lead("", self.work))).code, "invalid_argument")
        for work in (None, 5, lambda argument: None):
            with self.assertRaisesRegex(TypeError, "work is a function without arguments"):
                await self.client.lead(KEY, work)
        self.assertEqual(self.sidecar.seen, [])
        with self.assertRaisesRegex(TypeError, "is to return an awaitable"):
            await self.client.lead(KEY, lambda: 5)
        self.assertEqual(await self.client.lookup(KEY), [])
        self.assertEqual((await self.error_of(self.client.lead(KEY, self.work, value={1}))).code, "invalid_argument")


class AnOldSidecar(SidecarCase):
    async def test_is_told_apart(self):
        self.sidecar.faults.features = ["events", "host", "trace"]
        client = await self.connect()
        self.assertIn("too old", (await self.error_of(client.lead(KEY, Work()))).text)


async def given_up(task):
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


if __name__ == "__main__":
    unittest.main()
