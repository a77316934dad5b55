"""What a handler asks for beside its reply. The sidecar carries effects out, in order, once the handler has ended well."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Optional, Union

from ._cbor import Encoded
from ._names import Name

EFFECTS_MAX = 1000
TIMER_NAME_BYTES_MAX = 128


def check_timer_name(name: str) -> None:
    """Raises :class:`ValueError` for what no timer is called."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise ValueError(f"a timer's name {name!r} is no valid Unicode") from None
    if not 1 <= size <= TIMER_NAME_BYTES_MAX:
        raise ValueError(f"a timer's name has 1 to {TIMER_NAME_BYTES_MAX} bytes, not {size}")


@dataclass(frozen=True)
class Cast:
    to: Name
    method: str
    argument: Encoded

    def frame(self) -> Dict[str, Any]:
        return {"cast": {"class": self.to.class_name, "key": self.to.key, "method": self.method, "argument": self.argument}}


@dataclass(frozen=True)
class Timer:
    name: str
    after_ms: int
    argument: Encoded

    def frame(self) -> Dict[str, Any]:
        return {"timer": {"name": self.name, "afterMs": self.after_ms, "argument": self.argument}}


@dataclass(frozen=True)
class CancelTimer:
    name: str

    def frame(self) -> Dict[str, Any]:
        return {"cancelTimer": self.name}


@dataclass(frozen=True)
class Reply:
    """An answer to a caller whom an earlier message left waiting: a value, or an error."""

    to: int
    value: Optional[Encoded] = None
    error: Optional[Dict[str, Any]] = None

    def frame(self) -> Dict[str, Any]:
        if self.error is not None:
            return {"reply": {"to": self.to, "error": self.error}}
        return {"reply": {"to": self.to, "reply": self.value}}


Effect = Union[Cast, Timer, CancelTimer, Reply]
