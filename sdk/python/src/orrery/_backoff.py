"""Pauses between tries, which grow and are never the same for two clients."""
from __future__ import annotations

import random
from typing import Callable


class Backoff:
    """Doubles from ``first`` to ``most`` seconds; each pause is a random part, at least half, of that."""

    def __init__(self, first: float = 0.05, most: float = 2.0, draw: Callable[[], float] = random.random) -> None:
        self._first = first
        self._most = most
        self._draw = draw
        self._bound = first

    def next(self) -> float:
        pause = self._bound * (0.5 + self._draw() / 2)
        self._bound = min(self._bound * 2, self._most)
        return pause

    def reset(self) -> None:
        self._bound = self._first
