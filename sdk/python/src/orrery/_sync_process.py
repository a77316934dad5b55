"""Client processes and monitors for code without asyncio: the same methods, which block."""
from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Callable, Coroutine, Iterator, List, Optional, Type, Union

from . import _client_process, _linked
from ._client_process import CLAIM_TIMEOUT, ProcessMessage, Spawned, reason_of
from ._ends import NORMAL, Down, Reason
from ._names import NameLike, check_seconds
from .errors import NOT_EXECUTED, DeadlineExceeded

Waits = Callable[["Coroutine[Any, Any, Any]"], Any]
"""Runs it on the client's loop, and waits for what it gives."""


class ClientProcess(Iterator[ProcessMessage]):
    """As :class:`orrery.ClientProcess`, for ``with``; threads may share it, and one at a time reads."""

    def __init__(self, wait: Waits, inner: _client_process.ClientProcess) -> None:
        self._wait, self._inner = wait, inner

    def __repr__(self) -> str:
        return repr(self._inner)

    @property
    def pid(self) -> str:
        return self._inner.pid

    @property
    def ended(self) -> Optional[Reason]:
        return self._inner.ended

    def __enter__(self) -> "ClientProcess":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], problem: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self._wait(self._inner._leave_quietly(reason_of(problem)))

    def close(self, reason: Union[Reason, str] = NORMAL) -> None:
        self._wait(self._inner.close(reason))

    def next(self, timeout: Optional[float] = None) -> Optional[ProcessMessage]:
        return self._wait(self._inner.next(timeout))  # type: ignore[no-any-return]

    def __next__(self) -> ProcessMessage:
        message = self.next()
        if message is None:
            raise StopIteration
        return message

    def call(self, to: NameLike, method: str, argument: Any = None, *, timeout: Optional[float] = None) -> Any:
        return self._wait(self._inner.call(to, method, argument, timeout=timeout))

    def cast(self, to: NameLike, method: str, argument: Any = None) -> None:
        self._wait(self._inner.cast(to, method, argument))

    def send(self, to: NameLike, word: str, argument: Any = None) -> None:
        self._wait(self._inner.send(to, word, argument))

    def publish(self, group: str, word: str, argument: Any = None) -> int:
        return self._wait(self._inner.publish(group, word, argument))  # type: ignore[no-any-return]

    def spawn(self, class_name: str, argument: Any = None, *, link: bool = False, monitor: bool = False) -> Spawned:
        return self._wait(self._inner.spawn(class_name, argument, link=link, monitor=monitor))  # type: ignore[no-any-return]

    def monitor(self, to: NameLike) -> int:
        return self._wait(self._inner.monitor(to))  # type: ignore[no-any-return]

    def demonitor(self, monitor: int) -> None:
        self._wait(self._inner.demonitor(monitor))

    def link(self, to: NameLike) -> None:
        self._wait(self._inner.link(to))

    def unlink(self, to: NameLike) -> None:
        self._wait(self._inner.unlink(to))

    def exit(self, to: NameLike, reason: Union[Reason, str]) -> None:
        self._wait(self._inner.exit(to, reason))

    def join(self, group: str) -> None:
        self._wait(self._inner.join(group))

    def leave(self, group: str) -> bool:
        return self._wait(self._inner.leave(group))  # type: ignore[no-any-return]

    def watch(self, group: str) -> List[str]:
        return self._wait(self._inner.watch(group))  # type: ignore[no-any-return]

    def unwatch(self, group: str) -> None:
        self._wait(self._inner.unwatch(group))

    def claim(self, key: str, value: Any = None, *, in_: str = "mesh_unique", timeout: float = CLAIM_TIMEOUT) -> None:
        self._wait(self._inner.claim(key, value, in_=in_, timeout=timeout))

    def update(self, key: str, value: Any, *, in_: str = "mesh_unique") -> None:
        self._wait(self._inner.update(key, value, in_=in_))

    def release(self, key: str, *, in_: str = "mesh_unique") -> bool:
        return self._wait(self._inner.release(key, in_=in_))  # type: ignore[no-any-return]


class Monitor:
    """Stands from when it was made; ends with :meth:`cancel`, with its ``with`` block, or when it has told."""

    def __init__(self, wait: Waits, soon: Callable[[Callable[[], None]], None], inner: _linked.Monitor) -> None:
        self._wait, self._soon, self._inner = wait, soon, inner

    def __repr__(self) -> str:
        return repr(self._inner)

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], problem: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.cancel()

    def wait(self, timeout: Optional[float] = None) -> Down:
        """Until the process ends. Raises :class:`DeadlineExceeded` after ``timeout`` seconds; the monitor stands all the same."""
        return self._wait(self._within(timeout))  # type: ignore[no-any-return]

    async def _within(self, timeout: Optional[float]) -> Down:
        if timeout is not None:
            check_seconds(timeout, "timeout")
        try:
            return await asyncio.wait_for(self._inner, timeout)
        except asyncio.TimeoutError:
            raise DeadlineExceeded(f"it did not end within {timeout:g} s", effect=NOT_EXECUTED) from None

    def cancel(self) -> None:
        self._soon(self._inner.cancel)
