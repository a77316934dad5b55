"""Client processes, and what the client makes of them: monitors, groups and keys. Links are in test_links.py."""
import asyncio
import unittest

from context import SidecarCase, orrery, until
from orrery import _client_process

NORMAL, KILL = orrery.Reason("normal"), orrery.Reason("kill", "enough")


class Desk(orrery.Process):
    class_name = "desk"

    async def init(self, key):
        if key == "closed":
            raise orrery.Refused("forbidden", "the desk is closed")

    @orrery.call
    async def get(self):
        return self.state

    @orrery.call
    async def crash(self, text):
        raise ValueError(text)


class Case(SidecarCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.client = await self.connect()

    async def open(self, client=None):
        return await (client or self.client).process().open()


class AClientProcess(Case):
    async def test_gets_messages_in_order_and_its_iteration_ends_with_it(self):
        me, other = await self.open(), await self.open()
        for number in range(3):
            await other.send(me.pid, "n", number)
        await other.cast(me.pid, "note", "x")
        await other.exit(me.pid, KILL)
        heard = [message async for message in me]
        self.assertEqual(heard, [orrery.PlainMessage("n", n, other.pid) for n in range(3)] + [orrery.CastMessage("note", "x", other.pid)])
        self.assertEqual(me.ended, orrery.Reason("killed", "enough"))
        self.assertIsNone(await me.next())

    async def test_ends_with_its_block_for_the_reason_that_the_block_gives(self):
        watcher = await self.open()

        async def leave(problem):
            async with self.client.process() as process:
                await watcher.monitor(process.pid)
                if problem is not None:
                    raise problem

        for problem, reason in [(None, NORMAL), (ValueError("boom"), orrery.Reason("error", "ValueError: boom")),
                                (asyncio.CancelledError(), orrery.Reason("shutdown")),
                                (orrery.NotFound("none", effect="executed"), orrery.Reason("error", "not_found: none [executed]"))]:
            try:
                await leave(problem)
            except BaseException as raised:
                self.assertIs(raised, problem)
            self.assertEqual((await watcher.next(5)).reason, reason)

    async def test_is_closed_once_at_the_sidecar(self):
        me = await self.open()
        await me.close()
        await me.close()
        self.assertEqual(self.sidecar.count("close"), 1)
        self.assertEqual((await self.error_of(me.join("g"))).effect, "not_executed")
        self.assertFalse(self.client._processes.open)

    async def test_is_opened_once_and_before_it_is_used(self):
        with self.assertRaisesRegex(RuntimeError, "open the client process first"):
            await self.client.process().join("g")
        me = await self.open()
        with self.assertRaisesRegex(RuntimeError, "opened once"):
            await me.open()

    async def test_that_is_not_wanted_any_more_while_it_opens_is_closed_at_the_sidecar(self):
        self.sidecar.faults.result_delay = 0.2
        opening = asyncio.ensure_future(self.client.process().open())
        await until(lambda: self.sidecar.count("open"))
        opening.cancel()
        await until(lambda: self.sidecar.count("close"))
        await until(lambda: not self.sidecar.connections[0].client_processes)

    async def test_gives_credit_only_as_it_is_read(self):
        me = await self.open()
        await me.join("g")
        for number in range(_client_process.CREDIT + 70):
            await self.client.publish("g", "n", number)
        self.assertEqual(len(me._arrived), _client_process.CREDIT)
        self.assertEqual(self.sidecar.count("credit"), 0)
        for number in range(_client_process.CREDIT + 70):
            self.assertEqual((await me.next(5)).argument, number)
        await until(lambda: self.sidecar.count("credit") == 3)

    async def test_that_reads_too_late_is_told_in_their_place_how_many_were_dropped(self):
        self.sidecar.faults.waiting_max = 5
        me = await self.open()
        await me.join("g")
        for number in range(_client_process.CREDIT + 5 + 12):
            await self.client.publish("g", "n", number)
        heard = [await me.next(5) for _ in range(_client_process.CREDIT + 5)]
        self.assertEqual([message.argument for message in heard], list(range(_client_process.CREDIT + 5)))
        self.assertEqual(await me.next(5), orrery.Dropped(12))
        await self.client.publish("g", "n", "on")
        self.assertEqual((await me.next(5)).argument, "on")

    async def test_gives_credit_for_being_told_that_messages_were_dropped(self):
        me = await self.open()
        there = next(iter(self.sidecar.connections[0].client_processes.values()))
        for count in range(1, 2 * _client_process.CREDIT + 1):
            there.deliver({"kind": "dropped", "count": count})
        for count in range(1, 2 * _client_process.CREDIT + 1):
            self.assertEqual(await me.next(5), orrery.Dropped(count))

    async def test_gives_the_credit_of_messages_that_it_does_not_know(self):
        me = await self.open()
        there = next(iter(self.sidecar.connections[0].client_processes.values()))
        for _ in range(_client_process.CREDIT + 10):
            there.deliver({"kind": "weather", "forecast": "rain"})
        there.deliver({"kind": "plain", "word": "w"})
        self.assertEqual(await me.next(5), orrery.PlainMessage("w"))

    async def test_waits_no_longer_for_a_message_than_it_was_told(self):
        me = await self.open()
        self.assertEqual((await self.error_of(me.next(0.01))).code, "deadline_exceeded")

    async def test_ends_with_the_connection_after_what_had_come(self):
        me = await self.open()
        await me.send(me.pid, "before")
        self.sidecar.cut()
        self.assertEqual([message.word async for message in me], ["before"])
        self.assertEqual(me.ended.kind, "noconnection")
        error = await self.error_of(me.send(me.pid, "after"))
        self.assertEqual((error.code, error.effect), ("unavailable", "not_executed"))
        async with self.client.process() as another:
            await another.send(another.pid, "after")
            self.assertEqual((await another.next(5)).word, "after")

    async def test_is_not_asked_again_by_the_policy(self):
        client = await self.connect(retry=orrery.Retry(attempts=5))
        me = await self.open(client)
        await self.error_of(me.update("key", 1))
        self.assertEqual(self.sidecar.count("update"), 1)

    async def test_hears_of_keys_that_it_lost(self):
        me = await self.open()
        there = next(iter(self.sidecar.connections[0].client_processes.values()))
        there.deliver({"kind": "plain", "word": "key_lost", "argument": {"key": "k", "pid": "x@1.2.3"}})
        self.assertEqual(await me.next(5), orrery.PlainMessage("key_lost", {"key": "k", "pid": "x@1.2.3"}))

    async def test_drops_a_down_that_had_come_when_its_monitor_is_given_up(self):
        me = await self.open()
        number = await me.monitor("counter/x")
        await until(lambda: me._arrived)
        await me.demonitor(number)
        self.assertFalse(me._arrived)

    async def test_spawns(self):
        await self.host(Desk)
        me = await self.open()
        self.assertIsNone((await me.spawn("desk")).monitor)
        spawned = await me.spawn("desk", {"x": 1}, monitor=True, link=True)
        await me.exit(spawned.pid, KILL)
        heard = [await me.next(5), await me.next(5)]
        self.assertIn(orrery.Down(spawned.pid, orrery.Reason("killed", "enough"), spawned.monitor), heard)
        self.assertIn(orrery.ExitMessage(spawned.pid, orrery.Reason("killed", "enough")), heard)

    async def test_holds_keys_that_others_look_up(self):
        me = await self.open()
        await me.claim("leader", {"port": 80})
        self.assertEqual(await self.client.lookup("leader"), [{"key": "leader", "pid": me.pid, "value": {"port": 80}}])
        other = await self.open()
        error = await self.error_of(other.claim("leader"))
        self.assertIsInstance(error, orrery.AlreadyExists)
        self.assertIn(me.pid, error.text)
        self.assertTrue(await me.release("leader"))
        self.assertEqual((await self.client.registry("lead"))["entries"], [])
        self.assertEqual(next(f for f in self.sidecar.seen if f["type"] == "claim")["timeoutMs"], 5000)

    async def test_takes_the_kind_of_a_reason_alone(self):
        me, other = await self.open(), await self.open()
        await me.monitor(other.pid)
        await me.exit(other.pid, "kill")
        self.assertEqual((await me.next(5)).reason.kind, "killed")
        await me.close("shutdown")
        self.assertEqual(me.ended, orrery.Reason("shutdown"))

    async def test_says_what_it_is(self):
        me = self.client.process()
        self.assertEqual(repr(me), "<orrery.ClientProcess (no pid): not open yet>")
        await me.open()
        self.assertEqual(repr(me), f"<orrery.ClientProcess {me.pid}: open>")
        await me.close()
        self.assertEqual(repr(me), f"<orrery.ClientProcess {me.pid}: ended, normal>")

    async def test_says_of_which_type_a_thing_is_to_be(self):
        me = await self.open()
        before = len(self.sidecar.seen)
        for act, why in [(lambda: me.next("5"), "timeout is a number of seconds, not str"), (lambda: me.exit(me.pid, 5), "a reason is an orrery.Reason"),
                         (lambda: me.exit(me.pid, ("kill", None)), "a reason is"), (lambda: me.call("counter/x", "get", timeout="1"), "timeout is a"),
                         (lambda: self.client.call("counter/x", "get", timeout=True), "timeout is a number of seconds, not bool")]:
            with self.assertRaisesRegex(TypeError, why):
                await act()
        self.assertIn("is no pid: NODE@BOOT.SLOT.GENERATION", (await self.error_of(me.monitor("demo@1.2"))).text)
        self.assertEqual(len(self.sidecar.seen), before)

    async def test_refuses_what_cannot_be_before_it_is_sent(self):
        me = await self.open()
        before = len(self.sidecar.seen)
        for act in (me.monitor("counter"), me.send("a b@1.2.3", "w"), me.send(me.pid, "key_lost"), me.join("x" * 256), me.claim("k", in_="here"),
                    me.exit(me.pid, orrery.Reason("moved")), me.close(KILL), me.spawn(""), me.call("counter/x", "get", timeout=0),
                    me.send(me.pid, "w", {1, 2}), me.claim("")):
            self.assertEqual((await self.error_of(act)).code, "invalid_argument")
        self.assertEqual((await self.error_of(me.claim("k", "x" * 4096))).code, "too_large")
        self.assertEqual(len(self.sidecar.seen), before)


class AMonitor(Case):
    async def test_is_awaited(self):
        await self.host(Desk)
        pid = await self.client.start("desk/a")
        async with self.client.monitor("desk/a") as monitor:
            await self.error_of(self.client.call("desk/a", "crash", "oh no"))
            down = await asyncio.wait_for(monitor, 5)
        self.assertEqual((down.pid, down.reason.kind), (pid, "error"))
        self.assertIn("oh no", down.reason.text)

    async def test_shares_a_client_process_with_the_others(self):
        for key in "abc":
            await self.client.start(f"counter/{key}")
        waiting = [asyncio.ensure_future(until_down(self.client, f"counter/{key}")) for key in "abc"]
        await until(lambda: self.sidecar.count("monitor") == 3)
        await self.client.stop("counter/b")
        self.assertEqual((await waiting[1]).reason.kind, "normal")
        self.assertFalse(waiting[0].done() or waiting[2].done())
        self.assertEqual(self.sidecar.count("open"), 1)
        self.sidecar.cut()
        self.assertEqual({(await waiting[0]).reason.kind, (await waiting[2]).reason.kind}, {"noconnection"})

    async def test_of_many_that_do_not_run_tells_each(self):
        downs = await asyncio.gather(*(until_down(self.client, f"counter/{n}") for n in range(300)))
        self.assertEqual({(down.pid, down.reason.kind) for down in downs}, {(None, "noproc")})

    async def test_that_is_given_up_is_taken_back_at_the_sidecar(self):
        await self.client.start("counter/a")
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(self.client.monitor("counter/a"), 0.05)
        await until(lambda: not self.sidecar.mesh.kernel.monitors)
        monitor = self.client.monitor("counter/a")
        for _ in range(2):  # one that was given up may be awaited again
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(monitor, 0.05)
        async with self.client.monitor("counter/a"):
            self.assertTrue(self.sidecar.mesh.kernel.monitors)
        await until(lambda: not self.sidecar.mesh.kernel.monitors)

    async def test_tells_the_same_to_all_who_await_it_and_again(self):
        await self.client.start("counter/a")
        monitor = self.client.monitor("counter/a")

        async def wait():
            return await monitor

        one, two, three = (asyncio.ensure_future(wait()) for _ in range(3))
        await until(lambda: self.sidecar.mesh.kernel.monitors)
        one.cancel()
        await asyncio.sleep(0.02)
        self.assertFalse(two.done() or three.done())
        await self.client.stop("counter/a")
        down = await asyncio.wait_for(two, 5)
        self.assertIs(await asyncio.wait_for(three, 5), down)
        self.assertIs(await asyncio.wait_for(monitor, 5), down)
        self.assertEqual(self.sidecar.count("monitor"), 1)
        self.assertIn("of counter/a: down, ", repr(monitor))

    async def test_tells_after_its_block_what_it_told_in_it(self):
        async with self.client.monitor("counter/none") as monitor:
            await until(lambda: "down" in repr(monitor))
        self.assertEqual((await monitor).reason.kind, "noproc")
        self.assertEqual(self.sidecar.count("monitor"), 1)

    async def test_stands_though_messages_of_the_process_behind_it_were_dropped(self):
        await self.client.start("counter/a")
        async with self.client.monitor("counter/a") as monitor:
            there = next(iter(self.sidecar.connections[0].client_processes.values()))
            for _ in range(_client_process.CREDIT + 10):
                there.deliver({"kind": "dropped", "count": 1})
            await self.client.stop("counter/a")
            self.assertEqual((await asyncio.wait_for(monitor, 5)).reason.kind, "normal")

    async def test_says_what_it_is(self):
        await self.client.start("counter/a")
        monitor = self.client.monitor("counter/a")
        self.assertEqual(repr(monitor), "<orrery.Monitor of counter/a: does not stand>")
        async with monitor:
            self.assertEqual(repr(monitor), "<orrery.Monitor of counter/a: stands>")

    async def test_that_the_connection_overtakes_is_down(self):
        await self.client.start("counter/a")
        self.sidecar.faults.cut_at = {"type": "monitor", "when": "before"}
        self.assertEqual((await self.client.monitor("counter/a")).reason.kind, "noconnection")
        self.sidecar.faults.cut_at = None
        pid = await self.client.start("counter/a")
        waiting = asyncio.ensure_future(until_down(self.client, pid))
        await until(lambda: self.sidecar.mesh.kernel.monitors)
        await self.client.kill("counter/a", "again")
        self.assertEqual(await waiting, orrery.Down(pid, orrery.Reason("killed", "again"), 1))


class AnOldSidecar(SidecarCase):
    async def test_is_told_apart_without_sending(self):
        self.sidecar.faults.features = ["events", "host", "trace"]
        client = await self.connect()
        work = asyncio.sleep(0)
        for asking in (client.start("counter/a"), client.publish("g", "w"), client.group("g"), client.groups(), client.registry(),
                       client.lookup("k"), client.process().open(), until_down(client, "counter/a"), client.link("counter/a", work)):
            error = await self.error_of(asking)
            self.assertEqual((error.code, error.effect), ("unavailable", "not_executed"))
            self.assertIn("too old", error.text)
        self.assertEqual(self.sidecar.seen, [])


class Starting(Case):
    async def test_waits_for_init_and_tells_of_one_that_fails(self):
        await self.host(Desk)
        pid = await self.client.start("desk/a", timeout=5)
        self.assertEqual((await self.client.inspect("desk/a"))["pid"], pid)
        self.assertIn("the desk is closed", (await self.error_of(self.client.start("desk/closed"))).text)
        self.assertEqual(next(frame for frame in self.sidecar.seen if frame["type"] == "start")["timeoutMs"], 5000)


async def until_down(client, to):
    return await client.monitor(to)


if __name__ == "__main__":
    unittest.main()
