"""The client against a sidecar that behaves."""
import asyncio
import unittest

from context import SidecarCase, orrery, until
from orrery import _asking
from orrery._connection import WRITE_BYTES_MAX

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Counts(orrery.Metrics):
    def __init__(self):
        self.rows = []

    def connected(self, node):
        self.rows.append(("connected", node))

    def disconnected(self, reason):
        self.rows.append(("disconnected",))

    def requested(self, operation, class_name, method, code, seconds):
        self.rows.append((operation, class_name, method, code))
        if code == "invalid_argument":
            raise RuntimeError("a hook that fails")


class Slow(orrery.Process):
    class_name = "desk"

    @orrery.call
    async def wait(self, seconds):
        await asyncio.sleep(seconds)
        return "waited"

    @orrery.call
    async def echo(self, value):
        return value


class Requests(SidecarCase):
    async def test_reach_processes_and_come_back(self):
        client = await self.connect()
        self.assertEqual(client.sidecar.node, "mock-1")
        self.assertEqual(await client.call("counter/a", "add", 5), 5)
        self.assertEqual(await client.call(orrery.Name("counter", "a/b"), "add"), 1)
        await client.cast("counter/a", "add", 2)
        client.cast_nowait("counter/a", "add", 3)
        self.assertEqual(await client.call("counter/a", "get"), 10)
        self.assertEqual((await client.inspect("counter/a"))["handled"], 4)
        self.assertEqual([node["name"] for node in await client.nodes()], ["mock-1"])
        self.assertIn("counter", [known["name"] for known in await client.classes()])
        found = await client.processes("counter", limit=1)
        self.assertEqual((len(found["processes"]), found["truncated"]), (1, True))
        self.assertEqual((await client.tree(local=True))["nodes"][0]["node"], "mock-1")
        await client.stop("counter/a")
        self.assertEqual((await self.error_of(client.inspect("counter/a"))).code, "not_found")
        await client.kill("counter/a/b", "because")
        self.assertEqual(self.sidecar.seen[-1]["reason"], "because")

    async def test_carry_every_kind_of_plain_data(self):
        client = await self.connect()
        for value in (None, True, -1, 2**64 - 1, 1.5, "ü", b"\0\xff", [1, [2]], {"a": {"b": None}}):
            await client.call("kv/x", "put", {"key": "k", "value": value})
            self.assertEqual(await client.call("kv/x", "get", "k"), value)

    async def test_run_side_by_side_on_one_connection(self):
        client = await self.connect()
        await self.host(Slow)
        slow = asyncio.ensure_future(client.call("desk/slow", "wait", 3600))
        self.assertEqual(await asyncio.gather(*(client.call(f"desk/{n}", "echo", n) for n in range(100))), list(range(100)))
        self.assertFalse(slow.done())
        slow.cancel()
        self.assertEqual(len(self.sidecar.hellos), 2)

    async def test_that_are_wrong_are_refused_without_being_sent(self):
        client = await self.connect()
        for asking in (client.call("counter", "add"), client.call("counter/a", ""), client.call("counter/a", "add", {1: 2}),
                       client.call("counter/a", "add", timeout=0), client.call("counter/a", "add", timeout=4000), client.call("counter/a", "add", "x" * 1_100_000),
                       client.kill("counter/a", "\udcff"), client.processes("\udcff"), client.events("\udcff").__aenter__()):
            self.assertEqual((await self.error_of(asking)).effect, "not_executed")
        self.assertEqual(self.sidecar.seen, [])

    async def test_that_the_sidecar_refuses_say_why(self):
        client = await self.connect()
        problem = await self.error_of(client.call("crat/a", "add"))
        self.assertIsInstance(problem, orrery.NotFound)
        self.assertEqual(problem.effect, "not_executed")
        self.assertIn("known classes: cart, counter", problem.text)
        self.assertIsInstance(await self.error_of(client.call("counter/a", "nix")), orrery.NotFound)
        self.assertIsInstance(await self.error_of(client.call("counter/a", "add", "five")), orrery.InvalidArgument)
        self.assertIsInstance(await self.error_of(client.cast("crat/a", "add")), orrery.NotFound)

    async def test_that_take_too_long_say_whether_they_were_begun(self):
        client = await self.connect()
        await self.host(Slow)
        await client.call("desk/a", "echo", 0)
        begun = asyncio.ensure_future(client.call("desk/a", "wait", 3600, timeout=0.1))
        waits = asyncio.ensure_future(client.call("desk/a", "echo", 1, timeout=0.05))
        self.assertEqual((await self.error_of(waits)).effect, "not_executed")
        problem = await self.error_of(begun)
        self.assertIsInstance(problem, orrery.DeadlineExceeded)
        self.assertEqual(problem.effect, "unknown")

    async def test_that_are_cancelled_are_given_up_at_the_sidecar_too(self):
        client = await self.connect()
        await self.host(Slow)
        begun = asyncio.ensure_future(client.call("desk/a", "wait", 1))
        await until(lambda: self.sidecar.count("done") == 0 and self.sidecar.mesh.apps.works)
        waits = asyncio.ensure_future(client.call("desk/a", "echo", 1))
        await until(lambda: self.sidecar.count("call") == 2)
        waits.cancel()
        await until(lambda: self.sidecar.count("cancel"))
        with self.assertRaises(asyncio.CancelledError):
            await waits
        self.assertEqual(await begun, "waited")
        self.assertEqual(self.sidecar.count("done"), 1, "what waited was never handled")

    async def test_beyond_the_sidecars_limit_wait_for_their_turn(self):
        self.sidecar.faults.limits["requests"] = 4 + _asking.HEADROOM
        client = await self.connect()
        await self.host(Slow)
        answers = await asyncio.gather(*(client.call(f"desk/{n}", "wait", 0.01) for n in range(50)))
        self.assertEqual(answers, ["waited"] * 50)
        slow = [asyncio.ensure_future(client.call(f"desk/{n}", "wait", 3600)) for n in range(8)]
        await until(lambda: len(self.sidecar.mesh.apps.works) == 4)
        await client.events().__aenter__()
        self.assertEqual(self.sidecar.count("call"), 54, "registrations, subscriptions and drains have a place beside calls")
        problem = await self.error_of(client.call("desk/x", "echo", timeout=0.05))
        self.assertEqual((problem.code, problem.effect), ("deadline_exceeded", "not_executed"))
        for call in slow:
            call.cancel()

    async def test_carry_the_trace_they_are_made_in(self):
        client = await self.connect()
        await client.call("counter/a", "add", trace=TRACE)
        token = orrery.traceparent.set(TRACE)
        await client.call("counter/a", "add")
        orrery.traceparent.set("nonsense")
        await client.call("counter/a", "add")
        orrery.traceparent.reset(token)
        await client.call("counter/a", "add")
        self.assertEqual([frame.get("trace") for frame in self.sidecar.seen], [TRACE, TRACE, None, None])

    async def test_are_counted(self):
        counts = Counts()
        client = await self.connect(metrics=counts)
        await client.call("counter/a", "add")
        await self.error_of(client.call("counter/a", "add", "x"))
        await client.nodes()
        await client.close()
        self.assertEqual(counts.rows, [("connected", "mock-1"), ("call", "counter", "add", "ok"), ("call", "counter", "add", "invalid_argument"),
                                       ("nodes", "", "", "ok"), ("disconnected",)])

    async def test_wait_while_the_sidecar_does_not_read(self):
        client = await self.connect()
        self.sidecar.connections[0].wire.reader._transport.pause_reading()
        big = "x" * 1_000_000
        while client._link.current.is_writable:
            client.cast_nowait("kv/a", "put", {"key": "k", "value": big})
        with self.assertRaises(orrery.Overloaded):
            client.cast_nowait("counter/a", "add")
        problem = await self.error_of(client.call("counter/a", "add", timeout=0.05))
        self.assertEqual((problem.code, problem.effect), ("deadline_exceeded", "not_executed"))
        self.assertLess(client._link.current._transport.get_write_buffer_size(), WRITE_BYTES_MAX + 2 * len(big))
        waiting = asyncio.ensure_future(client.call("counter/a", "add"))
        self.sidecar.connections[0].wire.reader._transport.resume_reading()
        self.assertEqual(await waiting, 1)

    async def test_over_tcp_are_the_same(self):
        from context import mock
        async with mock.Sidecar() as sidecar, orrery.connect(f"127.0.0.1:{sidecar.port}") as client:
            self.assertEqual(await client.call("counter/a", "add"), 1)


if __name__ == "__main__":
    unittest.main()
