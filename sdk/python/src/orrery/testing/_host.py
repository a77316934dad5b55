"""The face of the test kit."""
from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, List, Optional, Type, Union

from .. import _cbor
from .._definition import is_class_name
from .._host import by_class_name
from .._names import Name, NameLike, check_group, check_method, check_seconds, check_word, parse_address, parse_name
from .._process import Process
from ..errors import NOT_EXECUTED, NotFound
from ._clock import Clock
from ._engine import Cast, Engine, Exit, copied
from ._model import Life, Message
from ._relations import Publish, Send

Answer = Union[Any, Exception, Callable[[str, Any], Any]]


class Host:
    """``async with Host(Cart, Stock) as host``. Where one class is under test, its processes may be named by their keys alone."""

    def __init__(self, *classes: "Type[Process[Any]]") -> None:
        self._engine = Engine(classes)

    async def __aenter__(self) -> "Host":
        self._engine.executor = ThreadPoolExecutor(4, thread_name_prefix="orrery-test")
        return self

    async def __aexit__(self, *ignored: Any) -> None:
        tasks = [life.at_work for life in self._engine.lives.values() if life.at_work is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._engine.executor.shutdown()

    # ---- what a test does ----

    async def call(self, to: NameLike, method: str, argument: Any = None, *, timeout: Optional[float] = None) -> Any:
        """The reply, once all that followed from the message has happened. Errors are those of a live mesh.

        ``timeout`` is in seconds of :attr:`clock`: it passes only while another task calls :meth:`advance`.
        """
        try:
            return await self._engine.ask(self._name(to), method, argument, timeout)
        finally:
            await self._engine.settle()

    async def cast(self, to: NameLike, method: str, argument: Any = None) -> None:
        """Returns once all that followed from the message has happened. Raises :class:`NotFound` where there is no such class or method."""
        self._engine.deliver_cast(self._name(to), Message("cast", check_method(method), copied(argument, "argument")))
        await self._engine.settle()

    async def info(self, to: NameLike, word: str, argument: Any = None) -> None:
        """A plain message, as other processes send them."""
        self._engine.deliver(self._name(to), Message("info", word, copied(argument, "argument"), source="message"))
        await self._engine.settle()

    async def publish(self, group: str, word: str, argument: Any = None) -> int:
        """A plain message to every member of a group under test. How many that are."""
        members = self._engine.relations.publish(check_group(group), check_word(word), copied(argument, "argument"))
        await self._engine.settle()
        return members

    async def down(self, to: NameLike, kind: str = "error", text: str = "") -> None:
        """A process that is not under test has ended, a pid or a name: monitors of it tell so. For those under test there are :meth:`stop`
        and :meth:`kill`. Raises :class:`NotFound` where nobody monitors it."""
        if not self._engine.relations.down(parse_address(to), kind, text):
            raise NotFound(f"nobody monitors {to}, or it is under test: those end with stop() and kill()", effect=NOT_EXECUTED)
        await self._engine.settle()

    async def handoff(self, name: NameLike) -> None:
        """The process comes from another node: its monitors stayed there, its requests without an answer are answered ``unavailable``, callers
        that it left waiting hear ``process_exited``, and ``handoff`` is called before all that waits."""
        self._engine.handoff(self._life(name))
        await self._engine.settle()

    async def advance(self, seconds: float) -> None:
        """Lets time pass. Timers fire in their order, and what follows from each happens before the next."""
        check_seconds(seconds, "seconds")
        if not seconds >= 0:
            raise ValueError(f"time passes forwards, not by {seconds} s")
        await self._engine.settle()
        until = self.clock.now + seconds
        while self.clock.fire_next(until):
            await self._engine.settle()

    async def settle(self) -> None:
        """Waits until no handler runs, but those that wait for an answer of a process here."""
        await self._engine.settle()

    async def stop(self, name: NameLike, kind: str = "shutdown", text: str = "") -> None:
        """Ends a process in order: ``terminate`` is called."""
        await self._engine.stop(self._life(name), kind, text)
        await self._engine.settle()

    async def kill(self, name: NameLike, reason: str = "killed") -> None:
        """Ends a process at once; it starts afresh."""
        self._engine.exit(self._life(name), "killed", reason)
        await self._engine.settle()

    def upgrade(self, owner: "Type[Process[Any]]") -> None:
        """Another version of a class takes over: states go through its ``code_change`` before their next message."""
        self._engine.definitions.update(by_class_name([owner]))

    def answer(self, class_name: str, method: str, with_: Answer = None) -> None:
        """What classes that are not under test answer to calls and requests: a value, an exception, or a function of key and argument.
        Raises where that could never be: no name of a class, or one under test; an answer that cannot be sent."""
        if not isinstance(class_name, str) or not is_class_name(class_name):
            raise ValueError(f"{class_name!r} names no class; a class is named like 'cart', and this answers for all its keys")
        if class_name in self._engine.definitions:
            raise ValueError(f"class {class_name!r} is under test: its own methods answer")
        check_method(method)
        if isinstance(with_, type):
            raise TypeError(f"an answer is a value, an exception or a function of key and argument, not the class {with_.__name__}")
        if not callable(with_) and not isinstance(with_, Exception):
            copied(with_, "answer")
        self._engine.stubs[class_name, method] = with_

    # ---- what a test looks at ----

    @property
    def clock(self) -> Clock:
        return self._engine.clock

    @property
    def casts(self) -> List[Cast]:
        """Every cast that handlers sent, oldest first."""
        return self._engine.casts

    @property
    def sends(self) -> List[Send]:
        """Every plain message that handlers sent, oldest first."""
        return self._engine.relations.sends

    @property
    def publishes(self) -> List[Publish]:
        """Everything that handlers published, oldest first."""
        return self._engine.relations.publishes

    @property
    def groups(self) -> Dict[str, List[str]]:
        """The names of each group's members under test."""
        return self._engine.relations.members()

    @property
    def exits(self) -> List[Exit]:
        """Every exit, oldest first."""
        return self._engine.exits

    def state(self, name: NameLike) -> Any:
        """What the process remembers, as plain data."""
        return _cbor.loads(self._life(name).state)

    def timers(self, name: NameLike) -> Dict[str, float]:
        """The timers that are set, and in how many seconds they fire."""
        return {timer: alarm.at - self.clock.now for timer, alarm in self._life(name).timers.items()}

    def monitors(self, name: NameLike) -> Dict[str, str]:
        """The monitors that stand, by their names, and what they are of."""
        return {monitor: to for monitor, (to, _) in self._life(name).monitors.items()}

    def requests(self, name: NameLike) -> List[str]:
        """The names of requests that have no answer yet."""
        return sorted(self._life(name).requests)

    def pid(self, name: NameLike) -> str:
        return self._life(name).pid

    def is_running(self, name: NameLike) -> bool:
        return self._name(name) in self._engine.lives

    def _life(self, name: NameLike) -> Life:
        parsed = self._name(name)
        if parsed not in self._engine.lives:
            raise NotFound(f"{parsed} does not run", effect=NOT_EXECUTED)
        return self._engine.lives[parsed]

    def _name(self, name: NameLike) -> Name:
        if isinstance(name, str) and "/" not in name and len(self._engine.definitions) == 1:
            return parse_name(Name(next(iter(self._engine.definitions)), name))
        return parse_name(name)
