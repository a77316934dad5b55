"""A connection to the sidecar that is there again after it was lost."""
from __future__ import annotations

import asyncio
import logging
from typing import List, Optional, Sequence

from ._backoff import Backoff
from ._connection import Connection
from ._denied import SocketDenied
from ._endpoints import Endpoint
from ._frames import Frame
from .errors import NOT_EXECUTED, Forbidden, OrreryError, ProtocolError, Unavailable
from .metrics import Metrics

log = logging.getLogger("orrery.connection")

STEADY_SECONDS = 5.0
"""A connection that lasted as long begins the pauses anew; one that is refused at once over and over does not."""


class Listener:
    """Who is told of connections, and gets the frames that are no answers."""

    def opened(self, connection: Connection) -> None:
        """A new connection stands; nothing of an earlier one holds any more."""

    def received(self, connection: Connection, frame: Frame, state: bytes) -> bool:
        """Whether the frame was for this listener."""
        return False

    def lost(self, connection: Connection, reason: str) -> None:
        """The connection has ended, and all requests on it have."""

    def ended(self, problem: OrreryError) -> None:
        """There will be no more connections."""


class Link:
    """Dials until :meth:`close`, with pauses that double from 50 ms to 2 s. Used on one event loop's thread."""

    def __init__(self, endpoints: Sequence[Endpoint], metrics: Metrics) -> None:
        self.current: Optional[Connection] = None
        self.listeners: List[Listener] = []
        self._endpoints = endpoints
        self._metrics = metrics
        self._task: Optional["asyncio.Task[None]"] = None
        self._changed: "Optional[asyncio.Future[None]]" = None  #: ends when there is a connection, or why there will be none
        self._problem: Exception = Unavailable("not connected yet", effect=NOT_EXECUTED)
        self._ever_connected = False
        self._denials = 0  #: rounds of dialling, one after the other, in which a socket was denied
        self._denied: Optional[SocketDenied] = None

    def start(self) -> None:
        if self._task is None:
            self._ever_connected, self._denials, self._denied = False, 0, None
            self._task = asyncio.get_running_loop().create_task(self._keep_connected())

    async def close(self, reason: str = "the client is closed") -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self._problem = ended = Unavailable(reason, effect=NOT_EXECUTED)
        self._wake()
        for listener in list(self.listeners):
            listener.ended(ended)

    async def connection(self, patience: Optional[float]) -> Connection:
        """The connection, or the next one. Raises :class:`Unavailable` after ``patience`` seconds (None: never) without;
        :class:`Forbidden` at once where none ever stood and the socket may not be connected to."""
        if self.current is not None and self.current.is_open:
            return self.current
        try:
            return await asyncio.wait_for(self._next_connection(), patience)
        except asyncio.TimeoutError:
            where = " or ".join(map(str, self._endpoints))
            text = f"no connection to a sidecar at {where} within {patience:g} s: {self._problem}"
            raise Unavailable(text, effect=NOT_EXECUTED) from None

    async def _next_connection(self) -> Connection:
        while self.current is None or not self.current.is_open:
            if self._task is None or self._task.done():
                raise Unavailable(f"no connection to the sidecar: {self._problem}", effect=NOT_EXECUTED)
            if self._denied is not None and not self._ever_connected:
                raise Forbidden(self._denied.text, effect=NOT_EXECUTED) from self._denied.__cause__
            if self._changed is None or self._changed.done():
                self._changed = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._changed)
        return self.current

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    async def _keep_connected(self) -> None:
        backoff = Backoff()
        loop = asyncio.get_running_loop()
        while True:
            connection = await self._dial()
            if connection is not None:
                since = loop.time()
                await self._until_lost(connection)
                if loop.time() - since >= STEADY_SECONDS:
                    backoff.reset()
            await asyncio.sleep(backoff.next())

    async def _dial(self) -> Optional[Connection]:
        """A sidecar opens its socket to all just after it has made it: so a denial counts when the next round has it too."""
        denied: Optional[SocketDenied] = None
        for endpoint in self._endpoints:
            try:
                return await self._open(endpoint)
            except SocketDenied as problem:
                denied = problem
                self._failed(endpoint, problem, logging.ERROR)
            except ProtocolError as problem:
                self._failed(endpoint, problem, logging.ERROR)
            except (OSError, OrreryError) as problem:
                self._failed(endpoint, problem, logging.WARNING)
        self._denials = self._denials + 1 if denied is not None else 0
        self._denied = denied if self._denials >= 2 else None
        if self._denied is not None:
            self._wake()
        return None

    async def _open(self, endpoint: Endpoint) -> Connection:
        try:
            connection = await Connection.open(endpoint, self._received)
        except PermissionError as problem:
            if not endpoint.path:
                raise
            raise SocketDenied(endpoint.path, problem) from problem
        log.info("connected to the sidecar of %s at %s", connection.welcome.node, endpoint)
        return connection

    def _received(self, connection: Connection, frame: Frame, state: bytes) -> None:
        if any(listener.received(connection, frame, state) for listener in self.listeners):
            return
        log.debug("a frame of type %r is passed over", frame["type"])
        if frame["type"] == "work":  # of a host that has ended: who waits is to hear so
            text = f"this app does not host class {frame.get('class')!r}"
            connection.tell({"type": "done", "work": frame["work"], "crash": {"text": text}})

    def _failed(self, endpoint: Endpoint, problem: Exception, level: int) -> None:
        if str(problem) != str(self._problem):  # once for each reason, not for each try
            log.log(level, "no connection to the sidecar at %s: %s", endpoint, problem)
        self._problem = problem

    async def _until_lost(self, connection: Connection) -> None:
        self.current = connection
        self._ever_connected, self._denials, self._denied = True, 0, None
        self._metrics.connected(connection.welcome.node)
        for listener in list(self.listeners):
            listener.opened(connection)
        self._wake()
        try:
            reason = await asyncio.shield(connection.closed)
            log.warning("the connection to the sidecar ended: %s", reason)
        except asyncio.CancelledError:
            connection.close()
            reason = "the client is closed"
            raise
        finally:
            self.current = None
            if not connection.closed.done():
                await asyncio.wait([connection.closed], timeout=1)
                connection.abort("unwritten for too long")
            self._problem = Unavailable(f"the connection ended: {reason}", effect=NOT_EXECUTED)
            self._metrics.disconnected(reason)
            for listener in list(self.listeners):
                listener.lost(connection, reason)
