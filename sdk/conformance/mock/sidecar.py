"""The mock's listener: on a Unix socket or a TCP port, with the mesh and the faults that connections share."""
from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import replace
from typing import Any, Dict, List, Optional

from .connection import Connection
from .faults import Faults
from .mesh import Mesh
from .model import ClassSpec
from .wire import Wire

CLASSES = [ClassSpec("counter", "counter"), ClassSpec("kv", "kv"), ClassSpec("desk", wait_for_app=60.0), ClassSpec("cart", wait_for_app=60.0)]


class Sidecar:
    """``async with Sidecar(path="/tmp/x.sock") as sidecar``; without a path it listens on a port of 127.0.0.1."""

    def __init__(self, path: str = "", classes: Optional[List[ClassSpec]] = None) -> None:
        self.path = path
        self.port = 0
        self.faults = Faults()
        self.mesh = Mesh([replace(spec) for spec in (CLASSES if classes is None else classes)])
        self.connections: List[Connection] = []
        self.hellos: List[Dict[str, Any]] = []
        self.seen: List[Dict[str, Any]] = []
        """Every frame after the hello, of every connection."""
        self._server: Optional[asyncio.AbstractServer] = None
        self._tasks: "set[asyncio.Task[None]]" = set()

    @property
    def address(self) -> str:
        return f"unix:{self.path}" if self.path else f"tcp:127.0.0.1:{self.port}"

    async def __aenter__(self) -> "Sidecar":
        await self.listen()
        return self

    async def __aexit__(self, *ignored: Any) -> None:
        await self.stop()

    async def listen(self) -> None:
        if self.path:
            self._server = await asyncio.start_unix_server(self._connected, self.path)
        else:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """As a crash: no goodbye. What processes remember is kept by :attr:`mesh`; see :meth:`restart`."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)
        if self.path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)

    async def restart(self) -> None:
        """Another sidecar at the same address, which knows nothing of the first one's processes."""
        await self.stop()
        self.mesh = Mesh(list(self.mesh.classes.values()))
        await self.listen()

    def cut(self) -> None:
        for connection in list(self.connections):
            connection.cut()

    def goodbye(self, code: str = "draining", text: str = "the sidecar ends") -> None:
        for connection in list(self.connections):
            connection.goodbye(code, text)

    def count(self, kind: str) -> int:
        """How many frames of a type were seen."""
        return sum(frame["type"] == kind for frame in self.seen)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self, Wire(reader, writer))
        self.connections.append(connection)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await connection.run()
        finally:
            self._tasks.discard(task)
            self.connections.remove(connection)
