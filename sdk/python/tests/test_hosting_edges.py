"""Hosts at the edges: work that ends before it begins, texts that are no Unicode, hosts that end while their client goes on."""
import asyncio
import unittest
from unittest.mock import patch

from context import SidecarCase, orrery, until
from orrery import _frames, _work
from orrery._connection import Connection

BAD = "/data/\udcff.txt"  #: the name of a file that is no UTF-8, as Python has it
SHOWN = "/data/\ufffd.txt"
WORK = {"type": "work", "work": 999, "class": "desk", "key": "a", "callback": "call", "method": "add"}


class Unreadable(Exception):
    def __str__(self):
        raise ValueError("no text")


class Desk(orrery.Process):
    class_name = "desk"

    async def init(self):
        self.state = {"notes": [], "waiting": []}

    @orrery.call
    async def add(self, note):
        self.state["notes"].append(note)
        return len(self.state["notes"])

    @orrery.call
    async def sleep(self, seconds):
        await asyncio.sleep(seconds)

    @orrery.cast
    async def doze(self, seconds):
        await asyncio.sleep(seconds)

    @orrery.call
    def stop_iteration(self):
        return next(iter(()))

    @orrery.call
    async def fail(self, how):
        if how == "crash":
            raise FileNotFoundError(BAD)
        if how == "refuse":
            raise orrery.Refused("conflict", BAD)
        if how == "refuse oddly":
            raise orrery.Refused("conflict", object())
        if how == "unreadable":
            raise Unreadable
        if how == "cancel_timer":
            self.cancel_timer(BAD)
        self.stop("error", BAD)

    @orrery.call
    async def later(self):
        self.state["waiting"].append(self.reply_later())

    @orrery.cast
    async def refuse_all(self, effect):
        for caller in self.state["waiting"]:
            self.refuse(caller, orrery.Refused("conflict", BAD, **({"effect": effect} if effect else {})))
        self.state["waiting"] = []


class Counter(Desk):
    class_name = "counter"  #: which is no class of apps


class Cart(Desk):
    class_name = "cart"


class EdgeCase(SidecarCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.client = await self.connect()

    def call(self, method, argument=None, key="a"):
        return self.client.call(f"desk/{key}", method, argument, timeout=20)

    def dones(self, number):
        return [frame for frame in self.sidecar.seen if frame["type"] == "done" and frame["work"] == number]

    def at_work(self, method):
        return any(work.message.method == method for work in self.sidecar.mesh.apps.works.values())


class Broken(orrery.Process):
    class_name = "desk"

    async def init(self, key):
        if key == "b":
            raise ValueError("no")

    @orrery.call
    async def add(self):
        raise ValueError("no")


class Logs(EdgeCase):
    async def test_name_what_crashed(self):
        await self.host(Broken)
        for key, what in [("a", "desk/a crashed in call add"), ("b", "desk/b crashed in init")]:
            with self.assertLogs("orrery.host", "ERROR") as logs:
                await self.error_of(self.call("add", key=key))
            self.assertEqual(logs.records[0].getMessage(), what)


class Work(EdgeCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.desk = await self.host(Desk)
        self.sidecar.mesh.classes["desk"].intensity = 100

    async def test_that_is_cancelled_before_its_first_step_says_done_all_the_same(self):
        self.sidecar.connections[-1].send_raw(_frames.encode(WORK) + _frames.encode({"type": "cancel", "work": 999, "text": "late"}))
        await until(lambda: self.dones(999), 10)
        self.assertEqual(self.dones(999), [{"type": "done", "work": 999}])
        self.assertEqual(self.desk._at_work, {})

    async def test_that_ends_with_a_text_that_is_no_unicode_is_answered(self):
        for how, code, text in [("crash", "process_exited", SHOWN), ("refuse", "conflict", SHOWN), ("refuse oddly", "process_exited", ""),
                                ("unreadable", "process_exited", ""), ("cancel_timer", "process_exited", "no valid Unicode")]:
            with self.subTest(how):
                problem = await self.error_of(self.call("fail", how))
                self.assertEqual(problem.code, code)
                self.assertIn(text, problem.text)
        self.assertIsNone(await self.call("fail", "stop"))
        await until(lambda: ("desk", "a") not in self.sidecar.mesh.processes)

    async def test_whose_outcome_cannot_be_sent_is_a_crash(self):
        async def handle(*ignored):
            return _work.Done({"reply": {1, 2}}, "ok")

        await self.call("add", "x")
        with patch.object(_work, "handle", handle):
            problem = await self.error_of(self.call("add", "y"))
        self.assertIn("what the handler did cannot be sent: set is no plain data", problem.text)

    async def test_in_a_thread_that_raises_stop_iteration_is_a_crash(self):
        problem = await self.error_of(self.call("stop_iteration"))
        self.assertRegex(problem.text, r"RuntimeError: the handler raised StopIteration \(test_hosting_edges.py:\d+ in stop_iteration\)")

    async def test_that_refuses_a_caller_later_has_changed_the_state_already(self):
        for said, heard in [("", "executed"), ("not_executed", "not_executed"), ("unknown", "unknown")]:
            asking = asyncio.ensure_future(self.error_of(self.call("later")))
            await until(lambda: self.sidecar.mesh.processes.get(("desk", "a")) and self.sidecar.mesh.processes["desk", "a"].kept)
            await self.client.cast("desk/a", "refuse_all", said)
            problem = await asking
            self.assertEqual((problem.code, problem.text, problem.effect), ("conflict", SHOWN, heard))


class HostsThatEnd(EdgeCase):
    async def test_because_one_class_is_refused_take_the_others_back(self):
        other = await self.connect()
        self.assertIsInstance(await self.error_of(other.host(Desk, Counter).open()), orrery.Conflict)
        await self.host(Desk)
        answers = await asyncio.gather(*(self.call("add", "x", str(number)) for number in range(10)))
        self.assertEqual(answers, [1] * 10)

    async def test_leave_the_other_hosts_of_their_connection_alone(self):
        one, two = self.client.host(Desk), self.client.host(Cart)
        await one.open()
        await two.open()
        self.assertIsInstance(await self.error_of(self.client.host(Cart).open()), orrery.AlreadyExists)
        self.assertEqual([await self.call("add", "x"), await self.client.call("cart/a", "add", "x", timeout=20)], [1, 1])
        self.assertTrue(await one.drain())
        await one.close()
        self.assertEqual(await self.client.call("cart/a", "add", "y", timeout=20), 2)
        await two.close()
        await until(lambda: [frame["class"] for frame in self.sidecar.seen if frame["type"] == "drain"] == ["desk", "cart"])

    async def test_without_waiting_tell_callers_so_and_the_state_stays(self):
        host = self.client.host(Desk)
        await host.open()
        await self.call("add", "x")
        await self.call("add", "x", "b")
        asking = asyncio.ensure_future(self.error_of(self.call("sleep", 3600)))
        await self.client.cast("desk/b", "doze", 3600)
        await until(lambda: self.at_work("sleep") and self.at_work("doze") and len(host._at_work) == 2)
        self.assertFalse(await host.drain(0.01))
        await host.close()
        problem = await asking
        self.assertEqual((problem.code, problem.effect), ("unavailable", "unknown"))
        await until(lambda: not self.sidecar.mesh.apps.works)
        await self.host(Desk)
        self.assertEqual([await self.call("add", "y"), await self.call("add", "y", "b")], [2, 2])

    async def test_before_a_process_began_crash_it(self):
        class Slow(Desk):
            async def init(self):
                await asyncio.sleep(3600)

        host = self.client.host(Slow)
        await host.open()
        asking = asyncio.ensure_future(self.error_of(self.call("add", "x")))
        await until(lambda: host._at_work)
        await host.close()
        self.assertIn("stopped hosting", (await asking).text)

    async def test_are_closed_where_draining_is_cancelled(self):
        host = self.client.host(Desk)
        await host.open()
        asking = asyncio.ensure_future(self.error_of(self.call("sleep", 3600)))
        await until(lambda: host._at_work)
        leaving = asyncio.ensure_future(host.__aexit__(None, None, None))
        await until(lambda: self.sidecar.count("drain"))
        leaving.cancel()
        await asyncio.wait([leaving])
        self.assertNotIn(host, host._link.listeners)
        self.assertEqual((await asking).effect, "unknown")

    async def test_leave_work_that_comes_late_to_the_link_which_crashes_it(self):
        self.sidecar.connections[-1].send_raw(_frames.encode(WORK))
        await until(lambda: self.dones(999), 10)
        self.assertEqual(self.dones(999)[0]["crash"]["text"], "this app does not host class 'desk'")


class Registering(EdgeCase):
    async def test_takes_as_long_as_the_sidecar_does(self):
        limit = Connection.limit
        self.sidecar.faults.result_delay = 0.3
        with patch.object(Connection, "limit", lambda connection, number, seconds: limit(connection, number, 0.01)):
            await self.host(Desk)
        self.sidecar.faults.result_delay = 0
        self.assertEqual(self.sidecar.count("register"), 1)
        self.assertEqual(await self.call("add", "x"), 1)


if __name__ == "__main__":
    unittest.main()
