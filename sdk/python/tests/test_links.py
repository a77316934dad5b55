"""Tasks that are linked with a process: who ends whom, and what cannot be linked."""
import asyncio
import pickle
import unittest
from unittest.mock import patch

from context import SidecarCase, orrery, until
from orrery import _client_process


class Desk(orrery.Process):
    class_name = "desk"

    @orrery.call
    async def crash(self, text):
        raise ValueError(text)

    @orrery.call
    async def finish(self):
        self.stop("normal", "done")


class ALink(SidecarCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.client = await self.connect()
        await self.host(Desk)
        self.pid = await self.client.start("desk/a")
        self.began, self.cancelled = asyncio.Event(), False

    async def work(self, ending=None):
        self.began.set()
        try:
            return await (ending or asyncio.Event().wait())
        except asyncio.CancelledError:
            self.cancelled = True
            raise

    async def begin(self, ending=None):
        task = asyncio.ensure_future(self.client.link("desk/a", self.work(ending)))
        await self.began.wait()
        return task

    async def test_gives_what_the_task_returns_and_leaves_the_process_alone(self):
        self.assertEqual(await self.client.link("desk/a", asyncio.sleep(0, "done")), "done")
        self.assertEqual(await self.client.start("desk/a"), self.pid)
        self.assertFalse(self.sidecar.connections[0].client_processes)

    async def test_cancels_the_task_when_the_process_ends(self):
        task = await self.begin()
        await self.error_of(self.client.call("desk/a", "crash", "oh no"))
        with self.assertRaises(orrery.ExitSignal) as raised:
            await task
        self.assertEqual((raised.exception.pid, raised.exception.reason.kind), (self.pid, "error"))
        self.assertTrue(self.cancelled)

    async def test_goes_on_when_the_process_ends_normally(self):
        ending = asyncio.get_running_loop().create_future()
        task = await self.begin(ending)
        await self.client.call("desk/a", "finish")
        await until(lambda: not self.sidecar.mesh.kernel.links.get(self.pid))
        ending.set_result(5)
        self.assertEqual(await task, 5)

    async def test_whose_task_fails_ends_the_process_with_its_text(self):
        ending = asyncio.get_running_loop().create_future()
        task = await self.begin(ending)
        async with self.client.monitor(self.pid) as monitor:
            ending.set_exception(ValueError("broken"))
            with self.assertRaisesRegex(ValueError, "broken"):
                await task
            self.assertEqual((await monitor).reason, orrery.Reason("error", "ValueError: broken"))

    async def test_that_is_cancelled_shuts_the_process_down(self):
        task = await self.begin()
        async with self.client.monitor(self.pid) as monitor:
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertTrue(self.cancelled)
            self.assertEqual((await monitor).reason.kind, "shutdown")

    async def test_with_one_that_does_not_run_is_an_exit(self):
        with self.assertRaises(orrery.ExitSignal) as raised:
            await self.client.link("desk/none", self.work())
        self.assertEqual(raised.exception.reason.kind, "noproc")

    async def test_with_a_name_under_which_none_runs_never_begins_its_task(self):
        self.sidecar.faults.result_delay = 0.01
        running = asyncio.ensure_future(asyncio.sleep(60))
        for work in (self.work(), self.work, running):
            with self.assertRaises(orrery.ExitSignal) as raised:
                await self.client.link("desk/none", work)
            self.assertEqual(raised.exception.reason.kind, "noproc")
        await asyncio.wait({running})
        self.assertTrue(running.cancelled())
        self.assertFalse(self.began.is_set())
        await until(lambda: not self.sidecar.connections[0].client_processes)

    async def test_with_a_pid_of_this_node_that_has_ended_never_begins_its_task(self):
        await self.client.stop("desk/a")
        with self.assertRaises(orrery.ExitSignal) as raised:
            await self.client.link(self.pid, self.work)
        self.assertEqual(raised.exception.reason.kind, "noproc")
        self.assertFalse(self.began.is_set())

    async def test_begins_its_task_where_nobody_can_tell_whether_the_process_runs(self):
        self.sidecar.faults.result_delay = 0.1
        with patch.object(_client_process, "LOOK_SECONDS", 0.01):
            linking = asyncio.ensure_future(self.client.link("desk/a", self.work))
            await asyncio.wait_for(self.began.wait(), 10)
        linking.cancel()
        await asyncio.wait({linking})

    async def test_that_is_cancelled_before_its_task_begins_leaves_the_process_alone(self):
        self.sidecar.faults.result_delay = 0.1
        linking = asyncio.ensure_future(self.client.link("desk/a", self.work))
        await until(lambda: self.sidecar.count("inspect"))
        linking.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await linking
        self.assertFalse(self.began.is_set())
        self.assertEqual(await self.client.start("desk/a"), self.pid)
        await until(lambda: not self.sidecar.connections[0].client_processes)

    async def test_goes_on_though_messages_of_the_process_behind_it_were_dropped(self):
        task = await self.begin()
        there = next(iter(self.sidecar.connections[0].client_processes.values()))
        for _ in range(_client_process.CREDIT + 10):
            there.deliver({"kind": "dropped", "count": 1})
        await self.error_of(self.client.call("desk/a", "crash", "oh no"))
        with self.assertRaises(orrery.ExitSignal):
            await asyncio.wait_for(task, 5)

    async def test_that_cannot_be_never_begins_its_task(self):
        work = self.work()
        self.assertEqual((await self.error_of(self.client.link("desk", work))).code, "invalid_argument")
        self.assertFalse(self.began.is_set())
        self.assertEqual(self.sidecar.count("open"), 0)
        self.assertFalse(self.sidecar.connections[0].client_processes)

    async def test_that_cannot_be_closes_a_coroutine_and_cancels_a_task(self):
        coroutine, task, future = self.work(), asyncio.ensure_future(asyncio.sleep(60)), asyncio.get_running_loop().create_future()
        for work in (coroutine, task, future, self.work):
            self.assertEqual((await self.error_of(self.client.link("desk", work))).code, "invalid_argument")
        await asyncio.wait({task})
        self.assertTrue(coroutine.cr_frame is None and task.cancelled() and future.cancelled())
        self.assertFalse(self.began.is_set())

    async def test_takes_a_function_a_task_or_a_future(self):
        async def done():
            return "done"

        future = asyncio.get_running_loop().create_future()
        future.set_result("done")
        for work in (done, lambda: asyncio.sleep(0, "done"), asyncio.ensure_future(done()), future):
            self.assertEqual(await self.client.link("desk/a", work), "done")

    async def test_takes_nothing_else_and_says_so_before_anything_is_sent(self):
        before = len(self.sidecar.seen)
        for work, why in [(None, "a coroutine, an asyncio.Task or Future, or a function .* not NoneType"), (5, "not int"),
                          (lambda argument: None, "work is a function without arguments: missing a required argument: 'argument'")]:
            with self.assertRaisesRegex(TypeError, why):
                await self.client.link("desk/a", work)
        self.assertEqual(len(self.sidecar.seen), before)

    async def test_of_a_function_that_gives_nothing_to_await_leaves_nothing_behind(self):
        with self.assertRaisesRegex(TypeError, "is to return an awaitable, as an async function does, not int"):
            await self.client.link("desk/a", lambda: 5)
        await until(lambda: not self.sidecar.connections[0].client_processes)

    async def test_raises_an_error_that_names_what_was_linked(self):
        with self.assertRaises(orrery.OrreryError) as raised:
            await self.client.link("desk/none", self.work)
        error = raised.exception
        self.assertEqual((error.code, error.effect, error.to), ("process_exited", "unknown", "desk/none"))
        self.assertIn("the linked process desk/none ended, noproc", str(error))
        again = pickle.loads(pickle.dumps(error))
        self.assertEqual((str(again), again.reason), (str(error), error.reason))

    async def test_ends_with_the_connection(self):
        task = await self.begin()
        self.sidecar.cut()
        with self.assertRaises(orrery.ExitSignal) as raised:
            await task
        self.assertEqual((raised.exception.reason.kind, raised.exception.code), ("noconnection", "cancelled"))
        self.assertIn("the link with desk/a was lost, noconnection", str(raised.exception))

    async def test_passes_an_exit_that_somebody_asked_for_on(self):
        task = await self.begin()
        linked = next(iter(self.sidecar.mesh.kernel.links[self.pid]))
        async with self.client.monitor(self.pid) as monitor, self.client.process() as me:
            await me.exit(linked, orrery.Reason("error", "go"))
            with self.assertRaises(orrery.ExitSignal):
                await task
            self.assertEqual((await monitor).reason, orrery.Reason("error", "go"))


if __name__ == "__main__":
    unittest.main()
