"""Leaders: one of all who stand for a key does the work, and when it ends, however it does, another takes over."""
from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Awaitable, Callable, Optional

from ._asking import too_old
from ._client_process import FEATURE, ClientProcess, PlainMessage, reason_of
from ._ends import NORMAL, Down
from ._linked import begin, check_no_arguments, end_of
from ._names import check_key
from .errors import AlreadyExists, OrreryError

if TYPE_CHECKING:
    from ._client import Client
    from ._link import Link

log = logging.getLogger("orrery.leader")

PAUSE_SECONDS = 0.05
PAUSE_SECONDS_MAX = 1.0
LOOK_SECONDS = 5.0
"""A holder that lives on may have released the key: so often this looks."""
PASSING = frozenset({"unavailable", "overloaded", "deadline_exceeded", "cancelled", "draining", "isolated"})
"""Codes of what keeps one from standing now, and may not later."""


class Leader:
    """One who stands for a key. See :meth:`Client.lead`."""

    def __init__(self, client: "Client", link: "Link", key: str, work: "Callable[[], Awaitable[Any]]", value: Any) -> None:
        check_key(key, "mesh_unique")
        if not callable(work):
            raise TypeError("work is a function without arguments that returns an awaitable, called anew whenever the key is held, "
                            f"not {type(work).__name__}")
        check_no_arguments(work, "work")
        self._client, self._link, self._key, self._work, self._value = client, link, key, work, value
        self._pause = PAUSE_SECONDS

    async def run(self) -> Any:
        while True:
            done = await self._stand()
            if done is not None:
                return done.result()
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 2, PAUSE_SECONDS_MAX)

    async def _stand(self) -> "Optional[asyncio.Future[Any]]":
        """The work that has ended; None: it is to stand again."""
        connection = await self._link.connection(None)
        if FEATURE not in connection.welcome.features:
            raise too_old(connection, FEATURE)
        process = self._client.process()
        try:
            await process.open()
            done = await self._claim_or_wait(process)
        except BaseException as problem:
            passes = isinstance(problem, OrreryError) and (problem.code in PASSING or _is_lost(process))
            await process._leave_quietly(reason_of(problem))
            if passes:
                log.info("cannot stand for %s now: %s", self._key, problem)
                return None
            raise
        await process._leave_quietly(NORMAL if done is None else end_of(done))
        return done

    async def _claim_or_wait(self, process: ClientProcess) -> "Optional[asyncio.Future[Any]]":
        try:
            await process.claim(self._key, self._value)
        except AlreadyExists:
            await self._until_free(process)
            return None
        self._pause = PAUSE_SECONDS
        return await self._hold(process)

    async def _until_free(self, process: ClientProcess) -> None:
        for holder in await self._client.lookup(self._key):
            number = await process.monitor(holder["pid"])
            looking = asyncio.ensure_future(_down(process, number))
            try:
                await asyncio.wait({looking}, timeout=LOOK_SECONDS)  # wait_for may swallow that this one is cancelled
            finally:
                looking.cancel()
            if not looking.done():
                self._pause = PAUSE_SECONDS
                return
            end = looking.result()
            if end is not None and end.reason.kind not in ("noproc", "noconnection"):  # else it is gone, and the key is not free yet
                self._pause = PAUSE_SECONDS

    async def _hold(self, process: ClientProcess) -> "Optional[asyncio.Future[Any]]":
        task = asyncio.ensure_future(self._working())
        loss = asyncio.ensure_future(_loss(process, self._key))
        try:
            await asyncio.wait({task, loss}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            loss.cancel()
            was_done = task.done()
            if not was_done:
                task.cancel()
                await asyncio.wait({task})
        problem = None if task.cancelled() else task.exception()
        if problem is not None and not isinstance(problem, OrreryError):
            return task
        if was_done and not (problem is not None and _is_lost(process)):  # what it asked on a connection that is lost fails with it
            return task
        return None

    async def _working(self) -> Any:
        return await begin(self._work, "work")


def _is_lost(process: ClientProcess) -> bool:
    return process.ended is not None or (process._connection is not None and not process._connection.is_open)


async def _down(process: ClientProcess, monitor: int) -> "Optional[Down]":
    """None: the process ended before."""
    async for message in process:
        if isinstance(message, Down) and message.monitor == monitor:
            return message
    return None


async def _loss(process: ClientProcess, key: str) -> None:
    """Returns when it holds the key no more."""
    async for message in process:
        if isinstance(message, PlainMessage) and message.word == "key_lost" and (message.argument or {}).get("key") == key:
            return
