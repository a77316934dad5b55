"""What a `done` changes: the state, and the effects."""
from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Dict, Tuple

from orrery import _cbor, _patch

from .kernel import check_group, check_word, name_in
from .model import Asked, ClassSpec, Message, Process, Reason, Wrong, error

if TYPE_CHECKING:
    from .mesh import Mesh


EFFECTS = ("cast", "timer", "cancelTimer", "reply", "send", "publish", "join", "leave", "call", "monitor", "demonitor")


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
    elif "send" in effect:
        send = effect["send"]
        mesh.kernel.plain(mesh.kernel.pid_of(send["to"]), send["word"], send.get("argument"), process.pid)
    elif "publish" in effect:
        publish = effect["publish"]
        mesh.kernel.publish(publish["group"], publish["word"], publish.get("argument"), process.pid)
    elif "join" in effect:
        mesh.kernel.join(process.pid, effect["join"])
    elif "leave" in effect:
        mesh.kernel.leave(process.pid, effect["leave"])
    elif "call" in effect:
        _call(mesh, process, effect["call"])
    elif "monitor" in effect:
        _monitor(mesh, process, effect["monitor"])
    elif "demonitor" in effect:
        _demonitor(mesh, process, effect["demonitor"])


def check_effect(effect: Any) -> None:
    """Raises :class:`Wrong` for one that cannot be carried out."""
    if not isinstance(effect, dict) or len(effect) != 1 or next(iter(effect)) not in EFFECTS:
        raise Wrong(error("invalid_argument", f"an effect that is not known: {effect!r}", "unknown"))
    kind, what = next(iter(effect.items()))
    if kind in ("send", "publish"):
        check_word(what.get("word"))
    if kind in ("send", "call", "monitor"):
        name_in(what.get("to"))
    if kind in ("join", "leave", "publish"):
        check_group(what if kind != "publish" else what.get("group"))


def _call(mesh: "Mesh", process: Process, call: Dict[str, Any]) -> None:
    name = call["name"]

    def answer(ok: Any, problem: Any = None) -> None:
        if process.asking.get(name) is asked:
            del process.asking[name]
            _inform(mesh, process, name, "reply", {"error": problem} if problem else {"ok": ok})

    asked = process.asking[name] = Asked(answer)
    mesh.call_to(call["to"], Message("call", call["method"], call.get("argument"), asked), call.get("timeoutMs", 5000) / 1000)


def _monitor(mesh: "Mesh", process: Process, monitor: Dict[str, Any]) -> None:
    name = monitor["name"]
    _demonitor(mesh, process, name)

    def down(pid: str, reason: Reason) -> None:
        process.watching.pop(name, None)
        _inform(mesh, process, name, "down", {"pid": pid, "reason": reason})

    watched = mesh.kernel.monitor(process.pid, mesh.kernel.pid_of(monitor["to"]), down)
    if watched in mesh.kernel.monitors:
        process.watching[name] = watched


def _demonitor(mesh: "Mesh", process: Process, name: str) -> None:
    mesh.kernel.demonitor(process.watching.pop(name, None))
    for message in [m for m in process.mailbox if m.source == "down" and m.method == name]:
        process.mailbox.remove(message)


def _inform(mesh: "Mesh", process: Process, name: str, source: str, argument: Any) -> None:
    process.mailbox.append(Message("info", name, argument, source=source))
    mesh.pump(process)


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
