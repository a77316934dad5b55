"""The blocking client, from threads without an event loop."""
import asyncio
import tempfile
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from context import mock, orrery
from orrery import sync


class SidecarThread:
    """The mock on a loop of its own."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="orrery-")
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.sidecar = self.run(self._start())
        return self

    async def _start(self):
        sidecar = mock.Sidecar(f"{self.folder.name}/sdk.sock")
        await sidecar.listen()
        return sidecar

    def run(self, doing):
        return asyncio.run_coroutine_threadsafe(doing, self.loop).result(10)

    def __exit__(self, *ignored):
        self.run(self.sidecar.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
        self.folder.cleanup()


class Blocking(unittest.TestCase):
    def test_clients_do_what_others_do(self):
        with SidecarThread() as there, sync.connect(there.sidecar.address) as client:
            self.assertEqual(client.call("counter/a", "add", 5, timeout=5), 5)
            client.cast("counter/a", "add", 2)
            self.assertEqual(client.call("counter/a", "get"), 7)
            self.assertEqual(client.inspect("counter/a")["handled"], 3)
            self.assertEqual(client.nodes()[0]["name"], client.sidecar.node)
            self.assertEqual(len(client.processes()["processes"]), 1)
            self.assertTrue(client.classes() and client.tree())
            with self.assertRaises(orrery.NotFound):
                client.call("crat/a", "add")
            client.kill("counter/a")
            client.stop("counter/a")

    def test_clients_may_be_shared_between_threads(self):
        with SidecarThread() as there, sync.connect(there.sidecar.address) as client, ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: client.call("counter/a", "add"), range(100)))
            self.assertEqual(client.call("counter/a", "get"), 100)

    def test_events_are_an_iterator(self):
        with SidecarThread() as there, sync.connect(there.sidecar.address) as client:
            events = client.events("process_started")
            client.call("counter/a", "add")
            client.call("counter/b", "add")
            self.assertEqual([next(events).data["key"], next(events).data["key"]], ["a", "b"])
            events.close()

    def test_events_that_are_dropped_before_the_first_end_their_subscription(self):
        with SidecarThread() as there, sync.connect(there.sidecar.address) as client:
            client.events("process_started")
            client.call("counter/a", "add")
            self.assertEqual(there.sidecar.count("cancel"), 1)

    def test_closing_ends_what_other_threads_wait_for(self):
        with SidecarThread() as there, ThreadPoolExecutor(2) as pool:
            patient = orrery.Retry(attempts=2, first_pause=3600, most_pause=3600)
            client = sync.connect(there.sidecar.address).open()
            there.sidecar.mesh.declare(mock.ClassSpec("counter", "counter", mailbox=0))
            asking = pool.submit(client.call, "counter/a", "add", retry=patient)
            following = pool.submit(next, client.events())
            deadline = time.monotonic() + 60
            while not there.sidecar.count("call") and time.monotonic() < deadline:
                time.sleep(0.005)
            there.run(asyncio.sleep(0))
            client.close()
            client.close()
            self.assertIsInstance(asking.exception(20), orrery.Unavailable)
            self.assertIsInstance(following.exception(20), orrery.Unavailable)
            with self.assertRaisesRegex(orrery.Unavailable, "is closed"):
                client.call("counter/a", "add")

    def test_a_client_that_is_not_open_says_so_and_can_be_closed(self):
        client = sync.connect("/nowhere/sdk.sock")
        with self.assertRaisesRegex(orrery.Unavailable, "not open yet"):
            client.call("counter/a", "add")
        client.close()
        client.close()

    def test_opening_without_a_sidecar_is_an_error_and_leaves_no_thread(self):
        before = threading.active_count()
        with self.assertRaises(orrery.Unavailable):
            sync.connect("/nowhere/sdk.sock", timeout=0.05).open()
        self.assertEqual(threading.active_count(), before)


class Processes(unittest.TestCase):
    def test_block_and_are_closed_with_their_block(self):
        with SidecarThread() as there, sync.connect(there.sidecar.address) as client:
            with client.process() as me, client.process() as other:
                me.join("room")
                other.watch("room")
                self.assertEqual(client.publish("room", "hello", 1), 1)
                self.assertEqual(next(me), orrery.PlainMessage("hello", 1))
                me.claim("key", 5)
                self.assertEqual([entry["value"] for entry in client.lookup("key")], [5])
                self.assertEqual([entry["pid"] for entry in client.registry("k")["entries"]], [me.pid])
                self.assertEqual(client.group("room")["members"][0]["pid"], me.pid)
                with self.assertRaises(orrery.DeadlineExceeded):
                    me.next(timeout=0.01)
                self.assertTrue(me.leave("room"))
                other.exit(me.pid, "kill")
                self.assertEqual(list(me), [])
                self.assertEqual(me.ended.kind, "killed")
                self.assertEqual(repr(other), f"<orrery.ClientProcess {other.pid}: open>")
            self.assertEqual(client.groups()["groups"], [])
            self.assertFalse(there.sidecar.connections[0].client_processes)

    def test_can_be_waited_for(self):
        with SidecarThread() as there, sync.connect(there.sidecar.address) as client:
            pid = client.start("counter/a")
            with client.monitor("counter/a") as monitor:
                with self.assertRaises(orrery.DeadlineExceeded):
                    monitor.wait(timeout=0.01)
                with self.assertRaisesRegex(TypeError, "timeout is a number of seconds, not str"):
                    monitor.wait(timeout="1")
                client.stop("counter/a")
                self.assertEqual(monitor.wait(timeout=5).pid, pid)
                self.assertEqual(monitor.wait(timeout=5).pid, pid)
            self.assertEqual(client.monitor("counter/a").wait().reason.kind, "noproc")


if __name__ == "__main__":
    unittest.main()
