"""The base class of processes that this app hosts."""
from __future__ import annotations

import logging
import math
from typing import Any, ClassVar, Dict, Generic, List, Optional, TypeVar

from . import _effects
from ._context import Context
from ._definition import Definition, define
from ._names import Name, NameLike, check_group, check_method, check_seconds, check_timeout, check_word, parse_address, parse_name
from ._values import well_formed
from .errors import Refused

S = TypeVar("S")
TIMER_MS_MAX = 2**53 - 1


class Process(Generic[S]):
    """One kind of process. Each of its processes has a key, a state and a mailbox, and handles one message at a time.

    ::

        class Cart(orrery.Process):
            class_name = "cart"

            async def init(self):
                self.state = {"items": []}

            @orrery.call
            async def add(self, item):
                self.state["items"].append(item)
                return len(self.state["items"])

    The sidecar keeps the state between messages, so that any app that hosts the class can handle the next one. An instance
    lives for one message: what must last is in :attr:`state`, which is plain data. A handler that ends well has its reply,
    its changes and its effects taken together; one that raises crashes its process, and nothing of it is taken.

    Handlers may be plain functions: they run in a thread of a pool. ``async`` ones must not block the event loop.
    """

    class_name: ClassVar[str] = ""
    """The name of the ``ProcessClass``."""
    state_version: ClassVar[int] = 0
    """The version of the state's shape; raise it with :meth:`code_change`."""
    concurrency: ClassVar[int] = 64
    """How many processes of this class may be handled here at once."""
    definition: ClassVar[Definition]

    state: S
    """What the process remembers. ``None`` before :meth:`init`. Change it in place or assign it anew."""

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        cls.definition = define(cls, Process)

    def __init__(self, context: Context) -> None:
        self._context = context

    # ---- callbacks, all optional ----

    def init(self, *args: Any, **kwargs: Any) -> Any:
        """``async def init(self)`` or ``init(self, key)``: sets the first state. What it raises keeps the process from starting."""

    def code_change(self, from_version: int) -> Any:
        """Brings a state of another ``state_version`` to this one. ``from_version`` is the higher one after a rollback.

        Here :attr:`state` is plain data, before and after: :meth:`load_state` does not know the other shape.
        """

    def handle_continue(self, value: Any) -> Any:
        """Gets what :meth:`continue_` was given, before any other message."""

    def handoff(self) -> Any:
        """The process has come from another node, and handles nothing before this: with its state, its timers, its groups and what waits.
        Its monitors stayed behind, and a request of its own that has no answer yet is answered ``unavailable``."""

    def terminate(self, reason: Dict[str, Any]) -> Any:
        """The last words of a process that ends in order. ``reason`` is ``{"kind", "text"}``. Only casts leave it."""

    @classmethod
    def load_state(cls, data: Any) -> S:
        """Makes the state of plain data; override together with :meth:`dump_state`, for a dataclass say."""
        return data  # type: ignore[no-any-return]

    @classmethod
    def dump_state(cls, state: Any) -> Any:
        """Makes plain data of the state."""
        return state

    # ---- about the message at hand ----

    @property
    def name(self) -> Name:
        return self._context.name

    @property
    def key(self) -> str:
        return self._context.name.key

    @property
    def pid(self) -> str:
        """Names this life of the process: another after every restart."""
        return self._context.pid

    @property
    def message(self) -> str:
        """The method; of an info the timer's whole name, the word, or the name of the request or monitor."""
        return self._context.method

    @property
    def source(self) -> str:
        """Of an info: ``timer``, ``message``, ``reply`` (its argument is an :class:`Answer`) or ``down`` (a :class:`Down`). Else empty."""
        return self._context.work.source

    @property
    def start_argument(self) -> Any:
        """Within :meth:`init`: what another process spawned this one with, or what its class declares for it."""
        return self._context.work.argument if self._context.work.callback == "init" else None

    @property
    def log(self) -> "logging.LoggerAdapter[Any]":
        """A logger whose records say which process they are from: ``orrery.process.CLASS``, extra ``orrery_name``."""
        logger = logging.getLogger(f"orrery.process.{self._context.name.class_name}")
        return logging.LoggerAdapter(logger, {"orrery_name": str(self._context.name)})

    # ---- effects ----

    def cast(self, to: NameLike, method: str, argument: Any = None) -> None:
        """Sends a message that nobody answers, once this one is done."""
        encoded = self._context.encode(argument, "argument")
        self._context.add(_effects.Cast(parse_name(to), check_method(method), encoded))

    def send(self, to: NameLike, word: str, argument: Any = None) -> None:
        """Sends a plain message to a pid or a name, which may find nobody: ``@orrery.info`` of a hosted process gets it by its word."""
        self._context.add(_effects.Send(parse_address(to), check_word(word), self._context.encode(argument, "argument")))

    def publish(self, group: str, word: str, argument: Any = None) -> None:
        """Sends a plain message to every member of a group, this process too if it is one."""
        self._context.add(_effects.Publish(check_group(group), check_word(word), self._context.encode(argument, "argument")))

    def join_group(self, group: str) -> None:
        """What is published in the group comes from then on. A process that joins twice leaves twice."""
        self._context.add(_effects.Join(check_group(group)))

    def leave_group(self, group: str) -> None:
        self._context.add(_effects.Leave(check_group(group)))

    def request(self, name: str, to: NameLike, method: str, argument: Any = None, *, timeout: Optional[float] = None) -> None:
        """Calls a pid or a name without waiting: ``@orrery.info`` with ``name`` gets an :class:`Answer`. ``timeout`` is in seconds, by default
        5. One of a name takes the place of another of that name, whose answer does not come any more. Raises :class:`ValueError` for a name
        without such a method."""
        self._check_info(name, "request")
        check_timeout(timeout)
        after_ms = None if timeout is None else max(1, round(timeout * 1000))
        encoded = self._context.encode(argument, "argument")
        self._context.add(_effects.Request(name, parse_address(to), check_method(method), encoded, after_ms))

    def monitor(self, name: str, to: NameLike) -> None:
        """``@orrery.info`` with ``name`` gets a :class:`Down` when a process ends: a pid, or the one that runs under a name then (``noproc``
        where none does). One of a name takes the place of another of that name. Raises :class:`ValueError` for a name without such a
        method."""
        self._check_info(name, "monitor")
        self._context.add(_effects.Monitor(name, parse_address(to)))

    def demonitor(self, name: str) -> None:
        """Its :class:`Down` does not come any more."""
        self._context.add(_effects.Demonitor(_effects.check_name(name, "monitor")))

    def after(self, seconds: float, name: str, argument: Any = None) -> None:
        """Sets the timer ``name``, or sets it anew: ``@orrery.info`` with that name gets ``argument``. It ends with the process.
        Raises :class:`ValueError` for a name without such a method."""
        self._check_info(name, "timer")
        check_seconds(seconds, "seconds")
        if not 0 <= seconds <= TIMER_MS_MAX / 1000:
            raise ValueError(f"a timer is some seconds ahead, not {seconds}")
        after_ms = max(1, math.ceil(seconds * 1000))
        self._context.add(_effects.Timer(name, after_ms, self._context.encode(argument, "argument")))

    def cancel_timer(self, name: str) -> None:
        """Whether it is set or not."""
        _effects.check_name(name, "timer")
        self._context.add(_effects.CancelTimer(name))

    def reply_later(self) -> int:
        """Leaves the caller waiting and returns its token, plain data to keep in the state until :meth:`reply` or :meth:`refuse`."""
        return self._context.leave_waiting()

    def reply(self, to: int, value: Any = None) -> None:
        """Answers a caller that :meth:`reply_later` left waiting."""
        encoded = self._context.encode(value, "reply")
        self._context.answer(_effects.Reply(to, value=encoded))

    def refuse(self, to: int, error: Refused) -> None:
        """Answers such a caller with an error."""
        fields = {"code": error.code, "text": well_formed(error.text)}
        if error.said_effect is not None:  # else the sidecar's: an earlier message may have changed the state
            fields["effect"] = error.said_effect
        self._context.answer(_effects.Reply(to, error=fields))

    def continue_(self, value: Any = None) -> None:
        """Calls :meth:`handle_continue` next, before the messages that wait."""
        self._context.set_next(self._context.encode(value, "continue value"))

    def stop(self, kind: str = "normal", text: str = "") -> None:
        """Ends the process after this message. ``kind`` is ``normal``, ``shutdown`` or ``error``."""
        self._context.set_stop(kind, text)

    def _check_info(self, name: str, what: str) -> None:
        """The name is the programmer's own: where nothing handles it, what comes of it would be dropped."""
        _effects.check_name(name, what)
        if self.definition.handler("info", name) is None:
            known = ", ".join(sorted(self.definition.infos)) or "none"
            raise ValueError(f"{type(self).__qualname__} has no @orrery.info method for the {what} {name!r}; it has: {known}")

    # ---- asking others, within a message ----

    async def call(self, to: NameLike, method: str, argument: Any = None, *, timeout: Optional[float] = None) -> Any:
        """Asks another process and waits. A call to itself is refused at once."""
        return await self._context.call(to, method, argument, timeout)

    def call_blocking(self, to: NameLike, method: str, argument: Any = None, *, timeout: Optional[float] = None) -> Any:
        """The same, from a handler that is a plain function."""
        return self._context.call_blocking(to, method, argument, timeout)


def lost_attributes(process: Process[Any]) -> List[str]:
    """What a handler set on its instance, where the next message does not find it."""
    return sorted(name for name in vars(process) if name not in ("_context", "state"))
