"""What processes under test are to each other, and to those that are not: groups, monitors, requests and plain messages."""
from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, List

from .._names import is_pid, parse_name
from .._values import well_formed
from ..errors import NOT_EXECUTED, UNKNOWN, NotFound, OrreryError, Unavailable
from ._model import Life, Message

if TYPE_CHECKING:
    from ._engine import Engine

REQUEST_SECONDS = 5.0


@dataclass(frozen=True)
class Send:
    """A plain message that a handler sent: to a process under test, which got it if it runs, or to another."""

    to: str
    word: str
    argument: Any = None


@dataclass(frozen=True)
class Publish:
    """What a handler published: members under test got it."""

    group: str
    word: str
    argument: Any = None


class Relations:
    """Of one engine."""

    def __init__(self, engine: "Engine") -> None:
        self.engine = engine
        self.sends: List[Send] = []
        self.publishes: List[Publish] = []
        self.groups: "Dict[str, Counter[Life]]" = {}
        self.asking = 0  #: requests to what is not under test, whose answer is under way

    def carry_out(self, life: Life, kind: str, what: Any) -> None:
        if kind == "send":
            self.sends.append(Send(what["to"], what["word"], what["argument"]))
            self.plain(what["to"], what["word"], what["argument"])
        elif kind == "publish":
            self.publishes.append(Publish(what["group"], what["word"], what["argument"]))
            self.publish(what["group"], what["word"], what["argument"])
        elif kind == "join":
            self.groups.setdefault(what, Counter())[life] += 1
        elif kind == "leave":
            self._leave(life, what)
        elif kind == "call":
            self._request(life, what["name"], what)
        elif kind == "monitor":
            self._monitor(life, what["name"], what["to"])
        else:
            self.demonitor(life, what)

    # ---- plain messages and groups ----

    def plain(self, to: str, word: str, argument: Any) -> None:
        life = self.life_of(to)
        if life is not None:
            self._inform(life, word, "message", argument)

    def publish(self, group: str, word: str, argument: Any) -> int:
        members = list(self.groups.get(group, ()))
        for life in members:
            self._inform(life, word, "message", argument)
        return len(members)

    def _leave(self, life: Life, group: str) -> None:
        members = self.groups.get(group, Counter())
        if members[life] > 1:
            members[life] -= 1
        else:
            del members[life]

    # ---- requests ----

    def _request(self, life: Life, name: str, what: Dict[str, Any]) -> None:
        self._forget_request(life, name)
        answer = life.requests[name] = self._ask(what, what.get("timeoutMs", REQUEST_SECONDS * 1000) / 1000)
        answer.add_done_callback(lambda _: self._answered(life, name, answer))

    def _ask(self, what: Dict[str, Any], timeout: float) -> "asyncio.Future[Any]":
        target, loop = self.life_of(what["to"]), asyncio.get_running_loop()
        message = Message("call", what["method"], what["argument"], loop.create_future())
        assert message.answer is not None
        try:
            if target is None and is_pid(what["to"]):
                raise NotFound(f"{what['to']} does not run", effect=NOT_EXECUTED)
            name = target.name if target is not None else parse_name(what["to"])
            if name.class_name not in self.engine.definitions:
                self.asking += 1
                return loop.create_task(self.engine.ask_stub(name, message))
            self.engine.deliver_call(name, message, timeout)
        except OrreryError as problem:
            message.fail(problem)
        return message.answer

    def _answered(self, life: Life, name: str, answer: "asyncio.Future[Any]") -> None:
        self.asking -= isinstance(answer, asyncio.Task)
        problem = None if answer.cancelled() else answer.exception()
        if life.requests.get(name) is answer:
            del life.requests[name]
            self._inform(life, name, "reply", {"ok": answer.result()} if problem is None else {"error": fields_of(problem)})
        self.engine.changed()

    def _forget_request(self, life: Life, name: str) -> None:
        answer = life.requests.pop(name, None)
        if answer is not None:
            answer.cancel()

    # ---- monitors ----

    def _monitor(self, life: Life, name: str, to: str) -> None:
        self.demonitor(life, name)
        target = self.life_of(to)
        life.monitors[name] = (to, target)
        under_test = is_pid(to) or parse_name(to).class_name in self.engine.definitions
        if target is None and under_test:
            self._down(life, name, "", "noproc", "no such process")

    def demonitor(self, life: Life, name: str) -> None:
        life.monitors.pop(name, None)
        for message in [each for each in life.mailbox if each.source == "down" and each.method == name]:
            life.mailbox.remove(message)

    def down(self, to: str, kind: str, text: str) -> bool:
        """One that is not under test has ended. Whether anybody hears so."""
        told = False
        for life in list(self.engine.lives.values()):
            for name in [name for name, (of, target) in life.monitors.items() if target is None and of == to]:
                self._down(life, name, to if is_pid(to) else "", kind, text)
                told = True
        return told

    def _down(self, life: Life, name: str, pid: str, kind: str, text: str) -> None:
        life.monitors.pop(name, None)
        self._inform(life, name, "down", {"pid": pid, "reason": {"kind": kind, "text": text}})

    # ---- ends and moves ----

    def ended(self, life: Life, kind: str, text: str) -> None:
        for group in list(self.groups):
            self.groups[group].pop(life, None)
        for name in list(life.requests):
            self._forget_request(life, name)
        for watcher in list(self.engine.lives.values()):
            for name in [name for name, (_, target) in watcher.monitors.items() if target is life]:
                self._down(watcher, name, life.pid, kind, text)

    def handoff(self, life: Life) -> None:
        """It comes from another node: its monitors stayed there, and what it asked is answered as unknown."""
        life.monitors.clear()
        unanswered, life.requests = life.requests, {}
        for name, answer in unanswered.items():
            answer.cancel()
            problem = Unavailable("the process has moved to another node", effect=UNKNOWN)
            self._inform(life, name, "reply", {"error": fields_of(problem)})

    # ---- its own ----

    def life_of(self, to: str) -> "Life | None":
        """Of a pid or a name: what runs now, under test."""
        if is_pid(to):
            return next((life for life in self.engine.lives.values() if life.pid == to), None)
        return self.engine.lives.get(parse_name(to))

    def _inform(self, life: Life, name: str, source: str, argument: Any) -> None:
        if self.engine.lives.get(life.name) is life:
            self.engine.deliver(life.name, Message("info", name, argument, source=source))

    def members(self) -> Dict[str, List[str]]:
        return {group: sorted(str(life.name) for life in members) for group, members in self.groups.items() if members}


def fields_of(problem: BaseException) -> Dict[str, str]:
    if isinstance(problem, OrreryError):
        return {"code": problem.code, "text": problem.text, "effect": problem.effect}
    return {"code": "handler_failed", "text": well_formed(str(problem)), "effect": UNKNOWN}  # what a stand-in raised


