"""The mailboxes, states and timers of processes under test: what a sidecar does, in one event loop and on a fake clock."""
from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Type

from .. import _cbor, _patch, _work
from .._context import Runtime
from .._definition import Definition
from .._host import by_class_name
from .._names import Name, NameLike, check_method, parse_name
from .._process import Process
from .._trace import traceparent
from .._values import VALUE_BYTES_MAX, encode_value
from .._work import Work
from ..errors import (EXECUTED, NOT_EXECUTED, UNKNOWN, DeadlineExceeded, InvalidArgument, LimitExceeded, NotFound, OrreryError,
                      ProcessExited, error_for)
from ._clock import Clock
from ._model import Life, Message
from ._relations import Relations


@dataclass(frozen=True)
class Cast:
    """A cast that a handler sent: to a process under test, which got it, or to another."""

    to: str
    method: str
    argument: Any = None


@dataclass(frozen=True)
class Exit:
    """A process ended. ``kind`` is ``normal``, ``shutdown``, ``error``, ``killed`` or ``limit``."""

    name: str
    kind: str
    text: str = ""


class Engine(Runtime):
    """See :class:`orrery.testing.Host`, which is its face."""

    def __init__(self, classes: "Sequence[Type[Process[Any]]]") -> None:
        self.clock = Clock()
        self.casts: List[Cast] = []
        self.exits: List[Exit] = []
        self.definitions: Dict[str, Definition] = by_class_name(classes)
        self.lives: Dict[Name, Life] = {}
        self.stubs: Dict[Tuple[str, str], Any] = {}
        self.relations = Relations(self)
        self._numbers = 0
        self._farewells = 0
        self._changed = asyncio.Event()

    async def settle(self) -> None:
        while True:
            await asyncio.sleep(0)  # what was answered is told
            handling = any(life.at_work is not None and not life.waits_inside for life in self.lives.values())
            if not (handling or self._farewells or self.relations.asking):
                return
            self._changed.clear()
            await self._changed.wait()

    def changed(self) -> None:
        """Who waits for all to settle looks again."""
        self._changed.set()

    # ---- messages ----

    async def ask(self, to: Name, method: str, argument: Any, timeout: Optional[float], trace: Optional[str] = None) -> Any:
        message = Message("call", check_method(method), copied(argument, "argument"), asyncio.get_running_loop().create_future(), trace)
        if to.class_name not in self.definitions:
            return await self.ask_stub(to, message)
        self.deliver_call(to, message, timeout)
        assert message.answer is not None
        return await message.answer

    def deliver_call(self, to: Name, message: Message, timeout: Optional[float]) -> None:
        """To a class under test. Raises :class:`NotFound` where it has no such method."""
        self._check_method(to, message, self.definitions[to.class_name].calls)
        self.deliver(to, message)
        if timeout is not None and message.answer is not None:
            alarm = self.clock.at(timeout, lambda: self._late(to, message))
            message.answer.add_done_callback(lambda _: alarm.cancel())

    def deliver_cast(self, to: Name, message: Message) -> None:
        """The same of a cast, and of a class that is not under test."""
        if to.class_name in self.definitions:
            self._check_method(to, message, self.definitions[to.class_name].casts)
        self.deliver(to, message)

    def _check_method(self, to: Name, message: Message, methods: Mapping[str, object]) -> None:
        if message.method not in methods:
            known = ", ".join(sorted(methods))
            raise NotFound(f"class {to.class_name!r} has no method {message.method!r} for a {message.callback}; it has: {known}", effect=NOT_EXECUTED)

    async def ask_stub(self, to: Name, message: Message) -> Any:
        if (to.class_name, message.method) not in self.stubs:
            raise NotFound(f"{to} is not under test; say host.answer({to.class_name!r}, {message.method!r}, ...)", effect=NOT_EXECUTED)
        answer = self.stubs[to.class_name, message.method]
        if callable(answer) and not isinstance(answer, type):
            answer = answer(to.key, message.argument)
            if asyncio.iscoroutine(answer):
                answer = await answer
        if isinstance(answer, Exception):
            raise answer
        return copied(answer, "answer")

    def _late(self, to: Name, message: Message) -> None:
        life = self.lives.get(to)
        waiting = life is not None and message in life.mailbox
        if waiting:
            assert life is not None
            life.mailbox.remove(message)
        message.fail(DeadlineExceeded(f"{to} did not answer in time", effect=NOT_EXECUTED if waiting else UNKNOWN))

    def deliver(self, to: Name, message: Message) -> None:
        life = self.lives.get(to) or self._start(to)
        life.mailbox.append(message)
        self._pump(life)

    def _start(self, name: Name) -> Life:
        if name.class_name not in self.definitions:
            raise NotFound(f"class {name.class_name!r} is not under test", effect=NOT_EXECUTED)
        self._numbers += 1
        life = self.lives[name] = Life(name, self._numbers)
        return life

    def _pump(self, life: Life) -> None:
        """Lets the process handle its next message, if it is free."""
        while life.at_work is None and self.lives.get(life.name) is life:
            definition = self.definitions[life.name.class_name]
            message = self._next(life, definition)
            if message is None:
                return
            if definition.handler(message.callback, message.method) is not None:
                life.at_work = asyncio.get_running_loop().create_task(self._work(life, definition, message))

    def _next(self, life: Life, definition: Definition) -> Optional[Message]:
        if not life.begun:
            if not life.mailbox and not life.restarted:
                return None
            if "init" in definition.callbacks:
                return Message("init")
            life.begun, life.state_version = True, definition.state_version
        if life.next is None and not life.mailbox:
            return None
        if life.state_version != definition.state_version:
            if "code_change" in definition.callbacks:
                return Message("code_change")
            life.state_version = definition.state_version
        message, life.next = life.next, None
        return message or life.mailbox.popleft()

    async def _work(self, life: Life, definition: Definition, message: Message) -> None:
        if message.answer is not None:
            life.callers += 1
        starting = message.callback == "init"
        work = Work(life.number, life.name.class_name, life.name.key, message.callback, life.pid, message.method,
                    message.argument, None if starting else _cbor.loads(life.state), b"" if starting else life.state,
                    life.callers if message.answer is not None else None, message.trace, life.state_version, source=message.source, connection=life)
        life.handling = message
        try:
            done = await _work.handle(definition, work, self)
            life.at_work = life.handling = None
            if self.lives.get(life.name) is life:
                await self._take(life, definition, message, _decoded(done))
                self._pump(life)
        finally:
            self._changed.set()

    # ---- what follows from a message ----

    async def _take(self, life: Life, definition: Definition, message: Message, fields: Dict[str, Any]) -> None:
        if "crash" in fields:
            text = fields["crash"]["text"]
            message.fail(ProcessExited(f"{life.name} exited, error: {text}", effect=UNKNOWN))
            self.exit(life, "error", text)
            return
        life.state_version = definition.state_version
        life.begun = True
        if "state" in fields or "patch" in fields:
            state = fields["state"] if "state" in fields else _patch.apply(_cbor.loads(life.state), fields["patch"])
            life.state = _cbor.dumps(state)
        if len(life.state) > VALUE_BYTES_MAX - 32:
            problem = f"its state has {len(life.state)} bytes"
            message.fail(LimitExceeded(problem, effect=UNKNOWN))
            self.exit(life, "limit", problem)
            return
        self._answer(life, message, fields)
        for effect in fields.get("effects", ()):
            self._carry_out(life, effect)
        if "next" in fields:
            life.next = Message("continue", argument=fields["next"])
        if "stop" in fields:
            await self.stop(life, fields["stop"]["kind"], fields["stop"]["text"])

    def _answer(self, life: Life, message: Message, fields: Dict[str, Any]) -> None:
        if "error" in fields:
            message.fail(_error(fields["error"]))
        elif fields.get("later"):
            life.kept[life.callers] = message
        else:
            message.succeed(fields.get("reply"))

    def _carry_out(self, life: Life, effect: Dict[str, Any]) -> None:
        if "cast" in effect:
            self._send_cast(effect["cast"])
        elif "timer" in effect:
            timer = effect["timer"]
            self._set_timer(life, timer["name"], timer["afterMs"] / 1000, timer["argument"])
        elif "cancelTimer" in effect:
            self._cancel_timer(life, effect["cancelTimer"])
        elif "reply" not in effect:
            self.relations.carry_out(life, *next(iter(effect.items())))
        else:
            reply = effect["reply"]
            waiting = life.kept.pop(reply["to"], None)
            if waiting is not None and "error" in reply:
                waiting.fail(_error({"effect": EXECUTED, **reply["error"]}))
            elif waiting is not None:
                waiting.succeed(reply["reply"])

    def _send_cast(self, cast: Dict[str, Any]) -> None:
        to = Name(cast["class"], cast["key"])
        self.casts.append(Cast(str(to), cast["method"], cast["argument"]))
        definition = self.definitions.get(to.class_name)
        if definition is not None and cast["method"] in definition.casts:
            self.deliver(to, Message("cast", cast["method"], cast["argument"]))

    def _set_timer(self, life: Life, name: str, seconds: float, argument: Any) -> None:
        self._cancel_timer(life, name)
        message = Message("info", name, argument, source="timer")
        life.timers[name] = self.clock.at(seconds, lambda: self._fire(life, message))

    def _cancel_timer(self, life: Life, name: str) -> None:
        alarm = life.timers.pop(name, None)
        if alarm is not None:
            alarm.cancel()

    def _fire(self, life: Life, message: Message) -> None:
        life.timers.pop(message.method, None)
        life.mailbox.append(message)
        self._pump(life)

    async def stop(self, life: Life, kind: str, text: str) -> None:
        """In order: it hears of it, and may cast."""
        self.exit(life, kind, text, restart=False)
        definition = self.definitions[life.name.class_name]
        if "terminate" not in definition.callbacks or not life.begun:
            return
        work = Work(life.number, life.name.class_name, life.name.key, "terminate", state=_cbor.loads(life.state),
                    reason={"kind": kind, "text": text}, connection=life)
        self._farewells += 1
        try:
            done = await _work.handle(definition, work, self)
        finally:
            self._farewells -= 1
            self._changed.set()
        for effect in _decoded(done).get("effects", ()):
            self._carry_out(life, effect)

    def handoff(self, life: Life) -> None:
        """As if it came from another node: it hears so before all that waits."""
        if "handoff" in self.definitions[life.name.class_name].callbacks:
            life.mailbox.appendleft(Message("handoff"))
        for waiting in life.kept.values():
            waiting.fail(ProcessExited(f"{life.name} has moved to another node", effect=UNKNOWN))
        life.kept.clear()
        self.relations.handoff(life)
        self._pump(life)

    def exit(self, life: Life, kind: str, text: str, *, restart: bool = True) -> None:
        """The life ends, with its timers and what waits. A process that had begun starts afresh."""
        del self.lives[life.name]
        self.exits.append(Exit(str(life.name), kind, text))
        self.relations.ended(life, kind, text)
        for alarm in life.timers.values():
            alarm.cancel()
        if life.at_work is not None:
            life.at_work.cancel()
        problem = f"{life.name} exited, {kind}: {text}"
        for message in life.mailbox:
            message.fail(ProcessExited(problem, effect=NOT_EXECUTED))
        for message in [*life.kept.values(), *([life.handling] if life.handling else [])]:
            message.fail(ProcessExited(problem, effect=UNKNOWN))
        if restart and life.begun:
            fresh = self._start(life.name)
            fresh.restarted = True
            self._pump(fresh)
        self._changed.set()

    # ---- Runtime ----

    async def call_from(self, work: Work, to: NameLike, method: str, argument: Any, timeout: Optional[float]) -> Any:
        life: Life = work.connection
        name = parse_name(to)
        if name == life.name:
            raise InvalidArgument(f"{name} would wait for itself", effect=NOT_EXECUTED)
        life.waits_inside += 1
        self._changed.set()
        try:
            return await self.ask(name, method, argument, timeout, traceparent.get())
        finally:
            life.waits_inside -= 1


def copied(value: Any, what: str) -> Any:
    """As another process would get it."""
    return _cbor.loads(encode_value(value, what).data)


def _decoded(done: _work.Done) -> Dict[str, Any]:
    return _cbor.loads(_cbor.dumps(done.fields), depth_max=_cbor.DEPTH_MAX + 8)  # type: ignore[no-any-return]


def _error(error: Dict[str, str]) -> OrreryError:
    return error_for(error["code"], error["text"], error["effect"])
