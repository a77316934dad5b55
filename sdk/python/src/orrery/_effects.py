"""What a handler asks for beside its reply. The sidecar carries effects out, in order, once the handler has ended well."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Optional, Union

from ._cbor import Encoded
from ._names import Name

EFFECTS_MAX = 1000
NAME_BYTES_MAX = 128


def check_name(name: str, what: str) -> str:
    """Raises :class:`ValueError` for what no timer, request or monitor is called."""
    if not isinstance(name, str):
        raise TypeError(f"a {what}'s name is a text, not {type(name).__name__}")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise ValueError(f"a {what}'s name {name!r} is no valid Unicode") from None
    if not 1 <= size <= NAME_BYTES_MAX:
        raise ValueError(f"a {what}'s name has 1 to {NAME_BYTES_MAX} bytes, not {size}")
    return name


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


@dataclass(frozen=True)
class Send:
    to: str
    word: str
    argument: Encoded

    def frame(self) -> Dict[str, Any]:
        return {"send": {"to": self.to, "word": self.word, "argument": self.argument}}


@dataclass(frozen=True)
class Publish:
    group: str
    word: str
    argument: Encoded

    def frame(self) -> Dict[str, Any]:
        return {"publish": {"group": self.group, "word": self.word, "argument": self.argument}}


@dataclass(frozen=True)
class Join:
    group: str

    def frame(self) -> Dict[str, Any]:
        return {"join": self.group}


@dataclass(frozen=True)
class Leave:
    group: str

    def frame(self) -> Dict[str, Any]:
        return {"leave": self.group}


@dataclass(frozen=True)
class Request:
    """A call whose answer comes as an info of that name."""

    name: str
    to: str
    method: str
    argument: Encoded
    timeout_ms: Optional[int] = None  #: None: the sidecar's default

    def frame(self) -> Dict[str, Any]:
        fields: Dict[str, Any] = {"name": self.name, "to": self.to, "method": self.method, "argument": self.argument}
        if self.timeout_ms is not None:
            fields["timeoutMs"] = self.timeout_ms
        return {"call": fields}


@dataclass(frozen=True)
class Monitor:
    name: str
    to: str

    def frame(self) -> Dict[str, Any]:
        return {"monitor": {"name": self.name, "to": self.to}}


@dataclass(frozen=True)
class Demonitor:
    name: str

    def frame(self) -> Dict[str, Any]:
        return {"demonitor": self.name}


Effect = Union[Cast, Timer, CancelTimer, Reply, Send, Publish, Join, Leave, Request, Monitor, Demonitor]
