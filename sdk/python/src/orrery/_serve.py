"""Hosting as a program: until a signal, then an orderly leave."""
from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from typing import TYPE_CHECKING, Any, Coroutine, Iterator, Optional, Type

from ._client import Client, connect
from .metrics import Metrics

if TYPE_CHECKING:
    from ._process import Process

log = logging.getLogger("orrery.host")

DRAIN_SECONDS = 20.0


async def serve(*classes: "Type[Process[Any]]", address: Optional[str] = None, app: str = "", concurrency: Optional[int] = None,
                drain_timeout: float = DRAIN_SECONDS, metrics: Optional[Metrics] = None, client: Optional[Client] = None) -> None:
    """Hosts process classes until SIGTERM or SIGINT, or until it is cancelled; then drains, at most ``drain_timeout`` seconds.

    Waits for a sidecar that is not there yet, for ever, and for classes that are not declared yet. ``app`` names this app and its
    version to people. ``concurrency`` overrides that of the classes. With ``client`` it uses that connection, which stays open.
    Raises an :class:`OrreryError` where the sidecar refuses a class, or its socket this user (:class:`Forbidden`).
    """
    stop = asyncio.Event()
    with _set_by_signals(stop):
        if client is not None:
            await _host_until(stop, client, classes, app, concurrency, drain_timeout)
            return
        client = connect(address, timeout=None, metrics=metrics)
        try:
            if await _unless(stop, client.open()):
                await _host_until(stop, client, classes, app, concurrency, drain_timeout)
        finally:
            await client.close()


def run(*classes: "Type[Process[Any]]", **options: Any) -> None:
    """:func:`serve` as a whole program: an event loop of its own, and logging to stderr where none is set up."""
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(serve(*classes, **options))


async def _host_until(stop: asyncio.Event, client: Client, classes: Any, app: str, concurrency: Optional[int], drain_timeout: float) -> None:
    host = client.host(*classes, app=app, concurrency=concurrency)
    try:
        if await _unless(stop, host.begin()):
            await _unless(stop, host.failed())
        log.info("draining")
        await host.drain(drain_timeout)
    finally:
        await host.close()


async def _unless(stop: asyncio.Event, doing: "Coroutine[Any, Any, Any]") -> bool:
    """Whether it ended before ``stop`` was set; it is cancelled where it did not."""
    task = asyncio.ensure_future(doing)
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
            return True
        return False
    finally:
        stopped.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


@contextlib.contextmanager
def _set_by_signals(event: asyncio.Event) -> Iterator[None]:
    """Where signals cannot be handled (another thread than the main one, Windows), cancelling is the way to stop."""
    loop = asyncio.get_running_loop()
    added = []
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, event.set)
            added.append(number)
    try:
        yield
    finally:
        for number in added:
            loop.remove_signal_handler(number)
