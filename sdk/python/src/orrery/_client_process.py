"""Client processes: processes of this node whose code is this program's."""
from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Any, AsyncIterator, Deque, Dict, List, NamedTuple, Optional, Type, Union

from ._asking import QUERY_TIMEOUT, Asking, too_old
from ._connection import Connection
from ._ends import NORMAL, Down, Reason, pid_or_none
from ._frames import Frame
from ._link import Link, Listener
from ._names import (NameLike, check_class, check_group, check_key, check_method, check_seconds, check_timeout, check_word, is_pid, parse_address,
                     parse_name)
from ._retry import Retry
from ._values import encode_value, well_formed
from .errors import NOT_EXECUTED, UNKNOWN, DeadlineExceeded, InvalidArgument, NotFound, OrreryError, Unavailable

FEATURE = "processes"
CREDIT = 100
"""As many messages may be under way or wait here; what is beyond waits at the sidecar, as far as there is room."""
CLAIM_TIMEOUT = 5.0
LOOK_SECONDS = 5.0
KEY_VALUE_BYTES_MAX = 4096
CLOSE_KINDS = ("normal", "shutdown", "error")
EXIT_KINDS = ("normal", "shutdown", "error", "kill")


@dataclass(frozen=True)
class PlainMessage:
    """What was sent or published. The system's words are ``group_joined`` and ``group_left`` (``{"group", "pids"}``) and ``key_lost``
    (``{"key", "pid"}``)."""

    word: str
    argument: Any = None
    sender: str = ""  #: a pid; empty where no process sent it


@dataclass(frozen=True)
class CastMessage:
    """What was cast at the process' pid."""

    method: str
    argument: Any = None
    sender: str = ""


@dataclass(frozen=True)
class ExitMessage:
    """A process that this one is linked with has ended, or somebody asks it to exit. It goes on until it is closed."""

    sender: str  #: a pid; empty for a name under which none ran
    reason: Reason


@dataclass(frozen=True)
class Dropped:
    """In the place of ``count`` plain messages and casts that are lost: more came than were read, and they found no room at the sidecar. What
    this process knows by messages may be out of date: look at the state anew. Ends, and notices of groups and keys, are not among them."""

    count: int


ProcessMessage = Union[PlainMessage, CastMessage, Down, ExitMessage, Dropped]


class Spawned(NamedTuple):
    pid: str
    monitor: Optional[int]  #: its number, where one was asked for


class ClientProcesses(Listener):
    """All of one client."""

    def __init__(self, link: Link, asking: Asking, patience: Optional[float]) -> None:
        self.link, self.asking, self.patience = link, asking, patience
        self.open: Dict[int, ClientProcess] = {}
        self.numbers = itertools.count(1)
        link.listeners.append(self)

    def received(self, connection: Connection, frame: Frame, state: bytes) -> bool:
        if frame["type"] not in ("message", "ended"):
            return False
        process = self.open.get(frame["process"])
        if process is not None and process._connection is connection:
            process._received(frame)
        return True

    def lost(self, connection: Connection, reason: str) -> None:
        for process in [process for process in self.open.values() if process._connection is connection]:
            process._end(Reason("noconnection", reason))


class ClientProcess:
    """A process of this node with a pid, whose code is the block that has it::

        async with client.process() as me:
            await me.join("chat/room-1")
            async for message in me:
                ...

    It ends with the block, for the reason ``normal``, or ``error`` where the block raises (``shutdown`` where it is cancelled); with the
    connection, ``noconnection``; or when somebody kills it. :attr:`ended` says why, and the iteration ends after what had come before.
    What is asked of it then raises :class:`Unavailable`; nothing of it comes back with another connection.

    Messages wait at the sidecar while as many as 100 are here and not read: 10,000 of them, or a share of 128 MiB. Plain ones and casts beyond
    that are lost, which a :class:`Dropped` in their place tells; a process that cannot even be told of ends, or of groups and keys, ends with
    ``limit``. Used by the tasks of one event loop; one at a time reads.
    Its methods raise an :class:`OrreryError` where the sidecar refuses, :class:`InvalidArgument` before anything is sent where it can be seen
    here. ``to`` is a pid's text, or ``class/key``: only :meth:`call` and :meth:`cast` start a process of that name.
    """

    def __init__(self, processes: ClientProcesses) -> None:
        self._processes = processes
        self._number = next(processes.numbers)
        self._connection: Optional[Connection] = None
        self._arrived: Deque[ProcessMessage] = deque()
        self._wake = asyncio.Event()
        self._spent = 0
        self.pid = ""
        """As text, once it is open."""
        self.ended: Optional[Reason] = None
        """Why it has ended; None: it has not."""

    def __repr__(self) -> str:
        state = f"ended, {self.ended}" if self.ended is not None else "open" if self.pid else "not open yet"
        return f"<orrery.ClientProcess {self.pid or '(no pid)'}: {state}>"

    # ---- its life ----

    async def __aenter__(self) -> "ClientProcess":
        return await self.open()

    async def __aexit__(self, kind: Optional[Type[BaseException]], problem: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        await self._leave_quietly(reason_of(problem))

    async def open(self) -> "ClientProcess":
        """Raises :class:`Unavailable` without a sidecar, or where it is too old, :class:`Overloaded` where it takes no more of them."""
        if self.pid or self.ended is not None:
            raise RuntimeError("a client process is opened once")
        connection = await self._processes.link.connection(self._processes.patience)
        if FEATURE not in connection.welcome.features:
            raise too_old(connection, FEATURE)
        self._connection, self._processes.open[self._number] = connection, self
        try:
            fields = {"process": self._number, "credit": CREDIT}
            self.pid = (await self._ask("open", fields, effect_if_lost=NOT_EXECUTED))["pid"]
        except BaseException as problem:
            self._forget(reason_of(problem))
            raise
        return self

    async def close(self, reason: Union[Reason, str] = NORMAL) -> None:
        """Ends it: who watches it or is linked hears ``reason``, whose kind is ``normal``, ``shutdown`` or ``error`` (the kind alone will do).
        Again does nothing."""
        reason = _reason(reason, CLOSE_KINDS)
        if self.ended is not None:
            return
        try:
            await self._ask("close", {"reason": reason.fields()})
        except BaseException:
            self._forget(reason)
            raise
        self._end(reason)

    async def _leave_quietly(self, reason: Reason) -> None:
        """Ends it where nobody is interested in whether that was heard."""
        with contextlib.suppress(OrreryError):
            await self.close(reason)

    def _forget(self, reason: Reason) -> None:
        """Whatever became of the request: this side has it no more, nor is the other to."""
        connection = self._connection
        if self.ended is None and connection is not None:
            connection.tell({"type": "close", "id": connection.next_id(), "process": self._number, "reason": reason.fields()})
        self._end(reason)

    def _end(self, reason: Reason) -> None:
        if self.ended is None:
            self.ended = reason
        self._processes.open.pop(self._number, None)
        self._wake.set()

    # ---- messages ----

    async def __aiter__(self) -> AsyncIterator[ProcessMessage]:
        while True:
            message = await self.next()
            if message is None:
                return
            yield message

    async def next(self, timeout: Optional[float] = None) -> Optional[ProcessMessage]:
        """The next message; None once it has ended and all that had come is read. Raises :class:`DeadlineExceeded` after ``timeout`` seconds."""
        if timeout is not None:
            check_seconds(timeout, "timeout")
        if not self._arrived and self.ended is None:
            try:
                await asyncio.wait_for(self._arrival(), timeout)
            except asyncio.TimeoutError:
                raise DeadlineExceeded(f"no message within {timeout:g} s", effect=NOT_EXECUTED) from None
        if not self._arrived:
            return None
        self._give_credit()
        return self._arrived.popleft()

    async def _arrival(self) -> None:
        while not self._arrived and self.ended is None:
            self._wake.clear()
            await self._wake.wait()

    def _give_credit(self) -> None:
        self._spent += 1
        if self._spent >= CREDIT // 2 and self.ended is None and self._connection is not None:
            self._connection.tell({"type": "credit", "process": self._number, "add": self._spent})
            self._spent = 0

    def _received(self, frame: Frame) -> None:
        if frame["type"] == "ended":
            self._end(Reason.of(frame.get("reason")))
            return
        message = _message(frame)
        if message is None:
            self._give_credit()  # of a kind that this version does not know
            return
        self._arrived.append(message)
        self._wake.set()

    # ---- others ----

    async def call(self, to: NameLike, method: str, argument: Any = None, *, timeout: Optional[float] = None) -> Any:
        """The reply, as of :meth:`Client.call`, but also from a pid. A client process answers no calls: :class:`NotFound`. Cancelling the task
        takes nothing back: the process may handle it all the same."""
        fields = {"to": parse_address(to), "method": check_method(method), "argument": self._encode(argument)}
        return await self._ask("call", fields, check_timeout(timeout))

    async def cast(self, to: NameLike, method: str, argument: Any = None) -> None:
        await self._ask("cast", {"to": parse_address(to), "method": check_method(method), "argument": self._encode(argument)})

    async def send(self, to: NameLike, word: str, argument: Any = None) -> None:
        """A plain message, which may find nobody."""
        await self._ask("send", {"to": parse_address(to), "word": check_word(word), "argument": self._encode(argument)})

    async def publish(self, group: str, word: str, argument: Any = None) -> int:
        """A plain message from this process to every member of a group, itself too if it is one. How many that are."""
        fields = {"group": check_group(group), "word": check_word(word), "argument": self._encode(argument)}
        return (await self._ask("publish", fields))["members"]  # type: ignore[no-any-return]

    async def spawn(self, class_name: str, argument: Any = None, *, link: bool = False, monitor: bool = False) -> Spawned:
        """Starts a process without a name on this node; its ``init`` gets the argument."""
        fields = {"class": check_class(class_name), "argument": self._encode(argument), "link": link, "monitor": monitor}
        ok = await self._ask("spawn", fields)
        return Spawned(ok["pid"], ok.get("monitor"))

    async def monitor(self, to: NameLike) -> int:
        """Its number. A :class:`Down` with it follows once: when the process ends, or at once where there is none."""
        return (await self._ask("monitor", {"to": parse_address(to)}))["monitor"]  # type: ignore[no-any-return]

    async def demonitor(self, monitor: int) -> None:
        """Its :class:`Down` does not come any more."""
        await self._ask("demonitor", {"monitor": monitor})
        self._drop_down(monitor)

    def _tell_demonitor(self, monitor: int) -> None:
        """The same without waiting for an answer."""
        if self.ended is None and self._connection is not None:
            self._connection.tell({"type": "demonitor", "id": self._connection.next_id(), "process": self._number, "monitor": monitor})

    def _drop_down(self, monitor: int) -> None:
        for message in [each for each in self._arrived if isinstance(each, Down) and each.monitor == monitor]:
            self._arrived.remove(message)
            self._give_credit()

    async def link(self, to: NameLike) -> None:
        """The end of the other comes as an :class:`ExitMessage`; the end of this one is an exit of the other, unless it is ``normal``."""
        await self._ask("link", {"to": parse_address(to)})

    async def _look_at(self, to: str) -> bool:
        """Asks the node where a name belongs, which says what it has to say of a link before it answers; of a pid this node only. False: nobody
        runs there. Where nobody can tell, somebody may."""
        try:
            if is_pid(to):
                await self._ask("demonitor", {"monitor": 1})  # which there is none of
            else:
                class_name, key = parse_name(to)
                fields = {"class": class_name, "key": key}
                await self._processes.asking.ask("inspect", fields, LOOK_SECONDS, NOT_EXECUTED, ONCE, on=self._connection)
        except NotFound:
            return False
        except OrreryError:
            pass
        return True

    async def unlink(self, to: NameLike) -> None:
        await self._ask("unlink", {"to": parse_address(to)})

    async def exit(self, to: NameLike, reason: Union[Reason, str]) -> None:
        """An exit signal. ``reason`` is a :class:`Reason` or its kind alone: ``normal``, ``shutdown``, ``error``, or ``kill``, which cannot be
        trapped."""
        await self._ask("exit", {"to": parse_address(to), "reason": _reason(reason, EXIT_KINDS).fields()})

    # ---- groups ----

    async def join(self, group: str) -> None:
        """It is a member until it has left as often as it joined."""
        await self._ask("join", {"group": check_group(group)})

    async def leave(self, group: str) -> bool:
        """Whether it was a member."""
        return (await self._ask("leave", {"group": check_group(group)}))["member"]  # type: ignore[no-any-return]

    async def watch(self, group: str) -> List[str]:
        """The pids of the members now. Who joins and leaves from here on comes as ``group_joined`` and ``group_left``."""
        return (await self._ask("watch", {"group": check_group(group)}))["pids"]  # type: ignore[no-any-return]

    async def unwatch(self, group: str) -> None:
        await self._ask("unwatch", {"group": check_group(group)})

    # ---- keys of the registry: ``in_`` is mesh_unique, mesh_duplicate, node_unique or node_duplicate ----

    async def claim(self, key: str, value: Any = None, *, in_: str = "mesh_unique", timeout: float = CLAIM_TIMEOUT) -> None:
        """It holds the key until it ends or releases it. Raises :class:`AlreadyExists`, which names who does. A value has at most 4 KiB."""
        await self._ask("claim", {**check_key(key, in_), "value": _encode_of_key(value)}, check_timeout(timeout))

    async def update(self, key: str, value: Any, *, in_: str = "mesh_unique") -> None:
        """Another value for a key that it holds."""
        await self._ask("update", {**check_key(key, in_), "value": _encode_of_key(value)})

    async def release(self, key: str, *, in_: str = "mesh_unique") -> bool:
        """Whether it held it."""
        return (await self._ask("release", check_key(key, in_)))["held"]  # type: ignore[no-any-return]

    # ---- its own ----

    def _encode(self, value: Any) -> Any:
        if self._connection is None:
            raise RuntimeError("open the client process first: async with client.process() as process")
        return encode_value(value, "argument", self._connection.welcome.value_bytes)

    async def _ask(self, operation: str, fields: Dict[str, Any], timeout: Optional[float] = QUERY_TIMEOUT,
                   effect_if_lost: str = UNKNOWN) -> Any:
        if self._connection is None:
            raise RuntimeError("open the client process first: async with client.process() as process")
        if self.ended is not None:
            raise Unavailable(f"the client process has ended, {self.ended}", effect=NOT_EXECUTED)
        fields["process"] = self._number
        return await self._processes.asking.ask(operation, fields, timeout, effect_if_lost, ONCE, on=self._connection)


ONCE = Retry(attempts=1)
"""Some acts are not the same twice."""


def reason_of(problem: Optional[BaseException]) -> Reason:
    """Why a process ends whose block raised this."""
    if problem is None:
        return NORMAL
    if not isinstance(problem, Exception):  # it was cancelled, or the program ends
        return Reason("shutdown")
    text = str(problem) if isinstance(problem, OrreryError) else f"{type(problem).__name__}: {problem}".rstrip(": ")
    return Reason("error", well_formed(text[:1000]))


def _encode_of_key(value: Any) -> Any:
    return encode_value(value, "value of a key", KEY_VALUE_BYTES_MAX)


def _reason(reason: Union[Reason, str], kinds: "tuple[str, ...]") -> Reason:
    kind, text = (reason, "") if isinstance(reason, str) else reason if isinstance(reason, tuple) and len(reason) == 2 else (None, None)
    if not isinstance(kind, str) or not isinstance(text, str):
        raise TypeError(f"a reason is an orrery.Reason(kind, text), or a kind alone ({', '.join(kinds)}), not {reason!r}")
    if kind not in kinds:
        raise InvalidArgument(f"a reason here is {', '.join(kinds)}, not {kind!r}", effect=NOT_EXECUTED)
    return Reason(kind, well_formed(text))


def _message(frame: Frame) -> Optional[ProcessMessage]:
    kind, sender, argument = frame["kind"], frame.get("from") or "", frame.get("argument")
    if kind == "plain":
        return PlainMessage(frame["word"], argument, sender)
    if kind == "cast":
        return CastMessage(frame["method"], argument, sender)
    if kind == "down":
        return Down(pid_or_none(sender), Reason.of(frame.get("reason")), frame["monitor"])
    if kind == "exit":
        return ExitMessage(pid_or_none(sender) or "", Reason.of(frame.get("reason")))
    return Dropped(frame["count"]) if kind == "dropped" else None
