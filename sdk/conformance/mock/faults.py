"""What a mock sidecar does wrong, or differently, while these are set."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional


@dataclass
class Faults:
    hello: str = "welcome"
    """``welcome``; ``silent``: no answer; ``goodbye``: with :attr:`goodbye`; ``http``: the answer of a web server; ``cut``."""
    goodbye: Dict[str, Any] = field(default_factory=lambda: {"code": "overloaded", "text": "too many connections"})
    version: int = 1
    features: List[str] = field(default_factory=lambda: ["events", "host", "processes", "trace"])
    limits: Dict[str, int] = field(default_factory=dict)
    keepalive_ms: int = 15000
    result_delay: float = 0.0
    """Seconds by which every result is late."""
    duplicate_results: bool = False
    unknown_fields: bool = False
    """Every frame has fields that this version does not know, nested ones too."""
    unknown_types: bool = False
    """Before every frame comes one of a type that this version does not know."""
    trickle: bool = False
    """Frames arrive a few bytes at a time."""
    cancel_calls: bool = False
    """Handlers of calls are out of time at once: their work and its cancel come in one read."""
    waiting_max: int = 10_000
    """Messages that wait for the credit of a client process."""
    deaf: bool = False
    """Nothing that arrives is looked at, not even pings."""
    cut_at: Optional[Dict[str, str]] = None
    """``{"type": "call", "when": "before" | "after" | "half"}``: ends the connection at the next such frame, before it is carried
    out, after it was but before its result, or within its result."""
