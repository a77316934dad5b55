"""Hosted processes, over a connection to a sidecar."""
import asyncio
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from context import SidecarCase, mock, orrery, until
from orrery import _lag

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


MEETING = threading.Barrier(4)  #: passed by four threads that are there at the same time
RELEASED = threading.Event()


class Desk(orrery.Process):
    class_name = "desk"

    async def init(self, key):
        if key == "closed":
            raise orrery.Refused("forbidden", "the desk is closed")
        self.state = {"key": key, "notes": [], "waiting": []}

    @orrery.call
    async def add(self, note):
        self.state["notes"].append(note)
        return len(self.state["notes"])

    @orrery.call
    async def get(self):
        return self.state

    @orrery.call
    async def about(self):
        return {"name": str(self.name), "pid": self.pid, "message": self.message, "trace": orrery.traceparent.get()}

    @orrery.call
    async def freeze(self, seconds):
        time.sleep(seconds)

    @orrery.call
    async def crash(self, text):
        self.state["notes"].append("lost")
        raise ValueError(text)

    @orrery.call(name="refuse")
    async def say_no(self, text):
        self.state["notes"].append("never kept")
        self.cast("counter/refused", "add")
        raise orrery.Refused("conflict", text)

    @orrery.call
    async def sleep(self, seconds):
        await asyncio.sleep(seconds)
        return "slept"

    @orrery.call
    def meet(self):
        MEETING.wait(60)
        return threading.current_thread().name

    @orrery.call
    def block(self):
        RELEASED.wait(60)

    @orrery.call
    def ask_blocking(self):
        return self.call_blocking("counter/asked", "add")

    @orrery.call
    async def later(self):
        self.state["waiting"].append(self.reply_later())

    @orrery.cast
    async def answer(self, value):
        for caller in self.state["waiting"]:
            if value == "no":
                self.refuse(caller, orrery.Refused("not_found", "none"))
            else:
                self.reply(caller, value)
        self.state["waiting"] = []

    @orrery.call
    async def ask(self, *, to, method="get"):
        return await self.call(to, method)

    @orrery.call
    async def remind(self, *, seconds, name="ring"):
        self.after(seconds, name, {"note": name})

    @orrery.call
    async def forget(self, name):
        self.cancel_timer(name)

    @orrery.info
    async def ring(self, argument):
        self.state["notes"].append(argument["note"])

    @orrery.call
    async def two_steps(self):
        self.continue_("second")
        return "first"

    async def handle_continue(self, value):
        self.state["notes"].append(value)

    @orrery.call
    async def finish(self, kind):
        self.stop(kind, "said so")
        return "bye"

    async def terminate(self, reason):
        self.cast("kv/farewells", "put", {"key": self.key, "value": reason})

    @orrery.call
    async def odd(self, what):
        if what == "state":
            self.state = {1, 2}
        elif what == "big":
            return "x" * 10_000_000
        elif what == "twice":
            self.reply_later()
            return "and now"
        elif what == "token":
            self.reply("me", 1)
        elif what == "effects":
            for _ in range(1001):
                self.cancel_timer("x")
        elif what == "cancelled":
            raise asyncio.CancelledError
        elif what == "attribute":
            self.forgotten = 1
        elif what == "blocking":
            self.call_blocking("counter/a", "get")
        return {1, 2}


class Work(SidecarCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.client = await self.connect()
        self.desk = await self.host(Desk)

    def call(self, method, argument=None, key="a", **options):
        return self.client.call(f"desk/{key}", method, argument, **options)

    async def test_keeps_state_between_messages_and_gives_each_process_its_own(self):
        self.assertEqual([await self.call("add", "x"), await self.call("add", "y"), await self.call("add", "z", "b")], [1, 2, 1])
        self.assertEqual((await self.call("get"))["notes"], ["x", "y"])

    async def test_tells_the_handler_what_it_is_about(self):
        about = await self.call("about", trace=TRACE)
        self.assertEqual((about["name"], about["message"], about["trace"]), ("desk/a", "about", TRACE))
        self.assertIn("mock-1@", about["pid"])

    async def test_sends_no_state_that_did_not_change_and_patches_of_large_ones(self):
        await self.call("add", "x" * 5000)
        self.assertEqual(set(self.last_done()), {"type", "work", "reply", "state"})
        await self.call("get")
        self.assertEqual(set(self.last_done()), {"type", "work", "reply"})
        waiting = asyncio.ensure_future(self.call("later"))
        await until(lambda: self.last_done().get("later"))
        self.assertEqual(self.last_done()["patch"], {"waiting": [3]})
        await self.client.cast("desk/a", "answer", "now")
        self.assertEqual(await waiting, "now")

    def last_done(self):
        return [frame for frame in self.sidecar.seen if frame["type"] == "done"][-1]

    async def test_that_raises_ends_its_process_which_starts_afresh(self):
        await self.call("add", "x")
        await self.call("add", "x", "b")
        problem = await self.error_of(self.call("crash", "oh"))
        self.assertIsInstance(problem, orrery.ProcessExited)
        self.assertEqual(problem.effect, "unknown")
        self.assertRegex(problem.text, r"ValueError: oh \(test_host.py:\d+ in crash\)")
        self.assertEqual((await self.call("get"))["notes"], [])
        self.assertEqual((await self.call("get", key="b"))["notes"], ["x"])

    async def test_that_refuses_answers_and_changes_nothing(self):
        await self.call("add", "x")
        problem = await self.error_of(self.call("refuse", "sold out"))
        self.assertEqual((problem.code, problem.text, problem.effect), ("conflict", "sold out", "not_executed"))
        self.assertEqual((await self.call("get"))["notes"], ["x"])
        self.assertNotIn(("counter", "refused"), self.sidecar.mesh.processes)

    async def test_that_cannot_begin_tells_who_waits(self):
        problem = await self.error_of(self.call("get", key="closed"))
        self.assertIn("the desk is closed", problem.text)
        self.assertNotIn(("desk", "closed"), self.sidecar.mesh.processes)

    async def test_that_does_wrong_is_a_crash_that_says_what(self):
        for what, why in [("state", "the state cannot be sent: set is no plain data"), ("reply", "the reply cannot be sent"),
                          ("big", "the reply has 10000005 bytes; at most 1048576"), ("twice", "left its caller waiting"),
                          ("token", "a caller's token is what"), ("effects", "at most 1000 effects"), ("cancelled", "cancelled itself"),
                          ("blocking", "would block the event loop")]:
            with self.subTest(what):
                self.sidecar.mesh.classes["desk"].intensity = 100
                problem = await self.error_of(self.call("odd", what))
                self.assertEqual(problem.code, "process_exited")
                self.assertIn(why, problem.text)

    async def test_in_plain_functions_runs_in_threads(self):
        names = await asyncio.gather(*(self.call("meet", key=str(n)) for n in range(4)))
        self.assertTrue(all(name.startswith("orrery-handler") for name in names))
        self.assertEqual(await self.call("ask_blocking"), 1)

    async def test_may_leave_callers_waiting_and_answer_them_later(self):
        waiting = [asyncio.ensure_future(self.call("later")) for _ in range(2)]
        await until(lambda: self.sidecar.count("done") == 3)
        await self.client.cast("desk/a", "answer", 7)
        self.assertEqual(await asyncio.gather(*waiting), [7, 7])
        waiting = asyncio.ensure_future(self.error_of(self.call("later")))
        await until(lambda: self.sidecar.mesh.processes["desk", "a"].kept)
        await self.client.cast("desk/a", "answer", "no")
        self.assertIsInstance(await waiting, orrery.NotFound)

    async def test_may_ask_others_but_not_itself(self):
        await self.client.call("counter/c", "add", 4)
        self.assertEqual(await self.call("ask", {"to": "counter/c"}, trace=TRACE), 4)
        asked = [frame for frame in self.sidecar.seen if frame.get("class") == "counter"][-1]
        self.assertEqual(asked["trace"], TRACE)
        self.assertIn("onBehalfOf", asked)
        problem = await self.error_of(self.call("ask", {"to": "desk/a"}))
        self.assertIn("would wait for itself", problem.text)

    async def test_sets_timers_anew_and_cancels_them(self):
        for seconds, name in [(600, "ring"), (0.01, "ring"), (0.05, "ring/two"), (600, "ring/three")]:
            await self.call("remind", {"seconds": seconds, "name": name})
        await self.call("forget", "ring/three")
        process = self.sidecar.mesh.processes["desk", "a"]
        await until(lambda: process.state["notes"] == ["ring", "ring/two"])
        self.assertEqual(process.timers, {})

    async def test_may_continue_before_other_messages(self):
        self.assertEqual(await asyncio.gather(self.call("two_steps"), self.call("add", "x")), ["first", 2])
        self.assertEqual((await self.call("get"))["notes"], ["second", "x"])

    async def test_may_end_its_process_and_have_last_words(self):
        self.assertEqual(await self.call("finish", "normal"), "bye")
        await until(lambda: ("kv", "farewells") in self.sidecar.mesh.processes)
        self.assertEqual(await self.client.call("kv/farewells", "get", "a"), {"kind": "normal", "text": "said so"})

    async def test_that_nobody_waits_for_is_cancelled_and_its_place_is_free(self):
        await self.call("get")
        self.sidecar.mesh.classes["desk"].handler_timeout = 0.5
        problem = await self.error_of(self.call("sleep", 600))
        self.assertEqual((problem.code, problem.effect), ("limit_exceeded", "unknown"))
        await until(lambda: not self.sidecar.mesh.apps.works)
        problem = await self.error_of(self.call("block"))
        self.assertEqual(problem.code, "limit_exceeded")
        at_work = [work.message.method for work in self.sidecar.mesh.apps.works.values()]
        self.assertIn("block", at_work, "a thread cannot be stopped: its place is taken until it ends")
        RELEASED.set()
        await until(lambda: not self.sidecar.mesh.apps.works)
        self.assertEqual((await self.call("get"))["notes"], [])

    async def test_warns_of_attributes_that_are_lost_and_of_a_blocked_loop(self):
        with self.assertLogs("orrery.host", "WARNING") as logs:
            await self.error_of(self.call("odd", "attribute"))
        self.assertIn("set self.forgotten, which the next message does not find", "".join(logs.output))
        self.addCleanup(setattr, _lag, "TICK_SECONDS", _lag.TICK_SECONDS)
        _lag.TICK_SECONDS = 0.02
        self.addCleanup(setattr, _lag, "BLOCKED_SECONDS", _lag.BLOCKED_SECONDS)
        _lag.BLOCKED_SECONDS = 0.1
        with self.assertLogs("orrery.host", "WARNING") as logs:
            await self.call("freeze", 0.4)
            await until(lambda: logs.output)
        self.assertRegex(logs.output[0], r"blocked for \d+\.\d s; .* At work, or just now: desk/a freeze")


class Registrations(SidecarCase):
    def sleeping(self):
        return sum(work.message.method == "sleep" for work in self.sidecar.mesh.apps.works.values())

    async def test_are_made_again_on_every_connection(self):
        client = await self.connect()
        host = await self.host(Desk)
        await client.call("desk/a", "add", "x")
        self.sidecar.cut()
        await until(lambda: not host.registered.is_set())
        await asyncio.wait_for(host.registered.wait(), 10)
        self.assertEqual(await client.call("desk/a", "add", "y"), 2, "what was idle has lost nothing")

    async def test_that_are_lost_cancel_what_is_at_work(self):
        client = await self.connect()
        host = await self.host(Desk)
        asking = asyncio.ensure_future(self.error_of(client.call("desk/a", "sleep", 30)))
        await until(self.sleeping)
        host._connection.abort("a test")
        problem = await asking
        self.assertEqual((problem.code, problem.effect), ("unavailable", "unknown"))
        await until(lambda: not host._at_work)

    async def test_of_classes_that_are_not_declared_wait_for_it(self):
        self.sidecar.mesh.remove("desk")
        client = await self.connect()
        host = await self.host(Desk)
        self.assertEqual(host.states, {"desk": "undeclared"})
        self.sidecar.mesh.declare(mock.ClassSpec("desk"))
        await until(lambda: host.states == {"desk": "ready"})
        self.assertEqual(await client.call("desk/a", "add", "x"), 1)

    async def test_that_are_refused_for_good_are_errors(self):
        self.sidecar.mesh.declare(mock.ClassSpec("desk", "counter"))
        client = await self.connect()
        self.assertIsInstance(await self.error_of(client.host(Desk).open()), orrery.Conflict)
        self.sidecar.mesh.declare(mock.ClassSpec("desk"))
        await client.host(Desk).open()
        self.assertIsInstance(await self.error_of(client.host(Desk).open()), orrery.AlreadyExists)
        with self.assertRaisesRegex(TypeError, "no class to host"):
            client.host()
        with self.assertRaisesRegex(TypeError, "both 'desk'"):
            client.host(Desk, type("Other", (orrery.Process,), {"class_name": "desk"}))
        with self.assertRaisesRegex(TypeError, "with a class_name"):
            client.host(type("Nameless", (orrery.Process,), {}))

    async def test_need_a_sidecar_that_hosts(self):
        self.sidecar.faults.features = ["events"]
        client = await self.connect()
        self.assertIn("hosts no classes", (await self.error_of(client.host(Desk).open())).text)

    async def test_share_their_work_and_drain_without_loss(self):
        client = await self.connect()
        first, second = await self.host(Desk), await self.host(Desk)
        asking = [asyncio.ensure_future(client.call(f"desk/{n}", "sleep", 0.3)) for n in range(20)]
        await until(lambda: self.sleeping() == 20 and len(first._at_work) + len(second._at_work) == 20)
        self.assertEqual({len(first._at_work), len(second._at_work)}, {10})
        self.assertTrue(await first.drain())
        await first.close()
        asking += [asyncio.ensure_future(client.call(f"desk/{n}", "sleep", 0)) for n in range(20)]
        self.assertEqual(await asyncio.gather(*asking), ["slept"] * 40)

    async def test_that_do_not_drain_in_time_leave_all_the_same_and_callers_hear_the_truth(self):
        client = await self.connect()
        host = await self.host(Desk)
        asking = asyncio.ensure_future(self.error_of(client.call("desk/a", "sleep", 30)))
        await until(self.sleeping)
        self.assertFalse(await host.drain(0.05))
        await host.close()
        await host._client.close()
        problem = await asking
        self.assertEqual((problem.code, problem.effect), ("unavailable", "unknown"))

    async def test_of_a_newer_state_version_take_over_and_change_the_state(self):
        class Newer(Desk):
            state_version = 2

            async def code_change(self, from_version):
                self.state = {**self.state, "from": from_version}

        client = await self.connect()
        await self.host(Desk)
        await client.call("desk/a", "add", "x")
        await self.host(Newer)
        state = await client.call("desk/a", "get")
        self.assertEqual((state["notes"], state["from"]), (["x"], 0))

    async def test_keep_states_that_are_no_plain_data_in_between(self):
        class Pair(orrery.Process):
            class_name = "desk"

            def init(self):
                self.state = complex(1, 2)

            @classmethod
            def load_state(cls, data):
                return None if data is None else complex(*data)

            @classmethod
            def dump_state(cls, state):
                return [state.real, state.imag]

            @orrery.call
            async def double(self):
                self.state *= 2

        client = await self.connect()
        await self.host(Pair)
        await client.call("desk/a", "double")
        self.assertEqual(self.sidecar.mesh.processes["desk", "a"].state, [2.0, 4.0])


PROGRAM = """
import asyncio, sys
sys.path.insert(0, {src!r})
import orrery

class Desk(orrery.Process):
    class_name = "desk"

    @orrery.call
    async def sleep(self, seconds):
        await asyncio.sleep(seconds)
        return "slept"

orrery.run(Desk, address={address!r}, app="test 1", drain_timeout=5)
print("left in order")
"""


class Programs(SidecarCase):
    classes = [mock.ClassSpec("desk", wait_for_app=60, call_timeout=60), mock.ClassSpec("counter", "counter")]

    async def test_finish_their_work_at_sigterm(self):
        client = await self.connect()
        source = PROGRAM.format(src=str(pathlib.Path(orrery.__file__).parents[1]), address=self.sidecar.address)
        program = await asyncio.create_subprocess_exec(sys.executable, "-c", source, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        asking = asyncio.ensure_future(client.call("desk/a", "sleep", 2))
        await until(lambda: self.sidecar.mesh.apps.works, 60)  # an interpreter starts slowly on a busy machine
        program.send_signal(signal.SIGTERM)
        await until(lambda: self.sidecar.count("drain"))
        self.assertEqual(await asking, "slept")
        out, _ = await program.communicate()
        self.assertEqual((program.returncode, out), (0, b"left in order\n"))

    async def test_finish_their_work_at_sigterm_while_they_register(self):
        class Late(orrery.Process):
            class_name = "late"

        register = self.sidecar.mesh.apps.register
        busy = {"code": "unavailable", "text": "not yet", "effect": "not_executed"}
        self.sidecar.mesh.apps.register = lambda it: busy if it.class_name == "late" else register(it)
        client = await self.connect()
        serving = asyncio.ensure_future(orrery.serve(Desk, Late, address=self.sidecar.address))
        asking = asyncio.ensure_future(client.call("desk/a", "sleep", 0.2))
        await until(lambda: self.sidecar.mesh.apps.works)
        os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual(await asking, "slept")
        await serving
        drained = [frame["class"] for frame in self.sidecar.seen if frame["type"] == "drain"]
        self.assertEqual(drained.count("desk"), 1)  # and "late", where the signal came between its request and the answer

    async def test_stop_at_sigterm_while_they_wait_for_a_sidecar(self):
        await self.sidecar.stop()
        serving = asyncio.ensure_future(orrery.serve(Desk, address=self.sidecar.address))
        await asyncio.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(serving, 5)

    async def test_end_with_the_error_where_their_class_is_refused(self):
        self.sidecar.mesh.declare(mock.ClassSpec("desk", "kv"))
        with self.assertRaises(orrery.Conflict):
            await asyncio.wait_for(orrery.serve(Desk, address=self.sidecar.address), 10)

    async def test_share_a_connection_where_they_are_given_one(self):
        client = await self.connect()
        serving = asyncio.ensure_future(orrery.serve(Desk, client=client))
        self.assertEqual(await client.call("desk/a", "add", "x"), 1)
        serving.cancel()
        await asyncio.wait([serving])
        self.assertEqual(await client.call("counter/a", "add"), 1)
        self.assertEqual(len(self.sidecar.hellos), 1)


if __name__ == "__main__":
    unittest.main()
