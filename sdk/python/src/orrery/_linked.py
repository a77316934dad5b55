"""What a client makes of client processes: monitors that are awaited, and tasks that are linked with a process."""
from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Coroutine, Dict, Generator, Optional, Tuple, Type, TypeVar

from ._client_process import CLOSE_KINDS, ClientProcess, ClientProcesses, ExitMessage, reason_of
from ._ends import NORMAL, Down, ExitSignal, Reason
from ._names import NameLike, is_pid, parse_address
from .errors import UNKNOWN, Unavailable

T = TypeVar("T")


class Monitors:
    """Those of one client: they share a client process for each connection."""

    def __init__(self, processes: ClientProcesses) -> None:
        self._processes = processes
        self._opening = asyncio.Lock()
        self._shared: Optional[_Shared] = None

    async def shared(self) -> "_Shared":
        async with self._opening:
            if self._shared is None or self._shared.process.ended is not None:
                process = ClientProcess(self._processes)
                await process.open()
                self._shared = _Shared(process)
            return self._shared


class _Shared:
    """A client process whose messages are downs, each for who waits for it."""

    def __init__(self, process: ClientProcess) -> None:
        self.process = process
        self._waiting: "Dict[int, asyncio.Future[Down]]" = {}
        self._asking = 0
        self._early: Dict[int, Down] = {}  # that came before their number was looked at
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def monitor(self, to: str) -> "Tuple[int, asyncio.Future[Down]]":
        future: "asyncio.Future[Down]" = asyncio.get_running_loop().create_future()
        self._asking += 1
        try:
            number = await self.process.monitor(to)
        except Unavailable as problem:
            if problem.effect != UNKNOWN:
                raise
            future.set_result(self._lost(to))  # the connection ended under way
            return 0, future
        finally:
            self._asking -= 1
        down = self._early.pop(number, None)
        if down is None and self.process.ended is not None:
            down = self._lost(to)
        if down is not None:
            future.set_result(down)
        else:
            self._waiting[number] = future
        return number, future

    def give_up(self, number: int) -> None:
        if self._waiting.pop(number, None) is not None:
            self.process.tell_demonitor(number)

    async def _read(self) -> None:
        async for message in self.process:
            if isinstance(message, Down):
                future = self._waiting.pop(message.monitor, None)
                if future is None and self._asking:
                    self._early[message.monitor] = message
                elif future is not None and not future.done():
                    future.set_result(message)
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_result(self._lost(""))

    def _lost(self, to: str) -> Down:
        reason = self.process.ended or Reason("noconnection", "the connection to the sidecar ended")
        return Down(to if is_pid(to) else "", Reason("noconnection", reason.text))


class Monitor:
    """``down = await client.monitor("cart/ada")``, or in two steps where nothing may be missed::

        async with client.monitor("cart/ada") as monitor:   # it stands from here on
            await client.cast("cart/ada", "finish")
            down = await monitor

    Leaving the block, or cancelling who awaits it where there is none, gives it up.
    """

    def __init__(self, monitors: Monitors, to: NameLike) -> None:
        self._monitors = monitors
        self._to = parse_address(to)
        self._shared: Optional[_Shared] = None
        self._number = 0
        self._down: "Optional[asyncio.Future[Down]]" = None

    async def __aenter__(self) -> "Monitor":
        self._shared = await self._monitors.shared()
        self._number, self._down = await self._shared.monitor(self._to)
        return self

    async def __aexit__(self, kind: Optional[Type[BaseException]], problem: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.cancel()

    def __await__(self) -> Generator[Any, None, Down]:
        return self._wait().__await__()

    async def _wait(self) -> Down:
        if self._down is not None:
            return await asyncio.shield(self._down)
        async with self:
            return await self._wait()

    def cancel(self) -> None:
        """Nothing is told any more; who awaits it now is cancelled. Again does nothing."""
        shared, down = self._shared, self._down
        self._shared = self._down = None  # who awaits it later begins anew
        if shared is not None and down is not None:
            shared.give_up(self._number)
            down.cancel()


async def run_linked(process: ClientProcess, to: NameLike, work: "Coroutine[Any, Any, T]") -> T:
    """See :meth:`Client.link`."""
    try:
        to = parse_address(to)
        await process.open()
        try:
            await process.link(to)
        except BaseException:
            await process.leave_quietly(NORMAL)
            raise
    except BaseException:
        work.close()
        raise
    task = asyncio.ensure_future(work)
    exits = asyncio.ensure_future(_exit_of(process))
    why = NORMAL
    try:
        await asyncio.wait({task, exits}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        pid, why = exits.result()
        task.cancel()
        await asyncio.wait({task})
        raise ExitSignal(pid, why) from (None if task.cancelled() else task.exception())
    except asyncio.CancelledError:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        raise
    finally:
        exits.cancel()
        await process.leave_quietly(_reason_of(task, why))


def _reason_of(task: "asyncio.Future[Any]", why: Reason) -> Reason:
    """Why the client process of a task ends: for what ended the task, be it an exit signal."""
    if why.kind != "normal":
        return why if why.kind in CLOSE_KINDS else Reason("error", str(why))
    if not task.done() or task.cancelled():
        return Reason("shutdown")
    return reason_of(task.exception())


async def _exit_of(process: ClientProcess) -> Tuple[str, Reason]:
    async for message in process:
        if isinstance(message, ExitMessage) and message.reason.kind != "normal":
            return message.sender, message.reason
    return "", process.ended or NORMAL
