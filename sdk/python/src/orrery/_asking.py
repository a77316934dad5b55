"""How a request is made: a connection, a place among the requests under way, the deadline, and tries after it failed unharmed."""
from __future__ import annotations

import asyncio
import functools
from typing import Any, Awaitable, Callable, Dict, Optional

from ._connection import Connection
from ._gate import Gate
from ._link import Link, Listener
from ._retry import Retry
from ._work import current_work
from .errors import NOT_EXECUTED, DeadlineExceeded, OrreryError, Unavailable
from .metrics import Metrics

PATIENCE = 10.0
"""Seconds that a request without a timeout waits for a connection."""
TIMED = ("call", "start", "claim")
"""What has ``timeoutMs``."""
GRACE = 2.0
"""The sidecar keeps the deadline of these; so many seconds later it counts as deaf."""
QUERY_TIMEOUT = 10.0
"""Seconds for everything but calls, whose class has a timeout of its own."""
REQUESTS_DEFAULT = 1024
HEADROOM = 64 + 16 + 1
"""The sidecar counts all requests. So many are left for those that wait in no line: 64 classes and 16 subscriptions on a connection, and a drain."""


class Asking(Listener):
    """Used on one event loop's thread."""

    def __init__(self, link: Link, retry: Retry, metrics: Metrics) -> None:
        self._link = link
        self._retry = retry
        self._metrics = metrics
        self._gate = Gate(REQUESTS_DEFAULT - HEADROOM)
        link.listeners.append(self)

    def opened(self, connection: Connection) -> None:
        self._gate.resize(max(1, connection.welcome.requests - HEADROOM))

    async def ask(self, operation: str, fields: Dict[str, Any], timeout: Optional[float], effect_if_lost: str,
                  retry: Optional[Retry] = None, feature: str = "", on: Optional[Connection] = None) -> Any:
        """The result. Raises an :class:`OrreryError`; one that comes of a lost connection says ``effect_if_lost``.

        ``feature`` is what the sidecar's welcome must name. ``on`` is the one connection for which this has a meaning.
        """
        loop = asyncio.get_running_loop()
        started, code = loop.time(), "ok"
        deadline = None if timeout is None else started + timeout
        try:
            asking = functools.partial(self._once, operation, fields, deadline, effect_if_lost, feature, on)
            return await self._tries(asking, deadline, retry or self._retry, on)
        except OrreryError as problem:
            code = problem.code
            raise
        except asyncio.CancelledError:
            code = "cancelled"
            raise
        finally:
            self._metrics.requested(operation, fields.get("class", ""), fields.get("method", ""), code, loop.time() - started)

    async def _tries(self, asking: Callable[[], Awaitable[Any]], deadline: Optional[float], retry: Retry, on: Optional[Connection]) -> Any:
        backoff = retry.backoff()
        for left in range(retry.attempts - 1, -1, -1):
            try:
                return await asking()
            except OrreryError as problem:
                pause = backoff.next()
                late = deadline is not None and asyncio.get_running_loop().time() + pause >= deadline
                if left == 0 or late or not retry.heals(problem) or (on is not None and not on.is_open):
                    raise
            await asyncio.sleep(pause)

    async def _once(self, operation: str, fields: Dict[str, Any], deadline: Optional[float], effect_if_lost: str, feature: str,
                    on: Optional[Connection]) -> Any:
        if not self._gate.try_enter():
            await self._gate.enter(_left(deadline))
        try:
            connection = await self._ready(deadline, on)
            if feature and feature not in connection.welcome.features:
                raise too_old(connection, feature)
            number = connection.next_id()
            left = _left(deadline)
            answer = connection.request(number, _frame(operation, fields, connection, left), effect_if_lost)
            if left is not None:
                connection.limit(number, left + GRACE if operation in TIMED else left)
            try:
                return await answer
            finally:
                connection.cancel(number)  # does nothing where it was answered
        finally:
            self._gate.leave()

    async def _ready(self, deadline: Optional[float], on: Optional[Connection]) -> Connection:
        """A connection that takes a frame now."""
        while True:
            left = _left(deadline)
            connection = on or await self._link.connection(PATIENCE if left is None else left)
            if connection.is_writable:
                return connection
            try:
                await asyncio.wait_for(connection.writable(), left)
            except asyncio.TimeoutError:
                raise DeadlineExceeded("the sidecar did not read in time", effect=NOT_EXECUTED) from None


def too_old(connection: Connection, feature: str) -> Unavailable:
    return Unavailable(f"this sidecar (version {connection.welcome.sidecar}) is too old: it has no {feature!r}", effect=NOT_EXECUTED)


def _left(deadline: Optional[float]) -> Optional[float]:
    return None if deadline is None else max(0.0, deadline - asyncio.get_running_loop().time())


def _frame(operation: str, fields: Dict[str, Any], connection: Connection, left: Optional[float]) -> Dict[str, Any]:
    frame: Dict[str, Any] = {"type": operation, **fields}
    if operation in TIMED and left is not None:
        frame["timeoutMs"] = max(1, round(left * 1000))
    if operation == "call" and "process" not in fields:
        work = current_work.get()
        if work is not None and work.connection is connection:
            frame["onBehalfOf"] = work.id
    return frame
