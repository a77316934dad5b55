"""What a `done` changes: the state, and the effects."""
from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Dict, Tuple

from orrery import _cbor, _patch

from .model import ClassSpec, Error, Message, Process, error

if TYPE_CHECKING:
    from .mesh import Mesh


class Wrong(Exception):
    """A `done` that cannot be taken."""

    def __init__(self, problem: Error) -> None:
        super().__init__(problem["text"])
        self.problem = problem


def new_state(process: Process, frame: Dict[str, Any], spec: ClassSpec) -> Tuple[bool, Any]:
    """Whether the state changes, and what to."""
    if "patch" in frame:
        state = _patch.apply(process.state, frame["patch"])
    elif "state" in frame:
        state = frame["state"]
    else:
        return False, None
    size = len(_cbor.dumps(state, depth_max=80))
    if size > spec.state_bytes:
        raise Wrong(error("limit_exceeded", f"its state would have {size} bytes; {spec.state_bytes} are allowed", "unknown"))
    return True, state


def carry_out(mesh: "Mesh", process: Process, effect: Dict[str, Any]) -> None:
    if "cast" in effect:
        cast = effect["cast"]
        mesh.cast((cast["class"], cast["key"]), Message("cast", cast["method"], cast.get("argument")))
    elif "timer" in effect:
        _set_timer(mesh, process, effect["timer"])
    elif "cancelTimer" in effect:
        _cancel_timer(process, effect["cancelTimer"])
    elif "reply" in effect:
        _reply(process, effect["reply"])


def _set_timer(mesh: "Mesh", process: Process, timer: Dict[str, Any]) -> None:
    name = timer["name"]
    _cancel_timer(process, name)

    def fire() -> None:
        process.timers.pop(name, None)
        process.mailbox.append(Message("info", name, timer.get("argument"), source="timer"))
        mesh.pump(process)

    process.timers[name] = asyncio.get_running_loop().call_later(timer["afterMs"] / 1000, fire)


def _cancel_timer(process: Process, name: str) -> None:
    if name in process.timers:
        process.timers.pop(name).cancel()
    for message in [m for m in process.mailbox if m.source == "timer" and m.method == name]:
        process.mailbox.remove(message)


def _reply(process: Process, reply: Dict[str, Any]) -> None:
    asked = process.kept.pop(reply["to"], None)
    if asked is None:
        return
    if reply.get("error") is not None:
        asked.settle(None, {"code": "handler_failed", "text": "", "effect": "executed", **reply["error"]})
    else:
        asked.settle(reply.get("reply"))
