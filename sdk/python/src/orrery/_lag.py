"""Notices handlers that block the event loop, which stops every other handler of the app."""
from __future__ import annotations

import asyncio
import logging
from typing import Callable, Optional

log = logging.getLogger("orrery.host")

TICK_SECONDS = 0.25
BLOCKED_SECONDS = 1.0


class LagWatch:
    """Says in the log how long the loop was blocked, and what was being handled. ``describe`` names it."""

    def __init__(self, describe: Callable[[], str], blocked_seconds: Optional[float] = None) -> None:
        self._describe = describe
        self._blocked_seconds = blocked_seconds
        self._timer: Optional[asyncio.TimerHandle] = None

    def start(self) -> None:
        self._next(asyncio.get_running_loop())

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(TICK_SECONDS, self._tick, loop, loop.time() + TICK_SECONDS)

    def _tick(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        late = loop.time() - due
        if late >= (BLOCKED_SECONDS if self._blocked_seconds is None else self._blocked_seconds):
            log.warning("the event loop was blocked for %.1f s; in handlers use await, or a plain 'def', which runs in a thread. At work, or just now: %s",
                        late, self._describe() or "nothing of a host's")
        self._next(loop)
