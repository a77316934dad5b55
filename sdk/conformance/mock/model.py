"""What a mock mesh is made of: classes, processes, messages and who waits for their answers."""
from __future__ import annotations

import asyncio
import itertools
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Callable, Deque, Dict, Optional, Tuple

Error = Dict[str, str]
Reason = Dict[str, str]  #: why a process ended: kind and text


def error(code: str, text: str, effect: str = "not_executed") -> Error:
    return {"code": code, "text": text, "effect": effect}


class Wrong(Exception):
    """What cannot be done, as the error of its answer."""

    def __init__(self, problem: Error) -> None:
        super().__init__(problem["text"])
        self.problem = problem


@dataclass
class ClassSpec:
    """As a ProcessClass: ``behaviour`` is ``app``, ``counter`` or ``kv``."""

    name: str
    behaviour: str = "app"
    version: int = 1
    call_timeout: float = 60.0  #: longer than a mesh's, for machines that are busy
    handler_timeout: float = 30.0
    wait_for_app: float = 10.0
    state_bytes: int = 1024 * 1024 - 32
    mailbox: int = 10_000
    intensity: int = 3


@dataclass(eq=False)
class Asked:
    """A caller: gets exactly one answer."""

    answer: Callable[[Any, Optional[Error]], None]
    deadline: Optional[asyncio.TimerHandle] = None
    begun: bool = False
    settled: bool = False

    def settle(self, ok: Any = None, problem: Optional[Error] = None) -> None:
        if self.settled:
            return
        self.settled = True
        if self.deadline is not None:
            self.deadline.cancel()
        self.answer(ok, problem)


@dataclass(eq=False)
class Message:
    callback: str
    method: str = ""
    argument: Any = None
    asked: Optional[Asked] = None
    trace: Optional[str] = None
    source: str = ""


@dataclass(eq=False)
class Process:
    class_name: str
    key: str
    pid: str
    state: Any = None
    state_version: int = 0
    begun: bool = False
    restarting: bool = False
    mailbox: Deque[Message] = field(default_factory=deque)
    ahead: Deque[Message] = field(default_factory=deque)  #: what `next` asked for
    at_work: Optional["Work"] = None
    timers: Dict[str, asyncio.TimerHandle] = field(default_factory=dict)
    kept: Dict[int, Asked] = field(default_factory=dict)  #: callers to be answered later
    asking: Dict[str, Asked] = field(default_factory=dict)  #: calls of its own, by name
    watching: Dict[str, Any] = field(default_factory=dict)  #: monitors of its own, by name
    nameless: bool = False  #: its key is its pid
    argument: Any = None  #: what it was spawned with
    callers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    handled: int = 0
    restarts: int = 0
    last_exit: Optional[str] = None
    since: float = 0.0

    @property
    def name(self) -> Tuple[str, str]:
        return self.class_name, self.key

    def __str__(self) -> str:
        return f"{self.class_name}/{self.key}"


@dataclass(eq=False)
class Registration:
    """One class on one connection."""

    connection: Any
    class_name: str
    calls: "frozenset[str]"
    casts: "frozenset[str]"
    callbacks: "frozenset[str]"
    state_version: int
    concurrency: int
    busy: int = 0
    draining: bool = False


@dataclass(eq=False)
class Work:
    id: int
    process: Process
    message: Message
    registration: Registration
    caller: int = 0
    timer: Optional[asyncio.TimerHandle] = None
    wanted: bool = True
