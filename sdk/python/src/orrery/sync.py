"""The client for code without asyncio: the same methods, which block.

::

    with orrery.sync.connect() as client:
        client.call("cart/ada", "add", "pen", timeout=2)
        for event in client.events("process_restarted"):
            ...

One thread of its own runs the event loop; a client may be shared between threads.
"""
from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Any, Coroutine, Iterator, List, Optional, Tuple, Type, TypeVar

from . import _client
from ._asking import PATIENCE
from ._connection import Welcome
from ._events import Event, Events
from ._names import NameLike
from ._retry import Retry
from ._serve import run as serve
from .documents import ClassDocument, NodeDocument, ProcessDocument, Processes, Tree
from .metrics import Metrics

__all__ = ["Client", "connect", "serve"]

T = TypeVar("T")


def connect(address: Optional[str] = None, *, timeout: Optional[float] = PATIENCE, retry: Optional[Retry] = None,
            metrics: Optional[Metrics] = None) -> "Client":
    """As :func:`orrery.connect`, to be opened with ``with``."""
    return Client(_client.connect(address, timeout=timeout, retry=retry, metrics=metrics))


class Client:
    """As :class:`orrery.Client`; methods block the calling thread, never the others."""

    def __init__(self, inner: _client.Client) -> None:
        self._inner = inner
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="orrery-client", daemon=True)

    def __enter__(self) -> "Client":
        return self.open()

    def __exit__(self, kind: Optional[Type[BaseException]], problem: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.close()

    def open(self) -> "Client":
        self._thread.start()
        try:
            self._wait(self._inner.open())
        except BaseException:
            self._end()
            raise
        return self

    def close(self) -> None:
        self._wait(self._inner.close())
        self._end()

    @property
    def sidecar(self) -> Optional[Welcome]:
        return self._inner.sidecar

    def call(self, to: NameLike, method: str, argument: Any = None, *, timeout: Optional[float] = None,
             trace: Optional[str] = None, retry: Optional[Retry] = None) -> Any:
        return self._wait(self._inner.call(to, method, argument, timeout=timeout, trace=trace, retry=retry))

    def cast(self, to: NameLike, method: str, argument: Any = None, *, trace: Optional[str] = None, retry: Optional[Retry] = None) -> None:
        self._wait(self._inner.cast(to, method, argument, trace=trace, retry=retry))

    def inspect(self, name: NameLike) -> ProcessDocument:
        return self._wait(self._inner.inspect(name))

    def stop(self, name: NameLike) -> None:
        self._wait(self._inner.stop(name))

    def kill(self, name: NameLike, reason: str = "killed") -> None:
        self._wait(self._inner.kill(name, reason))

    def nodes(self) -> List[NodeDocument]:
        return self._wait(self._inner.nodes())

    def processes(self, class_name: Optional[str] = None, *, limit: int = 1000, local: bool = False) -> Processes:
        return self._wait(self._inner.processes(class_name, limit=limit, local=local))

    def classes(self) -> List[ClassDocument]:
        return self._wait(self._inner.classes())

    def tree(self, *, local: bool = False) -> Tree:
        return self._wait(self._inner.tree(local=local))

    def events(self, *types: str) -> Iterator[Event]:
        """Subscribes at once, so that nothing after this line is missed; ends when the iterator is closed or dropped."""
        events = self._wait(self._subscribe(types))

        def follow() -> Iterator[Event]:
            try:
                while True:
                    yield self._wait(events.next())
            finally:
                if self._loop.is_running():
                    self._wait(events.__aexit__(None, None, None))

        return follow()

    async def _subscribe(self, types: Tuple[str, ...]) -> Events:
        return await self._inner.events(*types).__aenter__()

    def _wait(self, doing: "Coroutine[Any, Any, T]") -> T:
        if threading.current_thread() is self._thread:
            doing.close()
            raise RuntimeError("a blocking client cannot be used on its own event loop's thread")
        future = asyncio.run_coroutine_threadsafe(doing, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # an interrupt gives the request up; nothing where it has ended
            raise

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
