"""The client against sidecars that die, stall, speak otherwise, or are none."""
import asyncio
import os
import unittest

from context import SidecarCase, mock, orrery, until
from orrery import _asking, _connection


class Hello(SidecarCase):
    async def refusal(self):
        return await self.error_of(orrery.connect(self.sidecar.address, timeout=1).open())

    async def test_of_a_newer_protocol_only_is_told_with_both_versions(self):
        self.sidecar.faults.version = 2
        problem = await self.refusal()
        self.assertIn("it speaks versions 2 to 2, this client 1", problem.text)
        self.assertEqual(problem.effect, "not_executed")

    async def test_that_is_no_sidecars_is_told(self):
        self.sidecar.faults.hello = "http"
        self.assertIn("this is no sidecar", (await self.refusal()).text)

    async def test_that_is_refused_says_why(self):
        self.sidecar.faults.hello = "goodbye"
        self.assertIn("too many connections", (await self.refusal()).text)

    async def test_that_is_cut_or_not_there_is_tried_until_the_timeout(self):
        self.sidecar.faults.hello = "cut"
        self.assertIsInstance(await self.refusal(), orrery.Unavailable)
        self.assertGreater(len(self.sidecar.hellos), 1)
        await self.sidecar.stop()
        self.assertIn("No such file", (await self.refusal()).text)

    async def test_that_is_not_answered_is_given_up(self):
        self.sidecar.faults.hello = "silent"
        self.addCleanup(setattr, _connection, "HELLO_SECONDS", _connection.HELLO_SECONDS)
        _connection.HELLO_SECONDS = 0.05
        self.assertIn("did not answer the hello", (await self.refusal()).text)

    async def test_may_come_after_the_client_did(self):
        await self.sidecar.stop()
        opening = asyncio.ensure_future(self.connect())
        await asyncio.sleep(0.05)
        await self.sidecar.listen()
        self.assertEqual(await (await opening).call("counter/a", "add"), 1)

    async def test_says_who_the_client_is(self):
        await self.connect()
        self.assertRegex(self.sidecar.hellos[0]["client"], r"^orrery-python/\d+\.\d+\.\d+ \(\w+ 3\.\d+\)$")

    async def test_goes_to_the_next_address_where_the_first_is_not_there(self):
        async with mock.Sidecar() as tcp:
            os.environ.update(ORRERY_SOCKET="/nowhere/sdk.sock", ORRERY_TCP=f"127.0.0.1:{tcp.port}")
            try:
                async with orrery.connect() as client:
                    self.assertEqual(await client.call("counter/a", "add"), 1)
            finally:
                del os.environ["ORRERY_SOCKET"], os.environ["ORRERY_TCP"]


class Losses(SidecarCase):
    async def test_leave_no_call_without_a_true_outcome(self):
        client = await self.connect()
        for when, count in [("before", 0), ("after", 1), ("half", 2)]:
            self.sidecar.faults.cut_at = {"type": "call", "when": when}
            problem = await self.error_of(client.call("counter/a", "add"))
            self.assertEqual((problem.code, problem.effect), ("unavailable", "unknown"), when)
            self.assertEqual(await client.call("counter/a", "get"), count, when)

    async def test_harm_no_question_that_changes_nothing(self):
        client = await self.connect()
        self.sidecar.faults.cut_at = {"type": "nodes", "when": "before"}
        self.assertEqual((await self.error_of(client.nodes())).effect, "not_executed")

    async def test_are_mended_by_dialling_again(self):
        client = await self.connect()
        for round in range(3):
            self.sidecar.cut()
            await until(lambda: client.sidecar is None)
            self.assertEqual(await client.call("counter/a", "add"), round + 1)
        self.assertEqual(len(self.sidecar.hellos), 4)

    async def test_by_a_restart_are_too(self):
        client = await self.connect()
        await client.call("counter/a", "add")
        await self.sidecar.restart()
        self.assertEqual(await client.call("counter/a", "get"), 0)

    async def test_that_last_are_told_once_the_timeout_is_over(self):
        client = await self.connect()
        await self.sidecar.stop()
        problem = await self.error_of(client.call("counter/a", "add", timeout=0.1))
        self.assertEqual((problem.code, problem.effect), ("unavailable", "not_executed"))
        await until(lambda: client.sidecar is None)
        with self.assertRaises(orrery.Unavailable):
            client.cast_nowait("counter/a", "add")

    async def test_are_retried_where_nothing_was_done_and_a_policy_says_so(self):
        self.sidecar.mesh.classes["counter"].mailbox = 0
        client = await self.connect(retry=orrery.Retry(attempts=20, first_pause=0.01, most_pause=0.02))
        asking = asyncio.ensure_future(client.call("counter/a", "add"))
        await until(lambda: self.sidecar.count("call") >= 1)
        calls = self.sidecar.mesh.processes
        self.assertEqual(len(calls), 1 if calls else 0)
        self.sidecar.mesh.classes["counter"].mailbox = 10
        self.assertEqual(await asking, 1)

    async def test_are_not_retried_where_it_is_unknown_what_was_done(self):
        client = await self.connect(retry=orrery.Retry(attempts=5))
        self.sidecar.faults.cut_at = {"type": "call", "when": "after"}
        self.assertEqual((await self.error_of(client.call("counter/a", "add"))).effect, "unknown")
        self.assertEqual(await client.call("counter/a", "get"), 1)

    async def test_of_a_sidecar_that_says_goodbye_are_the_same(self):
        client = await self.connect()
        self.sidecar.goodbye("draining", "the sidecar ends")
        await until(lambda: client.sidecar is None)
        self.assertEqual(await client.call("counter/a", "add"), 1)
        self.assertEqual(len(self.sidecar.hellos), 2)

    async def test_end_with_the_client(self):
        client = await self.connect()
        await client.close()
        self.assertEqual(self.sidecar.seen[-1]["type"], "goodbye")
        self.assertIsInstance(await self.error_of(client.call("counter/a", "add")), orrery.Unavailable)

    async def test_show_in_silence(self):
        self.sidecar.faults.keepalive_ms = 200
        client = await self.connect()
        await until(lambda: self.sidecar.count("ping") >= 2)
        self.assertEqual(len(self.sidecar.hellos), 1, "a sidecar that answers pings is alive")
        self.sidecar.faults.deaf = True
        problem = await self.error_of(client.call("counter/a", "add"))
        self.assertEqual((problem.code, problem.effect), ("unavailable", "unknown"))
        self.assertIn("nothing was heard", problem.text)


class OddFrames(SidecarCase):
    async def test_of_unknown_types_and_with_unknown_fields_are_passed_over(self):
        self.sidecar.faults.unknown_fields = self.sidecar.faults.unknown_types = True
        client = await self.connect()
        async with client.events("process_started") as events:
            self.assertEqual(await client.call("counter/a", "add"), 1)
            self.assertEqual((await events.next()).data["key"], "a")

    async def test_in_small_pieces_are_whole_in_the_end(self):
        self.sidecar.faults.trickle = True
        client = await self.connect()
        self.assertEqual(await client.call("kv/a", "put", {"key": "k", "value": "x" * 500}), {"version": 1})
        self.assertEqual(await client.call("kv/a", "get", "k"), "x" * 500)

    async def test_that_answer_twice_are_taken_once(self):
        self.sidecar.faults.duplicate_results = True
        client = await self.connect()
        self.assertEqual([await client.call("counter/a", "add") for _ in range(3)], [1, 2, 3])

    async def test_that_cannot_be_read_end_the_connection_and_it_is_dialled_again(self):
        client = await self.connect()
        for damage in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\1\xff", b"\0\0\0\1\x80", b"\0\0\0\3\xa2aa"):
            hellos = len(self.sidecar.hellos)
            self.sidecar.connections[-1].send_raw(damage)
            await until(lambda: len(self.sidecar.hellos) > hellos)
            self.assertEqual(self.sidecar.count("goodbye"), 1)
            self.sidecar.seen.clear()
            await client.call("counter/a", "add")

    async def test_that_never_come_are_a_missed_deadline(self):
        self.addCleanup(setattr, _asking, "GRACE", _asking.GRACE)
        _asking.GRACE = 0.05
        self.sidecar.faults.result_delay = 60
        client = await self.connect()
        problem = await self.error_of(client.call("counter/a", "add", timeout=0.05))
        self.assertEqual((problem.code, problem.effect), ("deadline_exceeded", "unknown"))
        await until(lambda: self.sidecar.count("cancel"))


class Events(SidecarCase):
    async def test_arrive_in_order_from_the_subscription_on(self):
        client = await self.connect()
        async with client.events("process_started", "process_exited") as events:
            await client.call("counter/a", "add")
            await client.kill("counter/a")
            seen = [await events.next() for _ in range(2)]
        self.assertEqual([event.type for event in seen], ["process_started", "process_exited"])
        self.assertEqual(seen[1].data["reason"], "killed: killed")
        await until(lambda: self.sidecar.count("cancel"))

    async def test_may_be_named_in_a_list_too(self):
        client = await self.connect()
        for types in (("node_up", "node_down"), (["node_up", "node_down"],)):
            async with client.events(*types):
                self.assertEqual(self.sidecar.seen[-1]["events"], ["node_up", "node_down"])
        with self.assertRaisesRegex(TypeError, "a type of events is a text like 'process_restarted', not int"):
            client.events(["node_up", 5])

    async def test_end_their_subscription_when_a_loop_is_left(self):
        client = await self.connect()

        async def follow():
            async for event in client.events("class_updated"):
                return event

        following = asyncio.ensure_future(follow())
        await until(lambda: self.sidecar.count("subscribe"))
        self.sidecar.mesh.declare(mock.ClassSpec("new", "kv"))
        self.assertEqual((await following).data["class"], "new")
        await until(lambda: self.sidecar.count("cancel"))

    async def test_are_dropped_and_counted_for_a_reader_that_is_too_slow(self):
        client = await self.connect()
        async with client.events("class_updated") as events:
            for _ in range(1000):
                self.sidecar.mesh.emit("class_updated", {"class": "x"})
            seen = []
            while "dropped" not in [event.type for event in seen]:
                seen.append(await events.next())
            self.assertEqual(seen[-1].data["count"], 1000 - (len(seen) - 1))

    async def test_go_on_after_the_connection_was_lost_and_say_so(self):
        client = await self.connect()
        async with client.events("process_started") as events:
            self.sidecar.cut()
            self.assertEqual((await events.next()).type, "resubscribed")
            await client.call("counter/b", "add")
            self.assertEqual((await events.next()).data["key"], "b")

    async def test_that_are_refused_or_over_end_with_an_error(self):
        self.sidecar.faults.limits["subscriptions"] = 1
        client = await self.connect()
        async with client.events() as events:
            self.assertIsInstance(await self.error_of(client.events().__aenter__()), orrery.Overloaded)
            waiting = asyncio.ensure_future(self.error_of(events.next()))
            await asyncio.sleep(0)
            await client.close()
            self.assertIsInstance(await waiting, orrery.Unavailable)


if __name__ == "__main__":
    unittest.main()
