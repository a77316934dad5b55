"""A clock for tests."""
from __future__ import annotations

import heapq
import itertools
from typing import Callable, List, Optional, Tuple


class Alarm:
    """Something that happens at a time, unless cancelled."""

    def __init__(self, at: float, action: Callable[[], None]) -> None:
        self.at = at
        self.action: Optional[Callable[[], None]] = action

    def cancel(self) -> None:
        self.action = None


class Clock:
    """Seconds since the test began."""

    def __init__(self) -> None:
        self.now = 0.0
        self._alarms: List[Tuple[float, int, Alarm]] = []
        self._order = itertools.count()

    def at(self, seconds_ahead: float, action: Callable[[], None]) -> Alarm:
        alarm = Alarm(self.now + seconds_ahead, action)
        heapq.heappush(self._alarms, (alarm.at, next(self._order), alarm))
        return alarm

    def fire_next(self, until: float) -> bool:
        """Moves to the next alarm and does it. False where none is due until then: the clock is there now."""
        while self._alarms and self._alarms[0][0] <= until:
            at, _, alarm = heapq.heappop(self._alarms)
            if alarm.action is not None:
                self.now = at
                alarm.action()
                return True
        self.now = until
        return False
