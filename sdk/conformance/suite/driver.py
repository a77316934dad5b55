"""One program of an SDK, which does what it is told: a JSON line in, a JSON line out, in any order."""
from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import pathlib
from typing import Any, Dict, List, Optional

LINE_BYTES_MAX = 64 * 1024 * 1024


class DriverGone(Exception):
    pass


class Driver:
    """Starts with the first command. ``kill`` is SIGKILL; the next command starts another."""

    def __init__(self, command: List[str], log: pathlib.Path) -> None:
        self.command = command
        self.log = log
        self._process: Optional[asyncio.subprocess.Process] = None
        self._reading: Optional["asyncio.Task[None]"] = None
        self._open: Dict[int, "asyncio.Future[Dict[str, Any]]"] = {}
        self._numbers = itertools.count(1)

    async def send(self, do: str, **arguments: Any) -> "tuple[int, asyncio.Future[Dict[str, Any]]]":
        """The command's number, and its answer: ``{"gives": ...}`` or ``{"fails": {"code", "text", "effect"}}``."""
        process = await self._running()
        number = next(self._numbers)
        future: "asyncio.Future[Dict[str, Any]]" = asyncio.get_running_loop().create_future()
        self._open[number] = future
        assert process.stdin is not None
        with contextlib.suppress(ConnectionError):
            process.stdin.write(json.dumps({"n": number, "do": do, **arguments}).encode() + b"\n")
            await process.stdin.drain()
        return number, future

    async def do(self, do: str, **arguments: Any) -> Dict[str, Any]:
        _, answer = await self.send(do, **arguments)
        return await asyncio.wait_for(answer, 60)

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def ended(self) -> None:
        if self._reading is not None:
            await self._reading

    async def stop(self) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._process.wait(), 5)
        self.kill()
        await self.ended()

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            with self.log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self.command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log, limit=LINE_BYTES_MAX)
            self._reading = asyncio.ensure_future(self._read(self._process))
        return self._process

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while True:
            line = await process.stdout.readline()
            if not line:
                break
            answer = json.loads(line)
            future = self._open.pop(answer.pop("n"), None)
            if future is not None and not future.done():
                future.set_result(answer)
        await process.wait()
        self._process = None
        gone, self._open = self._open, {}
        for future in gone.values():
            if not future.done():
                future.set_exception(DriverGone(f"the driver ended with {process.returncode}; see {self.log}"))
                future.exception()
