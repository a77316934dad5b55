"""What a client makes of client processes: monitors that are awaited, and tasks that are linked with a process."""
from __future__ import annotations

import asyncio
import inspect
from types import TracebackType
from typing import Any, Awaitable, Callable, Coroutine, Dict, Generator, Optional, Tuple, Type, TypeVar, Union

from ._client_process import CLOSE_KINDS, ClientProcess, ClientProcesses, ExitMessage, reason_of
from ._ends import NORMAL, Down, ExitSignal, Reason, pid_or_none
from ._names import NameLike, parse_address
from .errors import UNKNOWN, Unavailable

T = TypeVar("T")

EXIT_SECONDS = 1.0
"""So long the exit of nobody may be on its way when its node has said that nothing runs there."""


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
            self.process._tell_demonitor(number)

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
        return Down(pid_or_none(to), Reason("noconnection", reason.text))


class Monitor:
    """``down = await client.monitor("cart/ada")``, or in two steps where nothing may be missed::

        async with client.monitor("cart/ada") as monitor:   # it stands from here on
            await client.cast("cart/ada", "finish")
            down = await monitor

    Leaving the block, or cancelling all who await it where there is none, gives it up. What it told it tells again, to all who await it.
    """

    def __init__(self, monitors: Monitors, to: NameLike) -> None:
        self._monitors = monitors
        self._to = parse_address(to)
        self._beginning: Optional[asyncio.Lock] = None
        self._shared: Optional[_Shared] = None
        self._number = 0
        self._down: "Optional[asyncio.Future[Down]]" = None  #: while it stands
        self._told: Optional[Down] = None
        self._in_block = False
        self._waiters = 0

    def __repr__(self) -> str:
        told = self._told or (self._down.result() if self._down is not None and self._down.done() and not self._down.cancelled() else None)
        state = f"down, {told.reason}" if told is not None else "stands" if self._down is not None else "does not stand"
        return f"<orrery.Monitor of {self._to}: {state}>"

    async def __aenter__(self) -> "Monitor":
        self._in_block = True
        try:
            await self._begin()
        except BaseException:
            self._in_block = False
            raise
        return self

    async def __aexit__(self, kind: Optional[Type[BaseException]], problem: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.cancel()

    def __await__(self) -> Generator[Any, None, Down]:
        return self._wait().__await__()

    async def _begin(self) -> "Optional[asyncio.Future[Down]]":
        if self._beginning is None:
            self._beginning = asyncio.Lock()
        async with self._beginning:
            if self._down is None and self._told is None:
                shared = await self._monitors.shared()
                self._number, self._down = await shared.monitor(self._to)
                self._shared = shared
            return self._down

    async def _wait(self) -> Down:
        self._waiters += 1
        try:
            down = await self._begin()
            if down is not None:
                self._told = await asyncio.shield(down)
            assert self._told is not None
            return self._told
        finally:
            self._waiters -= 1
            if self._waiters == 0 and not self._in_block:
                self.cancel()

    def cancel(self) -> None:
        """Nothing is told any more; who awaits it now is cancelled. Again does nothing."""
        shared, down = self._shared, self._down
        self._shared = self._down = None  # who awaits it later begins anew, where it has told nothing
        self._in_block = False
        if shared is None or down is None:
            return
        if down.done() and not down.cancelled():
            self._told = down.result()
        shared.give_up(self._number)
        down.cancel()


Work = Union["Coroutine[Any, Any, T]", "asyncio.Future[T]", Callable[[], "Awaitable[T]"]]
"""What :meth:`Client.link` takes."""


def check_no_arguments(work: Callable[..., Any], what: str) -> None:
    """Raises :class:`TypeError` for a function that wants arguments, which it does not get."""
    try:
        inspect.signature(work).bind()
    except ValueError:  # one that does not say
        return
    except TypeError as problem:
        raise TypeError(f"{what} is a function without arguments: {problem}") from None


def begin(work: Callable[[], "Awaitable[T]"], what: str) -> "asyncio.Future[T]":
    awaitable = work()
    if not inspect.isawaitable(awaitable):
        raise TypeError(f"{what} is to return an awaitable, as an async function does, not {type(awaitable).__name__}")
    return asyncio.ensure_future(awaitable)


def _check_work(work: Any) -> None:
    if asyncio.iscoroutine(work) or asyncio.isfuture(work):
        return
    if not callable(work):
        raise TypeError("work is a coroutine, an asyncio.Task or Future, or a function without arguments that returns an awaitable, "
                        f"not {type(work).__name__}")
    check_no_arguments(work, "work")


def _task_of(work: Any) -> "asyncio.Future[Any]":
    if asyncio.iscoroutine(work) or asyncio.isfuture(work):
        return asyncio.ensure_future(work)
    return begin(work, "work")


def _drop(work: Any) -> None:
    """What could not be linked is not left behind."""
    if asyncio.iscoroutine(work):
        work.close()
    elif asyncio.isfuture(work):
        work.cancel()


async def run_linked(process: ClientProcess, to: NameLike, work: "Work[T]") -> T:
    """See :meth:`Client.link`."""
    _check_work(work)
    try:
        to = parse_address(to)
        await process.open()
        try:
            await process.link(to)
            exits = await _stands(process, to)
        except BaseException as problem:
            await process._leave_quietly(_passed_on(problem.reason) if isinstance(problem, ExitSignal) else NORMAL)
            raise
    except BaseException:
        _drop(work)
        raise
    try:
        task: "asyncio.Future[T]" = _task_of(work)
    except BaseException as problem:
        exits.cancel()
        await process._leave_quietly(reason_of(problem))
        raise
    why = NORMAL
    try:
        either: "set[asyncio.Future[Any]]" = {task, exits}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        pid, why = exits.result()
        task.cancel()
        await asyncio.wait({task})
        raise ExitSignal(pid, why, to) from (None if task.cancelled() else task.exception())
    except asyncio.CancelledError:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        raise
    finally:
        exits.cancel()
        await process._leave_quietly(end_of(task, why))


async def _stands(process: ClientProcess, to: str) -> "asyncio.Future[Tuple[str, Reason]]":
    """The exit that is still to come. Raises :class:`ExitSignal` for one that came with the link: nobody runs there."""
    exits = asyncio.ensure_future(_exit_of(process))
    looking = asyncio.ensure_future(process._look_at(to))
    try:
        await asyncio.wait({exits, looking}, return_when=asyncio.FIRST_COMPLETED)
        if not exits.done() and not looking.result():
            await asyncio.wait({exits}, timeout=EXIT_SECONDS)
    except BaseException:
        exits.cancel()
        raise
    finally:
        looking.cancel()
    if exits.done():
        raise ExitSignal(*exits.result(), to)
    return exits


def end_of(task: "asyncio.Future[Any]", why: Reason = NORMAL) -> Reason:
    """Why the client process of a task ends: for what ended the task, be it an exit signal."""
    if why.kind != "normal":
        return _passed_on(why)
    if not task.done() or task.cancelled():
        return Reason("shutdown")
    return reason_of(task.exception())


def _passed_on(why: Reason) -> Reason:
    return why if why.kind in CLOSE_KINDS else Reason("error", str(why))


async def _exit_of(process: ClientProcess) -> Tuple[str, Reason]:
    async for message in process:
        if isinstance(message, ExitMessage) and message.reason.kind != "normal":
            return message.sender, message.reason
    return "", process.ended or NORMAL
