"""A hook for metrics. Subclass :class:`Metrics`, override what you count, and pass an instance as ``metrics=``.

The methods are called on the event loop's thread and must be quick; what they raise is logged and goes no further. Labels are
bounded by construction: operations, classes, methods and codes, never keys.
"""
from __future__ import annotations

import logging
from typing import Any, Callable

log = logging.getLogger("orrery.metrics")


class Metrics:
    """Counts nothing. With ``prometheus_client``, ``requested`` is a counter and a histogram in two lines."""

    def connected(self, node: str) -> None:
        """A connection to the sidecar stands."""

    def disconnected(self, reason: str) -> None:
        """It was lost, or closed (``reason`` is a text for people)."""

    def requested(self, operation: str, class_name: str, method: str, code: str, seconds: float) -> None:
        """A request of ours ended. ``operation`` is ``call``, ``cast``, ``inspect``...; ``code`` is ``ok`` or the error's."""

    def handled(self, class_name: str, callback: str, method: str, outcome: str, seconds: float) -> None:
        """A hosted process handled something. ``outcome`` is ``ok``, ``refused``, ``crash`` or ``cancelled``."""


class Guarded(Metrics):
    """Passes on to the user's metrics, and keeps what they raise from the requests that they count."""

    def __init__(self, inner: Metrics) -> None:
        for name in ("connected", "disconnected", "requested", "handled"):
            setattr(self, name, _guarded(getattr(inner, name)))


def _guarded(report: Callable[..., None]) -> Callable[..., None]:
    def call(*arguments: Any) -> None:
        try:
            report(*arguments)
        except Exception:
            log.exception("a metrics hook failed")

    return call
