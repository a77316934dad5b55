"""What handlers ask of others: plain messages, groups, requests and monitors; live, and in the test kit."""
import asyncio
import unittest

from context import SidecarCase, orrery
from orrery import testing


class Room(orrery.Process):
    class_name = "room"

    async def init(self, key):
        self.state = {"heard": [], "spawned": self.start_argument}

    @orrery.call
    async def get(self):
        return self.state["heard"]

    @orrery.call
    async def whole(self):
        return self.state

    @orrery.call
    async def enter(self, group):
        self.join_group(group)
        self.publish(group, "entered", self.key)

    @orrery.call
    async def quit(self, group):
        self.leave_group(group)

    @orrery.call
    async def say(self, *, to, text):
        self.send(to, "said", text)

    @orrery.call
    async def ask(self, *, to, method, argument=None, name="asked", timeout=None):
        self.request(name, to, method, argument, timeout=timeout)

    @orrery.call
    async def guard(self, *, to, name="guarded"):
        self.monitor(name, to)

    @orrery.call
    async def ignore(self, name):
        self.demonitor(name)

    @orrery.call
    async def hold(self):
        self.reply_later()

    @orrery.call
    async def crash(self, text):
        raise ValueError(text)

    @orrery.call
    async def odd(self, what):
        {"group": lambda: self.join_group(""), "word": lambda: self.send("room/b", "group_left"), "to": lambda: self.monitor("guarded", "nobody"),
         "name": lambda: self.demonitor(""), "value": lambda: self.publish("g", "w", {1}), "timeout": lambda: self.request("asked", "a/b", "m", timeout=0),
         "method": lambda: self.request("asked", "a/b", ""), "timer": lambda: self.after(1, "nobody")}[what]()

    @orrery.info
    async def entered(self, key):
        self.state["heard"].append([self.source, key])

    @orrery.info
    async def said(self, text):
        self.state["heard"].append([self.source, text])

    @orrery.info
    async def asked(self, answer):
        assert isinstance(answer, orrery.Answer)
        self.state["heard"].append([self.source, self.message, answer.value if answer.error is None else answer.error.code])

    @orrery.info
    async def guarded(self, down):
        assert isinstance(down, orrery.Down)
        self.state["heard"].append([self.source, self.message, down.reason.kind])

    async def handoff(self):
        self.state["heard"].append(["handoff"])
        self.monitor("guarded/again", "worker/1")


class Live(SidecarCase):
    classes = None

    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.sidecar.mesh.declare(type(self.sidecar.mesh.classes["desk"])("room"))
        self.client = await self.connect()
        await self.host(Room)

    async def heard(self, key, *entries):
        async def all_of_it():
            return await self.client.call(f"room/{key}", "get") == list(entries)

        for _ in range(500):
            if await all_of_it():
                return
        self.assertEqual(await self.client.call(f"room/{key}", "get"), list(entries))

    async def test_effects_are_carried_out(self):
        await self.client.call("room/a", "enter", "g")
        await self.client.call("room/b", "enter", "g")
        await self.heard("a", ["message", "a"], ["message", "b"])
        await self.client.call("room/b", "quit", "g")
        self.assertEqual(await self.client.publish("g", "entered", "x"), 1)
        await self.client.call("room/a", "say", {"to": "room/b", "text": "hi"})
        await self.heard("b", ["message", "b"], ["message", "hi"])

    async def test_requests_and_monitors_tell_what_became_of_them(self):
        await self.client.call("counter/x", "add", 4)
        await self.client.call("room/a", "ask", {"to": "counter/x", "method": "add", "argument": 1})
        await self.heard("a", ["reply", "asked", 5])
        await self.client.call("room/a", "ask", {"to": "crat/x", "method": "add", "name": "asked/2", "timeout": 2})
        await self.heard("a", ["reply", "asked", 5], ["reply", "asked/2", "not_found"])
        await self.client.call("room/b", "guard", {"to": "counter/x"})
        await self.client.call("room/b", "guard", {"to": "counter/x", "name": "guarded/2"})
        await self.client.call("room/b", "ignore", "guarded/2")
        await self.client.stop("counter/x")
        await self.heard("b", ["down", "guarded", "normal"])
        timeouts = [effect["call"].get("timeoutMs") for frame in self.sidecar.seen for effect in frame.get("effects", ()) if "call" in effect]
        self.assertEqual(timeouts, [None, 2000])

    async def test_that_cannot_be_are_crashes_that_say_so(self):
        for what in ("group", "word", "to", "name", "value", "timeout", "method"):
            error = await self.error_of(self.client.call("room/a", "odd", what))
            self.assertEqual((error.code, "test_effects.py" in error.text), ("process_exited", True), error)
            self.sidecar.mesh._restarts.clear()

    async def test_names_that_nothing_handles_are_refused_where_they_are_given(self):
        error = await self.error_of(self.client.call("room/a", "odd", "timer"))
        self.assertIn("ValueError: Room has no @orrery.info method for the timer 'nobody'; it has: asked, entered, guarded, said", error.text)

    async def test_a_process_that_has_moved_hears_so_first(self):
        self.assertIn("handoff", Room.definition.callback_names())
        await self.client.call("room/a", "get")
        self.sidecar.mesh.handoff(self.sidecar.mesh.processes["room", "a"])
        await self.heard("a", ["handoff"], ["down", "guarded/again", "noproc"])

    async def test_a_process_without_a_name_knows_what_it_was_spawned_with(self):
        async with self.client.process() as me:
            spawned = await me.spawn("room", {"x": 1})
            self.assertEqual((await me.call(spawned.pid, "whole"))["spawned"], {"x": 1})
        self.assertIsNone((await self.client.call("room/a", "whole"))["spawned"])


class InTests(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.host = await testing.Host(Room).__aenter__()
        self.addAsyncCleanup(self.host.__aexit__)

    def heard(self, key):
        return self.host.state(key)["heard"]

    async def test_groups_are_told_and_their_members_get_what_is_published(self):
        await self.host.call("a", "enter", "g")
        await self.host.call("b", "enter", "g")
        self.assertEqual(self.host.groups, {"g": ["room/a", "room/b"]})
        self.assertEqual(self.host.publishes, [testing.Publish("g", "entered", "a"), testing.Publish("g", "entered", "b")])
        self.assertEqual(self.heard("a"), [["message", "a"], ["message", "b"]])
        await self.host.call("a", "enter", "g")
        await self.host.call("a", "quit", "g")
        self.assertEqual(await self.host.publish("g", "said", "x"), 2)
        await self.host.call("a", "quit", "g")
        await self.host.kill("b")
        self.assertEqual(self.host.groups, {})
        self.assertEqual(await self.host.publish("g", "said", "x"), 0)

    async def test_plain_messages_are_recorded_and_find_who_runs(self):
        await self.host.call("b", "get")
        for to in ("room/b", self.host.pid("b"), "mail/x", "room/none"):
            await self.host.call("a", "say", {"to": to, "text": "hi"})
        self.assertEqual([send.to for send in self.host.sends], ["room/b", self.host.pid("b"), "mail/x", "room/none"])
        self.assertEqual(self.host.sends[0], testing.Send("room/b", "said", "hi"))
        self.assertEqual(self.heard("b"), [["message", "hi"]] * 2)
        self.assertFalse(self.host.is_running("none"))

    async def test_requests_are_answered_by_stand_ins_and_by_others_under_test(self):
        self.host.answer("stock", "take", lambda key, argument: [key, argument])
        self.host.answer("stock", "fail", orrery.Overloaded("later", effect="not_executed"))
        self.host.answer("stock", "bug", ValueError("x"))
        for method in ("take", "fail", "bug", "none"):
            await self.host.call("a", "ask", {"to": "stock/main", "method": method, "argument": 1})
        await self.host.call("a", "ask", {"to": "room/b", "method": "get"})
        await self.host.call("a", "ask", {"to": "room/b", "method": "nix"})
        await self.host.call("a", "ask", {"to": "x@1.2.3", "method": "get"})
        self.assertEqual([answer for _, _, answer in self.heard("a")],
                         [["main", 1], "overloaded", "handler_failed", "not_found", [], "not_found", "not_found"])

    async def test_a_request_without_an_answer_ends_at_its_deadline(self):
        await self.host.call("a", "ask", {"to": "room/b", "method": "hold"})
        self.assertEqual(self.host.requests("a"), ["asked"])
        await self.host.advance(4.9)
        self.assertEqual(self.heard("a"), [])
        await self.host.advance(0.2)
        self.assertEqual(self.heard("a"), [["reply", "asked", "deadline_exceeded"]])
        self.assertEqual(self.host.requests("a"), [])

    async def test_a_request_takes_the_place_of_another_of_its_name(self):
        await self.host.call("a", "ask", {"to": "room/b", "method": "hold"})
        self.host.answer("stock", "take", 7)
        await self.host.call("a", "ask", {"to": "stock/main", "method": "take"})
        await self.host.advance(10)
        self.assertEqual(self.heard("a"), [["reply", "asked", 7]])

    async def test_monitors_tell_of_those_under_test_and_of_others(self):
        await self.host.call("b", "get")
        await self.host.call("a", "guard", {"to": "room/b"})
        await self.host.call("a", "guard", {"to": "worker/1", "name": "guarded/w"})
        await self.host.call("a", "guard", {"to": "worker/2", "name": "guarded/x"})
        await self.host.call("a", "guard", {"to": "room/none", "name": "guarded/n"})
        self.assertEqual(self.host.monitors("a"), {"guarded": "room/b", "guarded/w": "worker/1", "guarded/x": "worker/2"})
        await self.host.call("a", "ignore", "guarded/x")
        await self.host.stop("b")
        await self.host.down("worker/1", "noconnection")
        with self.assertRaises(orrery.NotFound):
            await self.host.down("worker/2")
        self.assertEqual(self.heard("a"), [["down", "guarded/n", "noproc"], ["down", "guarded", "shutdown"], ["down", "guarded/w", "noconnection"]])

    async def test_a_handoff_comes_first_with_nothing_left_of_monitors_and_requests(self):
        await self.host.call("a", "guard", {"to": "worker/9"})
        await self.host.call("a", "ask", {"to": "room/b", "method": "hold"})
        waiting = asyncio.ensure_future(self.host.call("a", "hold"))
        await asyncio.sleep(0.01)
        await self.host.handoff("a")
        with self.assertRaisesRegex(orrery.ProcessExited, "unknown"):
            await waiting
        self.assertEqual(self.heard("a"), [["handoff"], ["reply", "asked", "unavailable"]])
        self.assertEqual(self.host.monitors("a"), {"guarded/again": "worker/1"})
        await self.host.advance(10)
        self.assertEqual(len(self.heard("a")), 2)

    async def test_what_ends_takes_its_requests_and_monitors_along(self):
        await self.host.call("a", "ask", {"to": "room/b", "method": "hold"})
        await self.host.call("a", "guard", {"to": "worker/1"})
        with self.assertRaises(orrery.ProcessExited):
            await self.host.call("a", "crash", "x")
        with self.assertRaisesRegex(orrery.NotFound, "nobody monitors worker/1"):
            await self.host.down("worker/1")
        await self.host.advance(10)
        self.assertEqual(self.heard("a"), [])

    async def test_names_that_nothing_handles_are_refused_where_they_are_given(self):
        for method, argument, what in [("ask", {"to": "room/b", "method": "hold", "name": "answer"}, "request 'answer'"),
                                       ("guard", {"to": "worker/1", "name": "gone"}, "monitor 'gone'"), ("odd", "timer", "timer 'nobody'")]:
            with self.assertRaisesRegex(orrery.ProcessExited, f"ValueError: Room has no @orrery.info method for the {what}"):
                await self.host.call("a", method, argument)


class Infos(unittest.TestCase):
    def test_an_answer_gives_its_value_or_raises_its_error(self):
        self.assertEqual(orrery.Answer(5).result(), 5)
        with self.assertRaises(orrery.NotFound):
            orrery.Answer(error=orrery.NotFound("none")).result()


if __name__ == "__main__":
    unittest.main()
