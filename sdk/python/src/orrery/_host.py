"""Hosting: registers process classes with the sidecar, and does the work that it hands over."""
from __future__ import annotations

import asyncio
import collections
import functools
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, Awaitable, Deque, Dict, Optional, Sequence, Set, Tuple, Type

from . import _cbor, _frames, _lag, _work
from ._backoff import Backoff
from ._connection import Connection
from ._context import Runtime
from ._definition import Definition
from ._lag import LagWatch
from ._link import Link, Listener
from ._names import NameLike
from ._work import Work
from .errors import NOT_EXECUTED, AlreadyExists, InvalidArgument, OrreryError, ProtocolError
from .metrics import Metrics

if TYPE_CHECKING:
    from ._client import Client
    from ._process import Process

log = logging.getLogger("orrery.host")

THREADS_MAX = 32
"""For handlers that are plain functions; what is beyond waits for a thread."""


class Host(Listener, Runtime):
    """Hosts classes over a client's connection, within ``async with client.host(Cart) as host:``. Leaving drains it first.

    Registers again by itself on every new connection. When a connection is lost, the handlers at work are cancelled: the sidecar
    has ended exactly the processes that they worked for, and nobody takes what they would still say.
    """

    def __init__(self, link: Link, client: "Client", classes: "Sequence[Type[Process[Any]]]", *, app: str,
                 concurrency: Optional[int], metrics: Metrics) -> None:
        self.definitions = by_class_name(classes)
        self.states: Dict[str, str] = {}
        """By class: ``ready``, ``undeclared`` (no such ``ProcessClass`` yet) or ``other`` (it is not app-hosted any more)."""
        self.executor = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="orrery-handler")
        self.registered = asyncio.Event()
        """Set while the sidecar knows all classes."""
        self._link = link
        self._client = client
        self._app = app
        self._concurrency = concurrency
        self._metrics = metrics
        self._connection: Optional[Connection] = None
        self._asked: Set[str] = set()  # classes that this connection was asked to register, until they are drained
        self._at_work: "Dict[Tuple[Connection, int], Tuple[Work, asyncio.Task[_work.Done]]]" = {}
        self._just_ended: "Deque[Tuple[float, Work]]" = collections.deque(maxlen=5)  # those that blocked the loop have ended when it goes on
        self._draining = False
        self._registering: "Optional[asyncio.Task[None]]" = None
        self._failed: "asyncio.Future[None]" = asyncio.get_running_loop().create_future()
        self._lag = LagWatch(self._describe_work)

    # ---- its life ----

    async def __aenter__(self) -> "Host":
        return await self.open()

    async def __aexit__(self, kind: Optional[Type[BaseException]], problem: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        try:
            await self.drain()
        finally:
            await self.close()

    async def open(self) -> "Host":
        """Registers. Raises an :class:`OrreryError` where the sidecar refuses a class for good."""
        try:
            await self.begin()
        except BaseException:
            await self.close()
            raise
        return self

    async def begin(self) -> None:
        """As :meth:`open`, and leaves :meth:`close` to its caller: work comes before all classes are registered, so who gives up
        waiting for that may have some to :meth:`drain`."""
        self._link.listeners.insert(0, self)  # work is most of what comes
        self._lag.start()
        self._register(await self._link.connection(None))
        await _first(self.registered.wait(), self._failed)

    async def close(self) -> None:
        """Hosts no more. Handlers at work are cancelled, and their callers hear ``unavailable``, ``unknown``; :meth:`drain` first lets
        them finish."""
        if self in self._link.listeners:
            self._link.listeners.remove(self)
        if self._registering is not None:
            self._registering.cancel()
        self._withdraw()
        self._abandon()
        tasks = [task for _, task in self._at_work.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=1)
        self._lag.stop()
        self._failed.cancel()
        self.executor.shutdown(wait=False)

    async def drain(self, timeout: Optional[float] = 20.0) -> bool:
        """Takes no more work and finishes what is here. Whether that was done in time; what was not is cancelled."""
        self._draining = True
        if self._registering is not None:
            self._registering.cancel()
        connection = self._connection
        if connection is None or not connection.is_open:
            return True
        asked = sorted(self._asked)  # each by its name: the connection may be another host's too
        drains = [connection.request(connection.next_id(), {"type": "drain", "class": name}, NOT_EXECUTED) for name in asked]
        try:
            ended, late = await asyncio.wait(drains, timeout=timeout) if drains else (set(), set())
        finally:
            for drain in drains:
                drain.cancel()  # nothing where it has ended
        if late:
            log.warning("%d handlers did not end within %s s of draining", len(self._at_work), timeout)
            return False
        problems = [problem for problem in (drain.exception() for drain in ended) if problem is not None]
        if problems:
            log.warning("the sidecar did not drain this app: %s", problems[0])
            return False
        self._asked.difference_update(asked)
        return True

    async def failed(self) -> None:
        """Waits until hosting cannot go on, and raises why: a class that the sidecar does not take."""
        await asyncio.shield(self._failed)

    # ---- registering ----

    def opened(self, connection: Connection) -> None:
        self._register(connection)

    def _register(self, connection: Connection) -> None:
        if self._connection is not connection and not self._draining:
            self._connection = connection
            self._asked = set()
            self.value_bytes_max = connection.welcome.value_bytes
            self._registering = asyncio.get_running_loop().create_task(self._register_all(connection))

    async def _register_all(self, connection: Connection) -> None:
        if "host" not in connection.welcome.features:
            self._fail(ProtocolError("this sidecar hosts no classes of apps", effect=NOT_EXECUTED))
            return
        backoff = Backoff(0.2, 5.0)
        waiting = list(self.definitions.values())
        while waiting and connection.is_open:
            waiting = [definition for definition in waiting if not await self._register_one(connection, definition)]
            if waiting:
                await asyncio.sleep(backoff.next())
        if not waiting:
            self.registered.set()

    async def _register_one(self, connection: Connection, definition: Definition) -> bool:
        """Whether the sidecar knows the class now; errors that time cannot heal end the host."""
        fields = {"type": "register", **definition.registration(self._app, self._concurrency)}
        number = connection.next_id()
        self._asked.add(definition.class_name)
        try:  # as long as it takes: a connection that is alive brings an answer, and one that is given up may be carried out all the same
            state = (await connection.request(number, fields, NOT_EXECUTED) or {}).get("state", "ready")
        except OrreryError as problem:
            self._asked.discard(definition.class_name)
            log.error("class %r is not registered: %s", definition.class_name, problem)
            first_time = not self.registered.is_set() and definition.class_name not in self.states
            if isinstance(problem, (InvalidArgument, AlreadyExists)) or (problem.code == "conflict" and first_time):
                self._fail(problem)
            return False
        finally:
            connection.cancel(number)
        self._set_state(definition.class_name, state)
        return True

    def _withdraw(self) -> None:
        """Takes back what is registered, so that nothing more is handed over that nobody would answer."""
        connection = self._connection
        asked, self._asked = self._asked, set()
        if connection is None or not connection.is_open:
            return
        others = {name for listener in self._link.listeners if isinstance(listener, Host) for name in listener._asked}
        for name in sorted(asked - others):
            connection.tell({"type": "drain", "id": connection.next_id(), "class": name})

    def _set_state(self, class_name: str, state: str) -> None:
        if self.states.get(class_name) != state:
            level = logging.INFO if state == "ready" else logging.WARNING
            log.log(level, "class %r is %s", class_name, {"undeclared": "not declared yet", "other": "not app-hosted"}.get(state, state))
        self.states[class_name] = state

    def _fail(self, problem: OrreryError) -> None:
        if not self._failed.done():
            self._failed.set_exception(problem)
            self._failed.exception()  # whoever waits for it raises it; else it was logged

    # ---- Listener ----

    def received(self, connection: Connection, frame: _frames.Frame, state: bytes) -> bool:
        kind = frame["type"]
        if kind == "work" and frame["class"] in self.definitions:
            self._start(Work.of_frame(frame, state, connection))
        elif kind == "cancel" and (connection, frame.get("work", 0)) in self._at_work:
            self._cancel(connection, frame["work"], frame.get("text", ""))
        elif kind == "class" and frame["class"] in self.definitions:
            self._set_state(frame["class"], frame.get("state", "ready"))
        elif kind == "refused":
            error = frame.get("error") or {}
            log.error("the sidecar refused what a handler did: %s: %s", error.get("code"), error.get("text"))
        else:
            return False
        return True

    def lost(self, connection: Connection, reason: str) -> None:
        self.registered.clear()
        self._abandon()

    def ended(self, problem: OrreryError) -> None:
        self._fail(problem)

    # ---- work ----

    def _start(self, work: Work) -> None:
        task = asyncio.get_running_loop().create_task(_work.handle(self.definitions[work.class_name], work, self))
        self._at_work[work.connection, work.id] = (work, task)
        # Not within the task: one that is cancelled before its first step never runs.
        task.add_done_callback(functools.partial(self._settle, work, time.monotonic()))

    def _settle(self, work: Work, started: float, task: "asyncio.Task[_work.Done]") -> None:
        self._at_work.pop((work.connection, work.id), None)
        self._just_ended.append((time.monotonic(), work))
        done = _done_of(work, task)
        self._send_done(work, done)
        self._metrics.handled(work.class_name, work.callback, work.method, done.outcome, time.monotonic() - started)

    def _send_done(self, work: Work, done: _work.Done) -> None:
        connection: Connection = work.connection
        if not connection.is_open:
            return
        try:
            data = _frames.encode({"type": "done", "work": work.id, **done.fields})
            most = connection.welcome.frame_bytes
            why = f"state, reply and effects together have {len(data)} bytes; a frame has at most {most}" if len(data) > most else ""
        except _cbor.CborError as problem:
            why = f"what the handler did cannot be sent: {problem}"
        if why:
            log.error("%s/%s: %s", work.class_name, work.key, why)
            data = _frames.encode({"type": "done", "work": work.id, **_work.crash(why).fields})
        connection.send(data)

    def _cancel(self, connection: Connection, number: int, text: str) -> None:
        work, task = self._at_work[connection, number]
        log.warning("%s/%s: nobody waits for %s any more: %s", work.class_name, work.key, work.what, text)
        work.cancelled = True
        task.cancel()

    def _abandon(self) -> None:
        """Nobody is to hear what comes of it: the connection has ended, or the host has."""
        for work, task in list(self._at_work.values()):
            work.abandoned = True
            task.cancel()

    def _describe_work(self) -> str:
        since = time.monotonic() - _lag.TICK_SECONDS
        works = [work for ended, work in self._just_ended if ended >= since] + [work for work, _ in self._at_work.values()]
        return ", ".join(f"{work.class_name}/{work.key} {work.method or work.callback}" for work in works[:5])

    # ---- Runtime ----

    async def call_from(self, work: Work, to: NameLike, method: str, argument: Any, timeout: Optional[float]) -> Any:
        return await self._client.call(to, method, argument, timeout=timeout)


def _done_of(work: Work, task: "asyncio.Task[_work.Done]") -> _work.Done:
    if work.abandoned:
        if not task.cancelled():
            task.exception()  # looked at
        return _work.given_up(work)
    if task.cancelled():
        return _work.Done({}, "cancelled") if work.cancelled else _work.crash("CancelledError: the handler cancelled itself")
    problem = task.exception()
    if problem is not None:
        log.error("%s/%s could not be handled", work.class_name, work.key, exc_info=problem)
        return _work.crash(f"{type(problem).__name__}: the handler was ended")
    return task.result()


def by_class_name(classes: "Sequence[Type[Process[Any]]]") -> Dict[str, Definition]:
    found: Dict[str, Definition] = {}
    for owner in classes:
        definition: Optional[Definition] = getattr(owner, "definition", None)
        if definition is None or not definition.class_name:
            raise TypeError(f"{owner!r} cannot be hosted; it is to be a subclass of orrery.Process with a class_name")
        if definition.class_name in found:
            raise TypeError(f"{owner.__qualname__} and {found[definition.class_name].owner.__qualname__} are both {definition.class_name!r}")
        found[definition.class_name] = definition
    if not found:
        raise TypeError("no class to host")
    return found


async def _first(wanted: "Awaitable[Any]", failed: "asyncio.Future[None]") -> None:
    """Waits for what is wanted, or raises what failed."""
    waiting = asyncio.ensure_future(wanted)
    try:
        await asyncio.wait({waiting, failed}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if failed.done():
        failed.result()
