"""W3C trace context, passed through: what comes with a message goes along with the calls made while it is handled."""
from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Optional

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")

traceparent: ContextVar[Optional[str]] = ContextVar("orrery.traceparent", default=None)
"""The ``traceparent`` of the work at hand. Set it around calls to join them to a trace of yours; a hosted handler finds it set."""


def is_traceparent(text: str) -> bool:
    return _TRACEPARENT.fullmatch(text) is not None and not text.startswith("ff")
