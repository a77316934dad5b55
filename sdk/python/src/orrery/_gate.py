"""At most so many at once; the others wait in line."""
from __future__ import annotations

import asyncio
from collections import deque
from typing import Deque, Optional

from .errors import NOT_EXECUTED, DeadlineExceeded, Overloaded

WAITING_MAX = 100_000


class Gate:
    """First come, first served. Used on one event loop's thread."""

    def __init__(self, capacity: int, waiting_max: int = WAITING_MAX) -> None:
        self.capacity = capacity
        self.inside = 0
        self._waiting: Deque["asyncio.Future[None]"] = deque()
        self._waiting_max = waiting_max

    def try_enter(self) -> bool:
        """Whether there was a place, and nobody before us."""
        if self._waiting or self.inside >= self.capacity:
            return False
        self.inside += 1
        return True

    async def enter(self, seconds: Optional[float] = None) -> None:
        """Waits for a place. Raises :class:`Overloaded` where the line is too long, :class:`DeadlineExceeded` after ``seconds``."""
        if self.try_enter():
            return
        if len(self._waiting) >= self._waiting_max:
            raise Overloaded(f"{self._waiting_max} requests wait for their turn already", effect=NOT_EXECUTED)
        loop = asyncio.get_running_loop()
        turn: "asyncio.Future[None]" = loop.create_future()
        self._waiting.append(turn)
        timer = None if seconds is None else loop.call_later(seconds, self._expire, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled() and turn.exception() is None:  # let in and cancelled at the same time
                self.leave()
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def leave(self) -> None:
        self.inside -= 1
        self._admit()

    def resize(self, capacity: int) -> None:
        self.capacity = capacity
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.inside < self.capacity:
            turn = self._waiting.popleft()
            if not turn.done():  # else given up
                self.inside += 1
                turn.set_result(None)

    def _expire(self, turn: "asyncio.Future[None]") -> None:
        if not turn.done():
            text = f"{self.capacity} requests were under way, and none of them ended in time"
            turn.set_exception(DeadlineExceeded(text, effect=NOT_EXECUTED))
