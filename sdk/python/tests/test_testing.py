"""The test kit: processes without a sidecar, on a fake clock."""
import asyncio
import dataclasses
import unittest

import context  # noqa: F401
import orrery
from orrery import testing


class Cart(orrery.Process):
    class_name = "cart"

    async def init(self, key):
        if key == "closed":
            raise ValueError("closed")
        self.state = {"items": [], "waiting": None}

    @orrery.call
    async def add(self, item):
        self.state["items"].append(item)
        self.after(3600, "remind")
        return len(self.state["items"])

    @orrery.call
    def total(self):
        return len(self.state["items"])

    @orrery.call
    async def checkout(self, *, stock):
        left = await self.call(stock, "take", self.state["items"], timeout=5)
        self.cancel_timer("remind")
        self.cast("mail/" + self.key, "send", left)
        return left

    @orrery.call
    async def wait(self):
        self.state["waiting"] = self.reply_later()

    @orrery.cast
    async def wake(self, value):
        self.reply(self.state["waiting"], value)

    @orrery.call
    async def crash(self):
        raise RuntimeError("oh")

    @orrery.call
    async def full(self):
        raise orrery.Refused("conflict", "full")

    @orrery.call
    async def big(self):
        self.state["items"] = ["x" * 700_000, "y" * 700_000]

    @orrery.call
    async def go(self):
        self.stop("normal", "done")

    @orrery.call
    async def then(self):
        self.continue_(5)

    async def handle_continue(self, value):
        self.state["items"].append(value)

    @orrery.info
    async def remind(self, argument):
        self.cast("mail/" + self.key, "send", "you forgot something")
        self.after(60, "remind")

    async def terminate(self, reason):
        self.cast("mail/" + self.key, "bye", reason["text"])


class Stock(orrery.Process):
    class_name = "stock"

    async def init(self):
        self.state = {}

    @orrery.call
    async def take(self, items):
        if self.key == "slow":
            self.state["caller"] = self.reply_later()
            self.after(2, "answer")
            return None
        if self.key == "never":
            self.reply_later()
            return None
        return 10 - len(items)

    @orrery.info
    async def answer(self, argument):
        self.reply(self.state["caller"], "late")

    @orrery.cast
    async def note(self, argument):
        self.state["note"] = argument


class Kit(unittest.IsolatedAsyncioTestCase):
    async def test_handles_messages_and_keeps_states(self):
        async with testing.Host(Cart) as host:
            self.assertFalse(host.is_running("ada"))
            self.assertEqual(await host.call("ada", "add", "pen"), 1)
            self.assertEqual(await host.call("cart/ada", "add", "ink"), 2)
            self.assertEqual(await host.call("ada", "total"), 2)
            self.assertEqual(host.state("ada"), {"items": ["pen", "ink"], "waiting": None})
            self.assertTrue(host.is_running("ada"))

    async def test_lets_time_pass_only_when_told_to(self):
        async with testing.Host(Cart) as host:
            await host.call("ada", "add", "pen")
            self.assertEqual(host.timers("ada"), {"remind": 3600})
            await host.advance(3599)
            self.assertEqual(host.casts, [])
            await host.advance(1)
            self.assertEqual(host.casts, [testing.Cast("mail/ada", "send", "you forgot something")])
            await host.advance(120)
            self.assertEqual((len(host.casts), host.clock.now), (3, 3720))

    async def test_lets_processes_talk_to_each_other_and_to_stand_ins(self):
        async with testing.Host(Cart, Stock) as host:
            await host.call("cart/ada", "add", "pen")
            self.assertEqual(await host.call("cart/ada", "checkout", {"stock": "stock/here"}), 9)
            self.assertEqual(host.timers("cart/ada"), {})
            await host.cast("stock/here", "note", "hello")
            self.assertEqual(host.state("stock/here")["note"], "hello")
            with self.assertRaisesRegex(orrery.NotFound, "say host.answer"):
                await host.call("warehouse/x", "take")
            host.answer("warehouse", "take", lambda key, items: f"{key}:{len(items)}")
            self.assertEqual(await host.call("cart/ada", "checkout", {"stock": "warehouse/x"}), "x:1")
            host.answer("warehouse", "take", orrery.Overloaded("busy", effect="not_executed"))
            with self.assertRaisesRegex(orrery.ProcessExited, "overloaded: busy"):
                await host.call("cart/ada", "checkout", {"stock": "warehouse/x"})
            with self.assertRaisesRegex(orrery.ProcessExited, "would wait for itself"):
                await host.call("cart/ada", "checkout", {"stock": "cart/ada"})

    async def test_lets_answers_come_later_and_deadlines_pass(self):
        async with testing.Host(Cart, Stock) as host:
            asking = asyncio.ensure_future(host.call("cart/ada", "checkout", {"stock": "stock/slow"}))
            await asyncio.sleep(0)
            await host.advance(1)
            self.assertFalse(asking.done())
            await host.advance(1)
            self.assertEqual(await asking, "late")
            waiting = asyncio.ensure_future(host.call("cart/ada", "wait"))
            await asyncio.sleep(0)
            await host.cast("cart/ada", "wake", 5)
            self.assertEqual(await waiting, 5)
            late = asyncio.ensure_future(host.call("cart/ada", "wait", timeout=3))
            await asyncio.sleep(0)
            await host.advance(3)
            with self.assertRaises(orrery.DeadlineExceeded) as caught:
                await late
            self.assertEqual(caught.exception.effect, "unknown")
            never = asyncio.ensure_future(host.call("cart/ada", "checkout", {"stock": "stock/never"}))
            await asyncio.sleep(0)
            waits = asyncio.ensure_future(host.call("cart/ada", "total", timeout=1))
            await asyncio.sleep(0)
            await host.advance(2)
            with self.assertRaises(orrery.DeadlineExceeded) as caught:
                await waits
            self.assertEqual(caught.exception.effect, "not_executed")
            await host.advance(5)
            with self.assertRaisesRegex(orrery.ProcessExited, "deadline_exceeded"):
                await never

    async def test_ends_and_restarts_processes_as_a_mesh_does(self):
        async with testing.Host(Cart) as host:
            await host.call("ada", "add", "pen")
            with self.assertRaisesRegex(orrery.ProcessExited, r"RuntimeError: oh \(test_testing.py:\d+ in crash\)"):
                await host.call("ada", "crash")
            self.assertEqual(host.exits[0].kind, "error")
            self.assertEqual((host.state("ada")["items"], host.timers("ada")), ([], {}))
            with self.assertRaises(orrery.Conflict):
                await host.call("ada", "full")
            with self.assertRaisesRegex(orrery.ProcessExited, "the state has 1400027 bytes"):
                await host.call("ada", "big")
            await host.kill("ada")
            await host.call("ada", "go")
            self.assertFalse(host.is_running("ada"))
            self.assertEqual(host.casts, [testing.Cast("mail/ada", "bye", "done")])
            self.assertEqual([left.kind for left in host.exits], ["error", "error", "killed", "normal"])
            await host.call("ada", "add", "x")
            await host.stop("ada", text="away")
            self.assertEqual(host.casts[-1].argument, "away")
            with self.assertRaisesRegex(orrery.ProcessExited, "closed"):
                await host.call("closed", "add")
            self.assertFalse(host.is_running("closed"))

    async def test_ends_what_is_handled_when_its_process_is_killed(self):
        class Sleeper(orrery.Process):
            class_name = "sleeper"

            @orrery.call
            async def sleep(self):
                await asyncio.sleep(3600)

        async with testing.Host(Sleeper) as host:
            asking = asyncio.ensure_future(host.call("a", "sleep"))
            await asyncio.sleep(0.01)
            await host.kill("a", "test")
            with self.assertRaisesRegex(orrery.ProcessExited, "killed: test"):
                await asking

    async def test_continues_before_other_messages(self):
        async with testing.Host(Cart) as host:
            await asyncio.gather(host.call("ada", "then"), host.call("ada", "add", "pen"))
            self.assertEqual(host.state("ada")["items"], [5, "pen"])

    async def test_takes_only_what_could_be_sent(self):
        async with testing.Host(Cart) as host:
            with self.assertRaises(orrery.InvalidArgument):
                await host.call("ada", "add", {1})
            with self.assertRaises(orrery.NotFound):
                await host.call("ada", "nix")
            with self.assertRaises(orrery.NotFound):
                host.state("bob")

    async def test_refuses_what_a_test_cannot_mean(self):
        async with testing.Host(Cart) as host:
            with self.assertRaisesRegex(orrery.NotFound, "class 'cart' has no method 'nix' for a cast; it has: wake"):
                await host.cast("ada", "nix")
            self.assertFalse(host.is_running("ada"))
            with self.assertRaisesRegex(ValueError, "time passes forwards"):
                await host.advance(-1)
            with self.assertRaisesRegex(TypeError, "seconds is a number"):
                await host.advance("1")
            with self.assertRaisesRegex(orrery.NotFound, "nobody monitors worker/1"):
                await host.down("worker/1")
            for arguments, kind, why in [(("stock/main", "take", 1), ValueError, "names no class"), ((Stock, "take", 1), ValueError, "names no class"),
                                         (("cart", "add", 1), ValueError, "is under test"), (("stock", "", 1), ValueError, "the method has 0 bytes"),
                                         (("stock", "take", ValueError), TypeError, "not the class ValueError"),
                                         (("stock", "take", {1}), ValueError, "cannot be sent")]:
                with self.assertRaisesRegex(kind, why):
                    host.answer(*arguments)

    async def test_keeps_states_that_are_dataclasses(self):
        @dataclasses.dataclass
        class Score:
            points: int = 0

        class Game(orrery.Process[Score]):
            class_name = "game"
            load_state = staticmethod(lambda data: Score(**data))
            dump_state = staticmethod(dataclasses.asdict)

            async def init(self, key):
                self.state = Score()

            @orrery.call
            async def score(self):
                self.state.points += 1
                return self.state.points

        async with testing.Host(Game) as host:
            self.assertEqual([await host.call("a", "score"), await host.call("a", "score")], [1, 2])
            self.assertEqual(host.state("a"), {"points": 2})

    async def test_changes_states_to_a_newer_version(self):
        class Newer(Cart):
            state_version = 2

            async def code_change(self, from_version):
                self.state["items"] = [{"name": item, "from": from_version} for item in self.state["items"]]

        async with testing.Host(Cart) as host:
            await host.call("ada", "add", "pen")
            host.upgrade(Newer)
            self.assertEqual(await host.call("ada", "total"), 1)
            self.assertEqual(host.state("ada")["items"], [{"name": "pen", "from": 0}])


if __name__ == "__main__":
    unittest.main()
