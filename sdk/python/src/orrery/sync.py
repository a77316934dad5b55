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
import concurrent.futures
import contextlib
import threading
from types import TracebackType
from typing import Any, Callable, Coroutine, Iterator, List, Optional, Tuple, Type, TypeVar

from . import _client, _client_process, _linked
from ._asking import PATIENCE
from ._connection import Welcome
from ._events import Event, Events, EventTypes
from ._names import NameLike
from ._retry import Retry
from ._serve import run as serve
from ._sync_process import ClientProcess, Monitor
from .documents import ClassDocument, Group, Groups, Holder, NodeDocument, ProcessDocument, Processes, Registry, Tree
from .errors import NOT_EXECUTED, UNKNOWN, Unavailable
from .metrics import Metrics

__all__ = ["Client", "ClientProcess", "Monitor", "connect", "serve"]

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
        self._lock = threading.Lock()
        self._state = "new"  # then "open", then "closed": the loop takes nothing more

    def __enter__(self) -> "Client":
        return self.open()

    def __exit__(self, kind: Optional[Type[BaseException]], problem: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.close()

    def open(self) -> "Client":
        with self._lock:
            if self._state != "new":
                raise RuntimeError("a client is opened once")
            self._state = "open"
            self._thread.start()
        try:
            self._wait(self._inner.open())
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Ends the connection. What other threads wait for ends with :class:`Unavailable`. May be called again."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("a blocking client cannot be used on its own event loop's thread")
        with self._lock:
            before, self._state = self._state, "closed"
            if before == "open":
                ending = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        if before == "open":
            try:
                ending.result()
            finally:
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join()
                self._loop.close()
        elif before == "new":
            self._loop.close()

    @property
    def sidecar(self) -> Optional[Welcome]:
        return self._inner.sidecar

    def call(self, to: NameLike, method: str, argument: Any = None, *, timeout: Optional[float] = None,
             trace: Optional[str] = None, retry: Optional[Retry] = None) -> Any:
        return self._wait(self._inner.call(to, method, argument, timeout=timeout, trace=trace, retry=retry))

    def cast(self, to: NameLike, method: str, argument: Any = None, *, trace: Optional[str] = None, retry: Optional[Retry] = None) -> None:
        self._wait(self._inner.cast(to, method, argument, trace=trace, retry=retry))

    def start(self, name: NameLike, timeout: Optional[float] = None) -> str:
        return self._wait(self._inner.start(name, timeout))

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

    def publish(self, group: str, word: str, argument: Any = None) -> int:
        return self._wait(self._inner.publish(group, word, argument))

    def group(self, name: str) -> Group:
        return self._wait(self._inner.group(name))

    def groups(self, prefix: str = "", *, limit: int = 1000) -> Groups:
        return self._wait(self._inner.groups(prefix, limit=limit))

    def registry(self, prefix: str = "", *, limit: int = 1000) -> Registry:
        return self._wait(self._inner.registry(prefix, limit=limit))

    def lookup(self, key: str, in_: str = "mesh_unique") -> List[Holder]:
        return self._wait(self._inner.lookup(key, in_))

    def process(self) -> ClientProcess:
        """Opens a client process at once, for ``with``: see :class:`orrery.ClientProcess`."""
        return ClientProcess(self._wait, self._wait(self._open_process()))

    async def _open_process(self) -> _client_process.ClientProcess:
        return await self._inner.process().open()

    def monitor(self, to: NameLike) -> Monitor:
        """``down = client.monitor("cart/ada").wait()``; it stands when this returns."""
        return Monitor(self._wait, self._soon, self._wait(self._begin_monitor(to)))

    async def _begin_monitor(self, to: NameLike) -> _linked.Monitor:
        return await self._inner.monitor(to).__aenter__()

    def events(self, *types: EventTypes) -> Iterator[Event]:
        """Subscribes at once, so that nothing after this line is missed; ends when the iterator is closed or dropped."""
        return _Following(self, self._wait(self._subscribe(types)))

    async def _subscribe(self, types: Tuple[EventTypes, ...]) -> Events:
        return await self._inner.events(*types).__aenter__()

    def _wait(self, doing: "Coroutine[Any, Any, T]") -> T:
        if threading.current_thread() is self._thread:
            doing.close()
            raise RuntimeError("a blocking client cannot be used on its own event loop's thread")
        with self._lock:
            if self._state != "open":
                doing.close()
                raise Unavailable(f"the client is {'closed' if self._state == 'closed' else 'not open yet'}", effect=NOT_EXECUTED)
            future = asyncio.run_coroutine_threadsafe(doing, self._loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise Unavailable("the client was closed before this ended", effect=UNKNOWN) from None
        except BaseException:
            future.cancel()  # an interrupt gives the request up; nothing where it has ended
            raise

    async def _end(self) -> None:
        """Nothing is left on the loop, so nobody waits for it."""
        await self._inner.close()
        while True:
            left = asyncio.all_tasks() - {asyncio.current_task()}
            if not left:
                return
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    def _soon(self, function: Callable[[], None]) -> None:
        """Without waiting, and from any thread; not where the loop has ended."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function)


class _Following(Iterator[Event]):
    """A subscription, until it is closed or dropped. No generator: one that was never begun would not notice."""

    def __init__(self, client: Client, events: Events) -> None:
        self._client, self._events, self._over = client, events, False

    def __next__(self) -> Event:
        if self._over:
            raise StopIteration
        try:
            return self._client._wait(self._events.next())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._over = True
        self._client._soon(self._events.leave)

    def __del__(self) -> None:
        if not self._over:
            self.close()
