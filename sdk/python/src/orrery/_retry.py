"""Asking again, where that is safe."""
from __future__ import annotations

from dataclasses import dataclass
from typing import FrozenSet

from ._backoff import Backoff
from .errors import NOT_EXECUTED, OrreryError


@dataclass(frozen=True)
class Retry:
    """Asks again after errors that say ``not_executed`` and that time may heal. Nothing that may have taken effect is asked twice.

    ``attempts`` counts the first try; pauses double from ``first_pause`` to ``most_pause`` seconds. The request's ``timeout`` holds
    for all tries together.
    """

    attempts: int = 5
    first_pause: float = 0.05
    most_pause: float = 2.0
    codes: FrozenSet[str] = frozenset({"unavailable", "overloaded", "draining", "isolated"})

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts is {self.attempts}; it counts the first try and is at least 1")

    def heals(self, error: OrreryError) -> bool:
        return error.effect == NOT_EXECUTED and error.code in self.codes

    def backoff(self) -> Backoff:
        return Backoff(self.first_pause, self.most_pause)
