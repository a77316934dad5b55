"""Handles one piece of work: from the sidecar's ``work`` to the app's ``done``. The same for live hosts and for the test kit."""
from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
import os
import traceback
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional

from . import _cbor, _patch
from ._context import Context, Runtime
from ._definition import Definition
from ._ends import Answer, Down
from ._handlers import Handler
from ._process import Process, lost_attributes
from ._trace import traceparent
from ._values import encode_value, well_formed
from .errors import UNKNOWN, OrreryError, Refused

log = logging.getLogger("orrery.host")

PATCH_FROM_BYTES = 1024
"""States smaller than this are sent whole: a patch would not pay for its making."""
CRASH_TEXT_MAX = 1000
_HERE = os.path.dirname(__file__)

current_work: ContextVar[Optional["Work"]] = ContextVar("orrery.work", default=None)
"""The work within which this code runs; calls made here go on its behalf."""


@dataclass(eq=False)
class Work:
    """A ``work`` frame, and whether somebody still wants it done."""

    id: int
    class_name: str
    key: str
    callback: str
    pid: str = ""
    method: str = ""
    argument: Any = None
    state: Any = None
    state_bytes: bytes = b""  #: as they came, to see whether a handler changed the state
    caller: Optional[int] = None
    trace: Optional[str] = None
    from_version: int = 0
    reason: Any = None
    source: str = ""  #: of an info: timer, message, reply or down
    connection: Any = None  #: the one that it came from and that waits for it
    cancelled: bool = False  #: nobody waits any more, but the sidecar is to hear when it ends
    abandoned: bool = False  #: nobody is to hear what comes of it

    @property
    def what(self) -> str:
        """For people: ``call add``, or ``init``."""
        return f"{self.callback} {self.method}" if self.method else self.callback

    @classmethod
    def of_frame(cls, frame: Mapping[str, Any], state_bytes: bytes, connection: Any = None) -> "Work":
        get = frame.get
        return cls(frame["work"], frame["class"], frame["key"], frame["callback"], get("pid", ""), get("method", ""), get("argument"),
                   get("state"), state_bytes, get("caller"), get("trace"), get("fromVersion", 0), get("reason"),
                   get("source") or "", connection)


class Done(NamedTuple):
    """Fields of a ``done`` frame, and in a word what became of the work."""

    fields: Dict[str, Any]
    outcome: str


async def handle(definition: Definition, work: Work, runtime: Runtime) -> Done:
    """Never raises but :class:`asyncio.CancelledError`: whatever a handler does ends as fields of a ``done``."""
    handler = definition.handler(work.callback, work.method)
    if handler is None:
        return _without_handler(work)
    context = Context(work, runtime)
    tokens = traceparent.set(work.trace), current_work.set(work)
    try:
        process = definition.owner(context)
        process.state = work.state if work.callback in ("init", "code_change") else process.load_state(work.state)
        reply = await _invoke(handler, process, _argument(work), runtime)
        _warn_of_lost_attributes(process, handler)
        return Done(_fields(process, context, reply), "ok")
    except Refused as refused:
        return _refused(work, refused)
    except Exception as problem:
        log.exception("%s/%s crashed in %s", work.class_name, work.key, work.what)
        return crash(_crash_text(problem))
    finally:
        context.close()
        traceparent.reset(tokens[0])
        current_work.reset(tokens[1])


def crash(text: str) -> Done:
    return Done({"crash": {"text": well_formed(text[:CRASH_TEXT_MAX])}}, "crash")


def given_up(work: Work) -> Done:
    """For work that its host ends while the connection stays. Its caller hears the truth, and the process keeps the state that it had."""
    text = "the app stopped hosting the class while it handled this"
    if work.callback == "call" and not work.cancelled:
        return Done({"error": {"code": "unavailable", "text": text, "effect": UNKNOWN}}, "cancelled")
    if work.callback in ("init", "code_change") and not work.cancelled:
        return crash(text)._replace(outcome="cancelled")  # without a state of this shape it cannot go on
    return Done({}, "cancelled")


def _without_handler(work: Work) -> Done:
    if work.callback in ("info", "continue", "terminate", "init", "code_change", "handoff"):
        log.debug("%s/%s has nothing for %s; dropped", work.class_name, work.key, work.what)
        return Done({}, "ok")
    return crash(f"this app has no {work.callback} {work.method!r} for class {work.class_name!r}")


_FROM_OTHERS: Dict[str, Callable[[Any], Any]] = {"reply": Answer.of, "down": Down.of}


def _argument(work: Work) -> Any:
    if work.callback == "init":
        return work.key
    if work.callback == "code_change":
        return work.from_version
    if work.source in _FROM_OTHERS:
        return _FROM_OTHERS[work.source](work.argument)
    return work.reason if work.callback == "terminate" else work.argument


async def _invoke(handler: Handler, process: Process[Any], argument: Any, runtime: Runtime) -> Any:
    args, kwargs = handler.arguments(argument)
    if handler.is_async:
        return await handler.function(process, *args, **kwargs)
    in_context = contextvars.copy_context().run
    call = functools.partial(in_context, _in_thread, handler.function, process, *args, **kwargs)
    future = asyncio.get_running_loop().run_in_executor(runtime.executor, call)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        if not future.done():
            await asyncio.wait([future])  # a thread cannot be stopped; its place is free when it is
        raise


def _in_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    except StopIteration as problem:  # which no future takes: who waits for it would wait for ever
        raise RuntimeError("the handler raised StopIteration").with_traceback(problem.__traceback__) from problem


def _fields(process: Process[Any], context: Context, reply: Any) -> Dict[str, Any]:
    work = context.work
    fields = {} if work.callback == "terminate" else _state_fields(process, context)
    if work.callback == "call":
        if not context.later:
            fields["reply"] = context.encode(reply, "reply")
        elif reply is None:
            fields["later"] = True
        else:
            raise RuntimeError("the handler left its caller waiting with reply_later(), and returned a reply as well")
    if context.effects:
        fields["effects"] = [effect.frame() for effect in context.effects]
    if context.next is not None:
        fields["next"] = context.next
    if context.stop is not None:
        fields["stop"] = context.stop
    return fields


def _state_fields(process: Process[Any], context: Context) -> Dict[str, Any]:
    """The new state, or a patch that makes it, or nothing where the handler left it as it was."""
    work = context.work
    data = process.state if work.callback == "code_change" else process.dump_state(process.state)
    after = context.encode(data, "state")
    if after.data == (work.state_bytes or _NULL):
        return {}
    if work.state_bytes and len(after) >= PATCH_FROM_BYTES:
        patch = _patch.diff(_cbor.loads(work.state_bytes), data)
        if patch is not None:
            if not patch:
                return {}
            encoded = encode_value(patch, "patch")
            if len(encoded) * 2 <= len(after):
                return {"patch": encoded}
    return {"state": after}


_NULL = _cbor.dumps(None)


def _refused(work: Work, refused: Refused) -> Done:
    if work.callback == "call":
        return Done({"error": {"code": refused.code, "text": well_formed(refused.text), "effect": refused.effect}}, "refused")
    if work.callback in ("init", "code_change"):
        return crash(str(refused))
    log.warning("%s/%s refused %s, which nobody waits for: %s", work.class_name, work.key, work.what, refused)
    return Done({}, "refused")


def _crash_text(problem: Exception) -> str:
    """What went wrong, and where in the app's own code."""
    kind, said = (problem.code, problem.text) if isinstance(problem, OrreryError) else (type(problem).__name__, str(problem))
    text = f"{kind}: {said}" if said else kind
    own = [frame for frame in traceback.extract_tb(problem.__traceback__) if os.path.dirname(frame.filename) != _HERE]
    if not own:
        return text
    where = own[-1]
    return f"{text[:CRASH_TEXT_MAX - 200]} ({os.path.basename(where.filename)}:{where.lineno} in {where.name})"


_warned: "set[tuple[type, str]]" = set()


def _warn_of_lost_attributes(process: Process[Any], handler: Handler) -> None:
    if len(vars(process)) <= 2:
        return
    for name in lost_attributes(process):
        if (type(process), name) not in _warned:
            _warned.add((type(process), name))
            log.warning("%s.%s set self.%s, which the next message does not find; keep it in self.state",
                        type(process).__qualname__, handler.function.__name__, name)
