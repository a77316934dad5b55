"""The list of cases itself: it says what it seems to, and the mock fails as it is told to."""
import asyncio
import json
import pathlib
import tempfile
import unittest

from suite.case import LIST, Case, load, verb_of
from suite.expect import Unexpected, check, has, same
from suite.hammering import TRIES_MAX, Hammering
from suite.ledger import verify
from suite.run_case import Running


class TheList(unittest.TestCase):
    def test_has_the_cases_that_were_promised(self):
        self.assertGreaterEqual(len(load()), 220)

    def test_is_kept_one_step_or_two_a_line(self):
        text = LIST.read_text()
        self.assertEqual(sum(line.startswith('{"name": ') for line in text.splitlines()), len(json.loads(text)))

    def test_with_a_slip_is_refused(self):
        for steps, why in [([{"cal": ["a/b", "c"]}], "one verb"), ([{"call": ["a/b", "c"], "give": 1}], "nothing reads"), ([{"call": [], "stop": "a/b"}], "one verb")]:
            with self.assertRaisesRegex(ValueError, why):
                verb_of(steps[0])
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "cases.json"
            path.write_text(json.dumps([{"name": "a", "steps": []}, {"name": "a", "steps": []}]))
            with self.assertRaisesRegex(ValueError, "two cases"):
                load(path)
            path.write_text(json.dumps([{"name": "a", "steps": [], "hosts": []}]))
            with self.assertRaisesRegex(ValueError, "unknown"):
                load(path)

    def test_with_a_kill_among_many_calls_says_which_calls_it_is_to_meet(self):
        hammer, kill, verified = {"hammer": "a/b|c", "as": "h"}, {"sigkill": "app", "under": "h"}, {"verify_ledger": "h"}
        restart = {"sidecar": {"restart": True}}
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "cases.json"
            for steps in ([hammer, kill, verified], [hammer, {**restart, "under": "h"}, verified], [{"sigkill": "app"}], [restart]):
                path.write_text(json.dumps([{"name": "a", "steps": steps}]))
                load(path)
            for steps, why in [([hammer, {"sigkill": "app"}, verified], "under which"), ([hammer, restart, verified], "under which"), ([hammer, kill], "one 'verify_ledger'"),
                               ([hammer, {**kill, "under": "x"}, verified], "names a 'hammer'"), ([hammer, {"call": [], "under": "h"}, verified], "for a kill"),
                               ([kill, verified], "one 'verify_ledger'")]:
                path.write_text(json.dumps([{"name": "a", "steps": steps}]))
                with self.subTest(steps), self.assertRaisesRegex(ValueError, why):
                    load(path)

    def test_knows_what_plain_http_can_be_asked(self):
        for steps, why in [([{"call": ["a/b", "c"]}], ""), ([{"serve": ["a"], "by": "app"}], ""), ([{"serve": ["a"]}], "'serve'"),
                           ([{"open": {"process": "a"}}], "client processes"), ([{"until": {"next": {"process": "a"}}}], "client processes"),
                           ([{"act": ["a", "join", {"group": "g"}]}], "'act'"), ([{"publish": ["g", "w"]}], ""), ([{"start": "a/b"}], ""),
                           ([{"until": {"cancel": "a"}}], "'cancel'"), ([{"call": ["a/b", "c"], "trace": "x"}], "trace"),
                           ([{"open": True, "retry": {"attempts": 2}}], "retry")]:
            self.assertIn(why, Case("a", steps, [], True, {}, []).not_by_http)
            self.assertEqual(bool(why), bool(Case("a", steps, [], True, {}, []).not_by_http))
        self.assertEqual(Case("a", [], [], True, {}, [], "for this reason").not_by_http, "for this reason")
        self.assertGreaterEqual(sum(not case.needs_the_mock and not case.not_by_http for case in load()), 60)

    def test_knows_which_cases_need_the_mock(self):
        self.assertFalse(Case("a", [{"sidecar": {"restart": True}}], [], True, {}, []).needs_the_mock)
        self.assertFalse(Case("a", [{"call": ["counter/$", "add"]}], [], True, {}, []).needs_the_mock)
        self.assertTrue(Case("a", [{"sidecar": {"cut": True}}], [], True, {}, []).needs_the_mock)
        self.assertTrue(Case("a", [{"until": {"seen": {"type": "done"}}}], [], True, {}, []).needs_the_mock)
        self.assertGreaterEqual(sum(not case.needs_the_mock for case in load()), 60)


class Steps(unittest.TestCase):
    def setUp(self):
        self.running = Running(Case("a", [], [], True, {}, []), {}, "unix:/tmp/none", None, "/tmp/folder")
        self.running.kept["%p"] = "mock-1@1.2.3"

    def test_have_the_keys_pids_and_numbers_of_their_run(self):
        key = self.running.key
        filled = self.running._filled({"call": ["desk/$", "m", {"file": "$folder/x", "to": "%p", "n": "#", "other": "%q"}]}, 7)
        self.assertEqual(filled, {"call": [f"desk/{key}", "m", {"file": "/tmp/folder/x", "to": "mock-1@1.2.3", "n": 7, "other": "%q"}]})

    def test_are_told_to_drivers_as_operations(self):
        for step, arguments in [
                ({"open": {"process": "a"}}, {"process": "a"}), ({"next": {"process": "a"}, "withinMs": 5}, {"process": "a", "withinMs": 5}),
                ({"close": {"process": "a", "reason": {"kind": "error"}}}, {"process": "a", "reason": {"kind": "error"}}),
                ({"act": ["a", "spawn", {"class": "desk"}]}, {"process": "a", "act": "spawn", "class": "desk"}),
                ({"publish": ["g", "w"]}, {"group": "g", "word": "w", "argument": None}), ({"lookup": "k", "in": "node_unique"}, {"key": "k", "in": "node_unique"}),
                ({"down": "a/b", "withinMs": 9}, {"to": "a/b", "withinMs": 9}), ({"task": ["t", "error", "x"]}, {"task": "t", "ends": "error", "text": "x"}),
                ({"start": "a/b", "timeoutMs": 5}, {"to": "a/b", "timeoutMs": 5}), ({"groups": "p"}, {"prefix": "p"}), ({"link": ["t", "a/b"]}, {"task": "t", "to": "a/b"})]:
            self.assertEqual(self.running._arguments(verb_of(step), step), arguments)


class Expectations(unittest.TestCase):
    def test_are_exact_or_partial(self):
        self.assertTrue(same({"a": [1, 2.0]}, {"a": [1.0, 2]}))
        for left, right in [(True, 1), (0, False), ({"a": 1}, {"a": 1, "b": 2}), ([1], [1, 2]), (None, 0)]:
            self.assertFalse(same(left, right))
        self.assertTrue(has({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}))
        self.assertFalse(has({"a": 1}, {"b": None}))

    def test_that_are_not_met_say_so(self):
        error = {"fails": {"code": "not_found", "text": "no class", "effect": "not_executed"}}
        check({"fails": {"code": ["gone", "not_found"], "effect": "not_executed", "text": "class"}}, error)
        for step, answer in [({"gives": 1}, {"gives": 2}), ({"has": {"a": 1}}, {"gives": {}}), ({}, error), ({"fails": {}}, {"gives": 1}),
                             ({"fails": {"code": "gone"}}, error), ({"fails": {"effect": "unknown"}}, error), ({"fails": {"text": "method"}}, error)]:
            with self.subTest(step), self.assertRaises(Unexpected):
                check(step, answer)


class Ledgers(unittest.TestCase):
    def test_show_a_lie(self):
        told = {"calls": 4, "ok": [0], "not_executed": [1], "executed": [], "unknown": [2, 3], "torn": []}
        with tempfile.TemporaryDirectory() as folder:
            ledger = pathlib.Path(folder) / "ledger"
            ledger.write_text("0\n2\n")
            verify(ledger, told, 2)
            with self.assertRaisesRegex(Unexpected, "2 calls ended as unknown, and at most 1"):
                verify(ledger, told, 1)
            for written, heard, why in [("0\n1\n", {}, "'not_executed'"), ("2\n", {}, "'ok'"), ("0\n0\n", {}, "2 times"), ("0\n2\n2\n", {}, "2 times"),
                                        ("0\n", {"torn": ["x"]}, "torn"), ("0\n", {"unknown": []}, "had an outcome"), ("", {"ok": [], "unknown": [0, 2, 3]}, "no call")]:
                ledger.write_text(written)
                with self.subTest(written), self.assertRaisesRegex(Unexpected, why):
                    verify(ledger, {**told, **heard}, 3)


class FakeCalls:
    """Four calls at a time, one after the other executed each time somebody waits; ``after`` says what a kill does to them."""

    def __init__(self, folder, after):
        self.after, self.killed, self.revived, self.under_way = after, 0, 0, None
        self.hammering = Hammering(self.begin, pathlib.Path(folder) / "ledger", callers=2)

    async def begin(self, written):
        answer = asyncio.get_running_loop().create_future()
        self.told = {"calls": 4, "ok": [], "not_executed": [], "executed": [], "unknown": [], "torn": []}
        self.under_way = asyncio.ensure_future(self.execute(written, answer, self.told))
        return answer

    async def execute(self, written, answer, told):
        for number in range(4):
            await asyncio.sleep(0.02)
            with written.open("a") as ledger:
                ledger.write(f"{number}\n")
            if number not in told["unknown"]:
                told["ok"].append(number)
        answer.set_result({"gives": told})

    async def kill(self):
        self.killed += 1
        self.after(self, self.killed)

    async def revive(self):
        self.revived += 1

    def lose_one(self, _):
        self.told["unknown"].append(len(self.told["ok"]))

    def end_all(self, _):
        """As if they had all been answered just before."""
        self.under_way.cancel()
        self.hammering.runs[-1].answer.set_result({"gives": {**self.told, "calls": len(self.told["ok"])}})

    async def run(self):
        await self.hammering.begin()
        await self.hammering.kill(self.kill, self.revive)
        return await self.hammering.verify()


class Kills(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    async def test_that_meet_calls_are_done_once(self):
        calls = FakeCalls(self.folder, FakeCalls.lose_one)
        self.assertEqual(await calls.run(), "3 ok, 1 unknown; 1 kills hit")
        self.assertEqual((calls.killed, calls.revived), (1, 0))

    async def test_that_come_when_all_is_over_are_done_again_among_new_calls(self):
        calls = FakeCalls(self.folder, lambda calls, n: calls.end_all(n) if n < 3 else calls.lose_one(n))
        self.assertIn("1 kills hit, 2 missed", await calls.run())
        self.assertEqual((calls.killed, calls.revived, len(calls.hammering.runs)), (3, 2, 3))

    async def test_that_always_come_too_late_fail(self):
        calls = FakeCalls(self.folder, FakeCalls.end_all)
        with self.assertRaisesRegex(Unexpected, "no kill hit"):
            await calls.run()
        self.assertEqual(calls.killed, TRIES_MAX)

    async def test_that_do_nothing_to_any_call_are_done_again_and_then_fail(self):
        calls = FakeCalls(self.folder, lambda calls, n: calls.lose_one(n) if n == 3 else None)
        self.assertEqual(await calls.run(), "4 ok; 4 ok; 3 ok, 1 unknown; 3 kills hit")
        calls = FakeCalls(self.folder, lambda calls, n: None)
        calls.hammering._written = pathlib.Path(self.folder) / "other"
        with self.assertRaisesRegex(Unexpected, "all calls succeeded in spite of"):
            await calls.run()

    async def test_are_not_due_before_a_call_was_executed(self):
        calls = FakeCalls(self.folder, lambda calls, n: self.assertGreaterEqual(calls.hammering.runs[-1].executed(), 1) or calls.lose_one(n))
        await calls.run()
        self.assertEqual(calls.killed, 1)


if __name__ == "__main__":
    unittest.main()
