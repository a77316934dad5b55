"""How processes end, and how those who care hear of it."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, NamedTuple, Optional

from ._names import is_pid
from .errors import UNKNOWN, OrreryError, error_for


class Reason(NamedTuple):
    """Why a process ended. ``kind`` is ``normal``, ``shutdown``, ``error``, ``limit``, ``killed``, ``moved``, ``noproc`` (there was none),
    ``noconnection`` (its node, or the connection to the sidecar, was lost) or ``system_limit``; ``text`` is for people."""

    kind: str
    text: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}" if self.text else self.kind

    @classmethod
    def of(cls, fields: "Optional[Mapping[str, Any]]") -> "Reason":
        fields = fields or {}
        return cls(fields.get("kind", "error"), fields.get("text", ""))

    def fields(self) -> Dict[str, str]:
        return {"kind": self.kind, "text": self.text}


NORMAL = Reason("normal")


def pid_or_none(text: str) -> Optional[str]:
    """None for a name, which says that none ran there."""
    return text if is_pid(text) else None


@dataclass(frozen=True)
class Down:
    """A process that was monitored has ended, or was not there."""

    pid: Optional[str]  #: None for a name under which none ran, and where only the connection was lost
    reason: Reason
    monitor: int = 0  #: the number that :meth:`ClientProcess.monitor` gave

    @classmethod
    def of(cls, fields: "Optional[Mapping[str, Any]]") -> "Down":
        """As a hosted process hears of it."""
        fields = fields or {}
        return cls(pid_or_none(fields.get("pid") or ""), Reason.of(fields.get("reason")))


@dataclass(frozen=True)
class Answer:
    """What became of a :meth:`Process.request`: a value, or an error."""

    value: Any = None
    error: Optional[OrreryError] = None

    def result(self) -> Any:
        """The value. Raises the error where there is one."""
        if self.error is not None:
            raise self.error
        return self.value

    @classmethod
    def of(cls, fields: "Optional[Mapping[str, Any]]") -> "Answer":
        fields = fields or {}
        error = fields.get("error")
        if error is None:
            return cls(fields.get("ok"))
        return cls(None, error_for(error.get("code", "internal"), error.get("text", ""), error.get("effect", UNKNOWN)))


class ExitSignal(OrreryError):
    """Raised by :meth:`Client.link`: the process has ended (``code`` is ``process_exited``), or the connection was lost and nobody can tell
    (``cancelled``), and so the task was cancelled."""

    stands_for = "process_exited"

    def __init__(self, pid: str, reason: Reason, to: str = "") -> None:
        lost = reason.kind == "noconnection"
        who = to if not pid or pid == to else f"{to} ({pid})" if to else pid
        text = f"the link with {who} was lost, {reason}" if lost else f"the linked process {who} ended, {reason}"
        super().__init__(text, effect=UNKNOWN, code="cancelled" if lost else "")
        self.pid = pid  #: empty where it is not known
        self.reason = reason
        self.to = to  #: what was linked, as it was named

    def __reduce__(self) -> Any:
        return type(self), (self.pid, self.reason, self.to)
