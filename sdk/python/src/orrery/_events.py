"""Following what happens in the mesh, as this node sees it."""
from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, AsyncIterator, Deque, Dict, Iterable, Optional, Tuple, Type, Union

from ._connection import Connection
from ._frames import Frame
from ._link import Link, Listener
from .errors import NOT_EXECUTED, OrreryError, Unavailable

CREDIT = 256
"""As many events may be under way or wait here; a slow reader gets ``dropped`` instead of the rest."""


@dataclass(frozen=True)
class Event:
    """``type`` is one of the sidecar's event types (``process_restarted``, ``node_up``, ...), or

    - ``dropped``, with ``data["count"]``: so many were not sent, because this reader was too slow;
    - ``resubscribed``: the connection was lost and is there again; what happened in between is not known.
    """

    type: str
    data: Dict[str, Any] = field(default_factory=dict)


EventTypes = Union[str, Iterable[str]]


def event_types(types: Iterable[EventTypes]) -> Tuple[str, ...]:
    """Of ``events("node_up", "node_down")``, and of ``events(["node_up", "node_down"])`` too."""
    names = [name for each in types for name in ([each] if isinstance(each, str) else each)]
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"a type of events is a text like 'process_restarted', not {type(name).__name__}")
    return tuple(names)


class Events(Listener):
    """``async for event in client.events("process_restarted"):``, or in two steps where nothing may be missed::

        async with client.events() as events:   # the subscription stands from here on
            await client.call("cart/ada", "add", "pen")
            async for event in events: ...
    """

    def __init__(self, link: Link, types: Tuple[str, ...], patience: Optional[float]) -> None:
        self._link = link
        self._types = types
        self._patience = patience
        self._connection: Optional[Connection] = None
        self._id = 0
        self._arrived: Deque[Event] = deque()
        self._problem: Optional[OrreryError] = None
        self._spent = 0
        self._wake = asyncio.Event()
        self._subscribing: "Optional[asyncio.Task[None]]" = None

    async def __aenter__(self) -> "Events":
        connection = await self._link.connection(self._patience)
        self._link.listeners.append(self)
        try:
            await self._subscribe(connection)
        except BaseException:
            self.leave()
            raise
        return self

    async def __aexit__(self, kind: Optional[Type[BaseException]], problem: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.leave()

    async def __aiter__(self) -> AsyncIterator[Event]:
        if self in self._link.listeners:
            while True:
                yield await self.next()
        async with self:
            while True:
                yield await self.next()

    async def next(self) -> Event:
        """The next event. Raises an :class:`OrreryError` where the subscription has ended for good."""
        while not self._arrived:
            if self._problem is not None:
                raise self._problem
            self._wake.clear()
            await self._wake.wait()
        event = self._arrived.popleft()
        if event.type not in ("dropped", "resubscribed"):
            self._give_credit()
        return event

    # ---- Listener ----

    def opened(self, connection: Connection) -> None:
        self._subscribing = asyncio.get_running_loop().create_task(self._resubscribe(connection))

    def received(self, connection: Connection, frame: Frame, state: bytes) -> bool:
        if connection is not self._connection or frame.get("id") != self._id:
            return False
        if frame["type"] == "event":
            self._arrive(Event(frame["event"], frame.get("data") or {}))
            return True
        if frame["type"] == "closed":
            self._end(Unavailable("the sidecar closed the subscription", effect=NOT_EXECUTED))
            return True
        return False

    def lost(self, connection: Connection, reason: str) -> None:
        self._connection = None

    def ended(self, problem: OrreryError) -> None:
        self._end(problem)

    # ---- its own ----

    async def _subscribe(self, connection: Connection) -> None:
        self._connection, self._id, self._spent = connection, connection.next_id(), 0
        credit = max(0, CREDIT - len(self._arrived))  # what still waits here from before gives its credit when it is read
        fields: Dict[str, Any] = {"type": "subscribe", "credit": credit, "events": list(self._types)}
        await connection.request(self._id, fields, NOT_EXECUTED)

    async def _resubscribe(self, connection: Connection) -> None:
        try:
            await self._subscribe(connection)
        except OrreryError as problem:
            if connection.is_open:
                self._end(problem)
        else:
            if not self._arrived or self._arrived[-1].type != "resubscribed":
                self._arrive(Event("resubscribed", {"node": connection.welcome.node}))

    def _arrive(self, event: Event) -> None:
        self._arrived.append(event)
        self._wake.set()

    def _end(self, problem: OrreryError) -> None:
        self._problem = problem
        self._wake.set()

    def _give_credit(self) -> None:
        self._spent += 1
        if self._spent >= CREDIT // 2 and self._connection is not None and self._connection.is_open:
            self._connection.tell({"type": "credit", "id": self._id, "add": self._spent})
            self._spent = 0

    def leave(self) -> None:
        """Ends the subscription; again does nothing."""
        if self in self._link.listeners:
            self._link.listeners.remove(self)
        if self._subscribing is not None:
            self._subscribing.cancel()
        if self._connection is not None:
            self._connection.tell({"type": "cancel", "id": self._id})
            self._connection = None
        self._end(Unavailable("the subscription has ended", effect=NOT_EXECUTED))
