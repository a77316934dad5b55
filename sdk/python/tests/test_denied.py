"""A Unix socket that the client's user may not connect to. Permissions do not hold for root, so the client is a child with another uid."""
import asyncio
import logging
import os
import pathlib
import subprocess
import sys
import unittest

from context import SidecarCase, orrery, until
from orrery import _link

OTHER = 65534
SOURCES = str(pathlib.Path(orrery.__file__).resolve().parents[1])
CLIENT = """
import asyncio, os, sys, time
import orrery, orrery.sync  # now: Python and the checkout may be closed to other users
os.setgroups([])
os.setgid({other})
os.setuid({other})
started = time.monotonic()
try:
    if sys.argv[2] == "sync":
        orrery.sync.connect(sys.argv[1], timeout=20).open()
    elif sys.argv[2] == "serve":
        asyncio.run(orrery.serve(address=sys.argv[1]))
    else:
        asyncio.run(orrery.connect(sys.argv[1], timeout=20).open())
except orrery.OrreryError as problem:
    print(type(problem).__name__, problem.code, problem.effect, type(problem.__cause__).__name__, time.monotonic() - started < 10)
    print(problem.text)
""".format(other=OTHER)


@unittest.skipUnless(hasattr(os, "geteuid") and os.geteuid() == 0, "only root can start a client as another user")
class Denied(SidecarCase):
    """The mock's folder is open to all here, and its socket is not."""

    async def asyncSetUp(self):
        await super().asyncSetUp()
        os.chmod(os.path.dirname(self.sidecar.path), 0o755)
        os.chmod(self.sidecar.path, 0o660)

    async def client(self, kind):
        """What a client of another user hears, as lines."""
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CLIENT, self.sidecar.address, kind, cwd="/", env={"PYTHONPATH": SOURCES, "PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, said = await asyncio.wait_for(child.communicate(), 60)
        lines = out.decode().splitlines()
        self.assertEqual(len(lines), 2, said.decode())
        return lines

    async def test_the_first_connection_fails_at_once_and_says_who_may_not_and_who_may(self):
        for kind in ("async", "sync", "serve"):
            with self.subTest(kind):
                outcome, text = await self.client(kind)
                self.assertEqual(outcome, "Forbidden forbidden not_executed PermissionError True")
                for part in (self.sidecar.path, "permission denied", f"uid {OTHER}, gid {OTHER}", f"the socket has uid 0, gid {os.getegid()}, mode 0660", "the pod's volume"):
                    self.assertIn(part, text)

    async def test_a_folder_that_is_closed_is_told(self):
        os.chmod(os.path.dirname(self.sidecar.path), 0o700)
        _, text = await self.client("async")
        self.assertIn("a folder above it is closed too", text)


class Denials(SidecarCase):
    """What a client makes of them, whoever runs the test: the socket's connect is stood in for."""

    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.denied = self.dials = 0
        real = _link.Connection.open

        async def open_(endpoint, on_frame):
            self.dials += 1
            if self.denied > 0:
                self.denied -= 1
                raise PermissionError(13, "Permission denied")
            return await real(endpoint, on_frame)

        self.addCleanup(setattr, _link.Connection, "open", real)
        _link.Connection.open = open_

    async def test_that_a_sidecar_causes_while_it_makes_its_socket_do_no_harm(self):
        self.denied = 1
        client = await self.connect(timeout=20)
        self.assertEqual(await client.call("counter/a", "add"), 1)

    async def test_end_the_waiting_even_of_who_waits_for_ever(self):
        self.denied = 1_000_000
        problem = await asyncio.wait_for(self.error_of(orrery.connect(self.sidecar.address, timeout=None).open()), 20)
        self.assertIsInstance(problem, orrery.Forbidden)
        self.assertIsInstance(problem.__cause__, PermissionError)
        self.assertEqual(self.dials, 2)

    async def test_leave_a_client_that_can_be_opened_again(self):
        self.denied = 2
        client = orrery.connect(self.sidecar.address, timeout=20)
        self.assertIsInstance(await self.error_of(client.open()), orrery.Forbidden)
        await client.open()
        self.addAsyncCleanup(client.close)
        self.assertEqual(await client.call("counter/a", "add"), 1)

    async def test_after_a_loss_are_logged_and_the_socket_is_dialled_until_it_is_open(self):
        client = await self.connect()
        self.denied = 4
        with self.assertLogs("orrery.connection", logging.ERROR) as logs:
            self.sidecar.cut()
            await until(lambda: client.sidecar is None)
            self.assertEqual(await client.call("counter/a", "add", timeout=30), 1)
        [line] = logs.output
        self.assertIn(f"no connection to the sidecar at {self.sidecar.address}", line)
        self.assertIn(f"permission denied (Permission denied) to uid {os.geteuid()}", line)
        self.assertEqual(self.dials, 6)


if __name__ == "__main__":
    unittest.main()
