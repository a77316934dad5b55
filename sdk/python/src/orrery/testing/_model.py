"""What the test kit keeps of a process, as a sidecar would."""
from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Deque, Dict, Optional, Tuple

from .. import _cbor
from .._names import Name
from ._clock import Alarm

NULL = _cbor.dumps(None)


@dataclass(eq=False)
class Message:
    callback: str
    method: str = ""
    argument: Any = None
    answer: "Optional[asyncio.Future[Any]]" = None
    trace: Optional[str] = None
    source: str = ""  #: of an info

    def fail(self, problem: Exception) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(problem)

    def succeed(self, value: Any) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(value)


@dataclass(eq=False)
class Life:
    """One life of a process, from its start to its exit."""

    name: Name
    number: int
    begun: bool = False
    restarted: bool = False
    state: bytes = NULL
    state_version: int = 0
    mailbox: Deque[Message] = field(default_factory=deque)
    next: Optional[Message] = None
    at_work: "Optional[asyncio.Task[None]]" = None
    handling: Optional[Message] = None
    waits_inside: int = 0  #: calls to others that its handler waits for
    timers: Dict[str, Alarm] = field(default_factory=dict)
    kept: Dict[int, Message] = field(default_factory=dict)
    callers: int = 0
    requests: "Dict[str, asyncio.Future[Any]]" = field(default_factory=dict)  #: without an answer yet, by name
    monitors: "Dict[str, Tuple[str, Optional[Life]]]" = field(default_factory=dict)  #: by name: of what, and which life of it

    @property
    def pid(self) -> str:
        return f"test@0.{self.number}.1"
