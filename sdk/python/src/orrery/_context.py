"""One message at a process: what it asks for beside its reply, and who carries its questions to others."""
from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Awaitable, Dict, List, Optional

from . import _effects
from ._cbor import Encoded
from ._names import Name, NameLike
from ._values import VALUE_BYTES_MAX, encode_value, well_formed

if TYPE_CHECKING:
    from ._work import Work

STOP_KINDS = ("normal", "shutdown", "error")


class Runtime:
    """What a message needs of its surroundings: the host of a live app, or the test kit's."""

    value_bytes_max: int = VALUE_BYTES_MAX
    executor: Any = None  #: for handlers that are plain functions

    def call_from(self, work: "Work", to: NameLike, method: str, argument: Any, timeout: Optional[float]) -> Awaitable[Any]:
        raise NotImplementedError


class Context:
    """Collects effects while the message is handled; closed afterwards. Used by one thread at a time."""

    def __init__(self, work: "Work", runtime: Runtime) -> None:
        self.work = work
        self.name = Name(work.class_name, work.key)
        self.pid = work.pid
        self.method = work.method
        self.effects: List[_effects.Effect] = []
        self.later = False
        self.next: Optional[Encoded] = None
        self.stop: Optional[Dict[str, str]] = None
        self._runtime = runtime
        self._answered: List[int] = []
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()

    def close(self) -> None:
        self._closed = True

    def encode(self, value: Any, what: str) -> Encoded:
        return encode_value(value, what, self._runtime.value_bytes_max)

    def add(self, effect: _effects.Effect) -> None:
        self._check_open()
        if self.work.callback == "terminate" and not isinstance(effect, _effects.Cast):
            raise RuntimeError("a process that terminates can only cast")
        if len(self.effects) >= _effects.EFFECTS_MAX:
            raise RuntimeError(f"a message has at most {_effects.EFFECTS_MAX} effects")
        self.effects.append(effect)

    def answer(self, reply: _effects.Reply) -> None:
        if not isinstance(reply.to, int):
            raise TypeError(f"a caller's token is what reply_later() returned, not {type(reply.to).__name__}")
        if reply.to in self._answered:
            raise RuntimeError(f"caller {reply.to} was answered already")
        self.add(reply)
        self._answered.append(reply.to)

    def leave_waiting(self) -> int:
        self._check_open()
        if self.work.callback != "call" or self.work.caller is None:
            raise RuntimeError(f"nobody waits for an answer to this {self.work.callback}")
        self.later = True
        return self.work.caller

    def set_next(self, value: Encoded) -> None:
        self._check_open()
        self.next = value

    def set_stop(self, kind: str, text: str) -> None:
        self._check_open()
        if kind not in STOP_KINDS:
            raise ValueError(f"a process stops with {', '.join(STOP_KINDS)}, not {kind!r}")
        self.stop = {"kind": kind, "text": well_formed(text)}

    async def call(self, to: NameLike, method: str, argument: Any, timeout: Optional[float]) -> Any:
        self._check_open()
        return await self._runtime.call_from(self.work, to, method, argument, timeout)

    def call_blocking(self, to: NameLike, method: str, argument: Any, timeout: Optional[float]) -> Any:
        if threading.get_ident() == self._loop_thread:
            raise RuntimeError("call_blocking() would block the event loop; use 'await self.call(...)' here")
        return asyncio.run_coroutine_threadsafe(self.call(to, method, argument, timeout), self._loop).result()

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError(f"the message {self.method or self.work.callback!r} to {self.name} has ended; nothing can be asked of its process any more")
