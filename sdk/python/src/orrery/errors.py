"""What a request can end with, beside its result.

Every error says what it means for the state of the mesh, in :attr:`OrreryError.effect`:

- ``not_executed``: nothing was done; asking again is safe.
- ``executed``: it was done, and this error is its outcome.
- ``unknown``: it may have been done or not; look before asking again.
"""
from __future__ import annotations

from typing import Any, ClassVar, Dict, Optional, Type

NOT_EXECUTED = "not_executed"
EXECUTED = "executed"
UNKNOWN = "unknown"
EFFECTS = (NOT_EXECUTED, EXECUTED, UNKNOWN)


class OrreryError(Exception):
    """The base of all that requests end with. ``code`` is stable, ``text`` is for people."""

    #: The code that a subclass stands for; errors with a code that has no subclass are plain ``OrreryError``.
    stands_for: ClassVar[str] = "internal"

    def __init__(self, text: str, *, effect: str = UNKNOWN, code: str = "") -> None:
        super().__init__(text)
        self.code = code or self.stands_for
        self.text = text
        self.effect = effect

    def __str__(self) -> str:
        return f"{self.code}: {self.text} [{self.effect}]"

    def __reduce__(self) -> Any:
        return _rebuild, (type(self), self.text, self.effect, self.code)


class InvalidArgument(OrreryError, ValueError):
    """The request is malformed, or the process does not take such an argument."""

    stands_for = "invalid_argument"


class NotFound(OrreryError, LookupError):
    """No such class, method or process."""

    stands_for = "not_found"


class Conflict(OrreryError):
    """What is there does not go together with the request."""

    stands_for = "conflict"


class AlreadyExists(OrreryError):
    stands_for = "already_exists"


class TooLarge(OrreryError, ValueError):
    """A value or a frame is over its limit."""

    stands_for = "too_large"


class Overloaded(OrreryError):
    """A queue is full: the process' mailbox, or the sidecar's table of requests. Ask again later."""

    stands_for = "overloaded"


class Unauthenticated(OrreryError):
    stands_for = "unauthenticated"


class Forbidden(OrreryError):
    stands_for = "forbidden"


class ProcessExited(OrreryError):
    """The process crashed, was killed or stopped while it had the message."""

    stands_for = "process_exited"


class HandlerFailed(OrreryError):
    """The handler answered with an error, and the process lives on."""

    stands_for = "handler_failed"


class LimitExceeded(OrreryError):
    """The process ran over a limit of its class (time, memory, size of its state) and was ended."""

    stands_for = "limit_exceeded"


class Unavailable(OrreryError):
    """Nothing there can answer: no connection to the sidecar, or no app that hosts the class."""

    stands_for = "unavailable"


class Draining(OrreryError):
    stands_for = "draining"


class Isolated(OrreryError):
    """The node does not reach the majority of its mesh and takes no requests."""

    stands_for = "isolated"


class GivenUp(OrreryError):
    """The process crashed more often than its class allows; it is refused until it has cooled down or is released."""

    stands_for = "given_up"


class DeadlineExceeded(OrreryError, TimeoutError):
    stands_for = "deadline_exceeded"


class Cancelled(OrreryError):
    stands_for = "cancelled"


class Gone(OrreryError):
    stands_for = "gone"


class ProtocolError(OrreryError):
    """The two sides do not understand each other: another version of the protocol, or not a sidecar at all."""

    stands_for = "protocol"


class Refused(Exception):
    """Raised by a handler: its caller gets this error, and the process lives on as it was before the message.

    Changes to ``self.state`` and effects of that message are dropped. ``effect`` need only be given where the handler had done something
    elsewhere that cannot be taken back; without it, it is ``not_executed`` where it is raised, and ``executed`` where a later message
    refuses: what the earlier one did to the state stays.

    ``code`` is one of the protocol's, by default ``handler_failed``. Another is a :class:`ValueError` here, which crashes the process as any
    exception does; what is your own to say is for the text. The codes: ``already_exists``, ``cancelled``, ``conflict``, ``deadline_exceeded``,
    ``draining``, ``forbidden``, ``given_up``, ``gone``, ``handler_failed``, ``internal``, ``invalid_argument``, ``io``, ``isolated``,
    ``limit_exceeded``, ``not_found``, ``overloaded``, ``process_exited``, ``protocol``, ``too_large``, ``unauthenticated``, ``unavailable``.
    """

    def __init__(self, code: str = "handler_failed", text: str = "", *, effect: Optional[str] = None) -> None:
        if code not in CODES:
            raise ValueError(f"{code!r} is no code; use one of {', '.join(sorted(CODES))}, and say in the text what is your own")
        if effect is not None and effect not in EFFECTS:
            raise ValueError(f"effect is one of {', '.join(EFFECTS)}, not {effect!r}")
        super().__init__(code, text)
        self.code = code
        self.text = text or code
        self.said_effect = effect  #: None where it was not said
        self.effect = NOT_EXECUTED if effect is None else effect

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


CODES = frozenset({kind.stands_for for kind in OrreryError.__subclasses__()} | {"internal", "io"})
"""Every code of the protocol."""

_BY_CODE: Dict[str, Type[OrreryError]] = {kind.stands_for: kind for kind in OrreryError.__subclasses__()}


def error_for(code: str, text: str, effect: str = UNKNOWN) -> OrreryError:
    """The error of a result frame. Codes that this version does not know are plain :class:`OrreryError`."""
    if effect not in EFFECTS:
        effect = UNKNOWN
    return _BY_CODE.get(code, OrreryError)(text, effect=effect, code=code)


def _rebuild(kind: Type[OrreryError], text: str, effect: str, code: str) -> OrreryError:
    return kind(text, effect=effect, code=code)
