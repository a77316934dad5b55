"""The requests of one connection that wait for their results."""
from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Dict, Optional

from ._frames import Frame
from .errors import UNKNOWN, DeadlineExceeded, Unavailable, error_for


@dataclass
class _Request:
    future: "asyncio.Future[Any]"
    effect_if_lost: str
    timer: Optional[asyncio.TimerHandle] = None

    def end(self) -> bool:
        """Whether somebody still waits for it."""
        if self.timer is not None:
            self.timer.cancel()
        return not self.future.done()


class Requests:
    """By id. Each future ends exactly once: with the result, an :class:`OrreryError`, or the loss of the connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._open: Dict[int, _Request] = {}

    def __len__(self) -> int:
        return len(self._open)

    def add(self, number: int, effect_if_lost: str) -> "asyncio.Future[Any]":
        """``effect_if_lost`` is what an error says that is not the sidecar's own: whether the request may have been carried out."""
        request = _Request(self._loop.create_future(), effect_if_lost)
        self._open[number] = request
        return request.future

    def limit(self, number: int, seconds: float) -> None:
        """Ends the request with ``deadline_exceeded`` where the sidecar, which keeps deadlines itself, has not answered by then."""
        self._open[number].timer = self._loop.call_later(seconds, self._overdue, number)

    def take_result(self, frame: Frame) -> None:
        request = self._open.pop(frame.get("id", 0), None)
        if request is None or not request.end():
            return  # given up, or answered already
        error = frame.get("error")
        if error is None:
            request.future.set_result(frame.get("ok"))
        else:
            request.future.set_exception(error_for(error.get("code", "internal"), error.get("text", ""), error.get("effect", UNKNOWN)))

    def drop(self, number: int) -> bool:
        """Nobody waits for it any more. Whether it was open."""
        request = self._open.pop(number, None)
        if request is not None:
            request.end()
        return request is not None

    def lose_all(self, reason: str) -> None:
        lost, self._open = self._open, {}
        for request in lost.values():
            if request.end():
                text = f"the connection to the sidecar ended before the answer came: {reason}"
                request.future.set_exception(Unavailable(text, effect=request.effect_if_lost))

    def _overdue(self, number: int) -> None:
        request = self._open[number]
        if not request.future.done():
            request.future.set_exception(DeadlineExceeded("the sidecar did not answer in time", effect=request.effect_if_lost))
