"""Apps that host classes: who gets which work, and what their answers do."""
from __future__ import annotations

import asyncio
import copy
import itertools
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from orrery import _cbor

from .answers import carry_out, check_effect, new_state
from .model import ClassSpec, Error, Message, Process, Registration, Work, Wrong, error

if TYPE_CHECKING:
    from .mesh import Mesh


class Apps:
    def __init__(self, mesh: "Mesh") -> None:
        self.mesh = mesh
        self.registrations: List[Registration] = []
        self.works: Dict[int, Work] = {}
        self._numbers = itertools.count(1)
        self._missing: Dict[str, asyncio.TimerHandle] = {}
        self._given_up: "set[str]" = set()
        self._drains: List[Tuple[Any, Optional[str], Any]] = []

    # ---- registrations ----

    def state_of(self, class_name: str) -> Dict[str, Any]:
        spec = self.mesh.classes.get(class_name)
        if spec is None:
            return {"state": "undeclared"}
        return {"state": "ready", "classVersion": spec.version} if spec.behaviour == "app" else {"state": "other"}

    def register(self, registration: Registration) -> Optional[Error]:
        if any(r.connection is registration.connection and r.class_name == registration.class_name for r in self.registrations):
            return error("already_exists", f"class {registration.class_name!r} is registered on this connection already")
        if self.state_of(registration.class_name)["state"] == "other":
            return error("conflict", f"class {registration.class_name!r} is not app-hosted")
        self.registrations.append(registration)
        self._given_up.discard(registration.class_name)
        if registration.class_name in self._missing:
            self._missing.pop(registration.class_name).cancel()
        self._pump_class(registration.class_name)
        return None

    def class_changed(self, class_name: str) -> None:
        for registration in self.registrations:
            if registration.class_name == class_name:
                registration.connection.send({"type": "class", "class": class_name, **self.state_of(class_name)})
        self._pump_class(class_name)

    def hosting(self, class_name: str) -> List[Registration]:
        """Those that get work: not draining, of the highest state version."""
        able = [r for r in self.registrations if r.class_name == class_name and not r.draining]
        newest = max((r.state_version for r in able), default=0)
        return [r for r in able if r.state_version == newest]

    def drain(self, connection: Any, only: Optional[str], answer: Any) -> None:
        for registration in self.registrations:
            if registration.connection is connection and only in (None, registration.class_name):
                registration.draining = True
        self._drains.append((connection, only, answer))
        self._check_drained()
        for class_name in list(self.mesh.classes):
            self._pump_class(class_name)

    def _check_drained(self) -> None:
        for drain in list(self._drains):
            connection, only, answer = drain
            concerned = [r for r in self.registrations if r.connection is connection and only in (None, r.class_name)]
            if not any(r.busy for r in concerned):
                self._drains.remove(drain)
                self.registrations = [r for r in self.registrations if r not in concerned]
                answer({})

    def gone(self, connection: Any, why: str) -> None:
        """Its processes exit, none other; the class waits for another app."""
        lost = [work for work in self.works.values() if work.registration.connection is connection]
        classes = {r.class_name for r in self.registrations if r.connection is connection}
        self.registrations = [r for r in self.registrations if r.connection is not connection]
        self._drains = [drain for drain in self._drains if drain[0] is not connection]
        for work in lost:
            self._lose(work, why)
        for class_name in classes:
            self._pump_class(class_name)

    def _lose(self, work: Work, why: str) -> None:
        process, message = work.process, work.message
        self._end(work)
        if process.at_work is not work:
            return
        process.at_work = None
        starting = message.callback == "init"
        for waiting in list(process.mailbox) if starting else []:
            if waiting.asked:
                waiting.asked.settle(None, error("unavailable", f"the app went away while {process} started"))
        if message.asked:
            message.asked.settle(None, error("unavailable", f"the app that handled it went away: {why}", "unknown"))
        self.mesh.exit(process, f"noconnection: {why}", counts=False)

    # ---- handing over ----

    def refusal(self, spec: ClassSpec, message: Message) -> Optional[Error]:
        hosting = self.hosting(spec.name)
        if not hosting:
            if spec.name in self._given_up and message.callback in ("call", "start"):
                return error("unavailable", f"no app hosts class {spec.name!r}")
            self._miss(spec)
            return None
        if message.callback == "start":
            return None
        kind = "calls" if message.callback == "call" else "casts"
        known = sorted({name for r in hosting for name in getattr(r, kind)})
        if message.method not in known:
            text = f"class {spec.name!r} has no method {message.method!r} for a {message.callback}; it has: {', '.join(known)}"
            return error("not_found", text)
        return None

    def _miss(self, spec: ClassSpec) -> None:
        if spec.name not in self._missing and spec.name not in self._given_up:
            loop = asyncio.get_running_loop()
            self._missing[spec.name] = loop.call_later(spec.wait_for_app, self._give_up_on, spec.name)

    def _give_up_on(self, class_name: str) -> None:
        self._missing.pop(class_name, None)
        self._given_up.add(class_name)
        for process in list(self.mesh.processes.values()):
            if process.class_name == class_name:
                for message in [m for m in process.mailbox if m.asked]:
                    process.mailbox.remove(message)
                    message.asked.settle(None, error("unavailable", f"no app hosts class {class_name!r}"))  # type: ignore[union-attr]

    def _pump_class(self, class_name: str) -> None:
        for process in list(self.mesh.processes.values()):
            if process.class_name == class_name:
                self.mesh.pump(process)

    def pump(self, process: Process, spec: ClassSpec) -> None:
        while process.at_work is None and (process.ahead or process.mailbox or process.restarting):
            hosting = self.hosting(spec.name)
            if not hosting:
                self._miss(spec)
                return
            free = [r for r in hosting if r.busy < r.concurrency]
            if not free:
                return
            registration = min(free, key=lambda r: r.busy)
            message = self._next(process, registration)
            if message is not None:
                self._hand_over(process, message, registration, spec)

    def _next(self, process: Process, registration: Registration) -> Optional[Message]:
        """What comes first; None where it needs no app."""
        if not process.begun:
            process.restarting = False
            if "init" in registration.callbacks:
                return Message("init", argument=process.argument)
            process.begun, process.state_version = True, registration.state_version
            return None
        if process.state_version != registration.state_version:
            if "code_change" in registration.callbacks:
                return Message("code_change")
            process.state_version = registration.state_version
        queue = process.ahead or process.mailbox
        message = queue.popleft()
        if message.callback == "start":
            assert message.asked is not None
            message.asked.settle({"pid": process.pid})
            return None
        if message.callback in ("info", "continue", "handoff") and message.callback not in registration.callbacks:
            return None
        return message

    def _hand_over(self, process: Process, message: Message, registration: Registration, spec: ClassSpec) -> None:
        work = Work(next(self._numbers), process, message, registration)
        frame: Dict[str, Any] = {"type": "work", "work": work.id, "class": process.class_name, "key": process.key, "pid": process.pid,
                                 "callback": message.callback, "classVersion": spec.version, "timeoutMs": round(spec.handler_timeout * 1000)}
        if message.callback != "init":
            frame.update(state=process.state, stateVersion=process.state_version)
        if message.callback in ("call", "cast", "info", "continue") or message.argument is not None and message.callback == "init":
            frame["argument"] = message.argument
        if message.method:
            frame["method"] = message.method
        if message.source:
            frame["source"] = message.source
        if message.trace:
            frame["trace"] = message.trace
        if message.callback == "terminate":
            frame["reason"] = message.argument
        if message.callback == "code_change":
            frame["fromVersion"] = process.state_version
        if message.asked:
            message.asked.begun = True
            frame["caller"] = work.caller = next(process.callers)
        process.at_work = work
        registration.busy += 1
        self.works[work.id] = work
        work.timer = asyncio.get_running_loop().call_later(spec.handler_timeout, self._overdue, work)
        registration.connection.send(frame)
        if registration.connection.faults.cancel_calls and message.callback == "call":
            self._overdue(work)

    def say_farewell(self, process: Process, reason: Dict[str, str]) -> None:
        for registration in self.hosting(process.class_name):
            if "terminate" in registration.callbacks and process.begun:
                spec = self.mesh.classes[process.class_name]
                self._hand_over(copy.copy(process), Message("terminate", argument=reason), registration, spec)
                return

    # ---- taking back ----

    def is_handled_by(self, number: int, name: Tuple[str, str], connection: Any) -> bool:
        work = self.works.get(number)
        return work is not None and work.registration.connection is connection and work.process.name == name

    def forget(self, process: Process) -> None:
        """The process has ended: its work is for nobody."""
        if process.at_work is not None:
            self.cancel(process.at_work, "its process has ended")

    def cancel(self, work: Work, text: str) -> None:
        if work.wanted:
            work.wanted = False
            work.registration.connection.send({"type": "cancel", "work": work.id, "text": text})

    def _overdue(self, work: Work) -> None:
        if work.id not in self.works or not work.wanted:
            return
        self.cancel(work, "it ran over its time")
        if work.message.asked:
            text = f"{work.process} did not answer within its class' handler timeout"
            work.message.asked.settle(None, error("limit_exceeded", text, "unknown"))
        self.mesh.exit(work.process, "limit: handler timeout")

    def _end(self, work: Work) -> None:
        self.works.pop(work.id, None)
        if work.timer is not None:
            work.timer.cancel()
        work.registration.busy -= 1

    def done(self, connection: Any, frame: Dict[str, Any]) -> None:
        work = self.works.get(frame.get("work", 0))
        if work is None or work.registration.connection is not connection:
            return
        self._end(work)
        if work.wanted and work.message.callback == "terminate":
            self._farewell_said(work, frame)
        elif work.wanted and work.process.at_work is work:
            work.process.at_work = None
            self._finish(work, frame)
        self._pump_class(work.registration.class_name)
        self._check_drained()

    def _farewell_said(self, work: Work, frame: Dict[str, Any]) -> None:
        for effect in frame.get("effects") or []:
            carry_out(self.mesh, work.process, effect)

    def _finish(self, work: Work, frame: Dict[str, Any]) -> None:
        process, message, spec = work.process, work.message, self.mesh.classes[work.process.class_name]
        crash = frame.get("crash")
        if crash is not None:
            self._crash(work, f"error: {crash.get('text', '')}", error("process_exited", "", "unknown"))
            return
        try:
            changed, state = new_state(process, frame, spec)
            self._check(frame)
        except Wrong as wrong:
            work.registration.connection.send({"type": "refused", "work": work.id, "error": wrong.problem})
            self._crash(work, f"limit: {wrong.problem['text']}", {**wrong.problem, "effect": "unknown"})
            return
        if changed:
            process.state = state
        process.state_version = work.registration.state_version
        process.handled += 1
        process.begun = True
        self._answer(work, frame, changed)
        for effect in frame.get("effects") or []:
            carry_out(self.mesh, process, effect)
        if "next" in frame:
            process.ahead.append(Message("continue", argument=frame.get("next")))
        if frame.get("stop") is not None:
            stop = {"kind": "normal", "text": "", **frame["stop"]}
            self.stop(process, stop)

    def stop(self, process: Process, reason: Dict[str, str]) -> None:
        """In order: it exits, and its app hears of it."""
        self.mesh.exit(process, f"{reason['kind']}: {reason['text']}", restart=False)
        self.say_farewell(process, reason)

    def _check(self, frame: Dict[str, Any]) -> None:
        for key in ("reply", "next"):
            size = len(_cbor.dumps(frame.get(key)))
            if size > 1024 * 1024:
                raise Wrong(error("limit_exceeded", f"the {key} has {size} bytes; 1048576 are allowed", "unknown"))
        for effect in frame.get("effects") or []:
            check_effect(effect)

    def _answer(self, work: Work, frame: Dict[str, Any], changed: bool) -> None:
        asked = work.message.asked
        if asked is None:
            return
        refusal = frame.get("error")
        if refusal is not None:
            effects = changed or frame.get("effects") or frame.get("stop") or "next" in frame
            default = "executed" if effects else "not_executed"
            asked.settle(None, error(refusal.get("code", "handler_failed"), refusal.get("text", ""), refusal.get("effect", default)))
        elif frame.get("later"):
            work.process.kept[work.caller] = asked
        else:
            asked.settle(frame.get("reply"))

    def _crash(self, work: Work, reason: str, problem: Error) -> None:
        process, message = work.process, work.message
        text = f"{process} exited, {reason}"
        if message.callback == "init":
            text += " (while it started)"
            for waiting in process.mailbox:
                if waiting.asked:
                    waiting.asked.settle(None, error("process_exited", text))
        if message.asked:
            message.asked.settle(None, {**problem, "text": text})
        self.mesh.exit(process, reason)
