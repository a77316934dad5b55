"""What the tests share: the mock sidecar on a socket of its own, and waiting for conditions."""
from __future__ import annotations

import asyncio
import logging
import pathlib
import sys
import tempfile
import unittest
from typing import Any, Callable, List, Optional

_SDK = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_SDK / "python" / "src"), str(_SDK / "conformance")]

import mock  # noqa: E402
import orrery  # noqa: E402

__all__ = ["SidecarCase", "mock", "orrery", "until"]

logging.getLogger("orrery").addHandler(logging.NullHandler())
logging.getLogger("orrery").propagate = False


async def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Waits for a condition, with a deadline."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        found = condition()
        if found:
            return found
        if asyncio.get_running_loop().time() > end:
            raise AssertionError(f"did not come true within {seconds} s")
        await asyncio.sleep(0.005)


class SidecarCase(unittest.IsolatedAsyncioTestCase):
    """A mock sidecar for each test; ``self.connect()`` gives clients of it that are closed at the end."""

    classes: Optional[List[mock.ClassSpec]] = None

    async def asyncSetUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="orrery-")
        self.addCleanup(folder.cleanup)
        self.sidecar = mock.Sidecar(f"{folder.name}/sdk.sock", self.classes)
        await self.sidecar.listen()
        self.addAsyncCleanup(self.sidecar.stop)

    async def connect(self, **options: Any) -> orrery.Client:
        client = orrery.connect(self.sidecar.address, **options)
        await client.open()
        self.addAsyncCleanup(client.close)
        return client

    async def host(self, *classes: Any, **options: Any) -> orrery.Host:
        client = await self.connect()
        host = client.host(*classes, **options)
        await host.open()
        self.addAsyncCleanup(host.close)
        return host

    async def error_of(self, asking: Any) -> orrery.OrreryError:
        try:
            answer = await asking
        except orrery.OrreryError as problem:
            return problem
        raise AssertionError(f"answered {answer!r}")
