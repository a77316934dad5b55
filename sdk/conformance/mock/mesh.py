"""One node's processes: mailboxes, states, timers, restarts. What an app does with work is in apps.py."""
from __future__ import annotations

import asyncio
import datetime
import itertools
from typing import Any, Callable, Dict, List, Optional, Tuple

from .apps import Apps
from .behaviours import BUILTINS, Refusal
from .kernel import Kernel, name_in
from .model import Asked, ClassSpec, Message, Process, Wrong, error

NODE = "mock-1"


class Mesh:
    def __init__(self, classes: "List[ClassSpec]") -> None:
        self.classes = {spec.name: spec for spec in classes}
        self.processes: Dict[Tuple[str, str], Process] = {}
        self.listeners: List[Callable[[str, Dict[str, Any]], None]] = []
        self.apps = Apps(self)
        self.kernel = Kernel(self)
        self._pids = itertools.count(1)
        self._restarts: Dict[str, int] = {}

    # ---- classes ----

    def declare(self, spec: ClassSpec) -> None:
        self.classes[spec.name] = spec
        self.emit("class_updated", {"class": spec.name})
        self.apps.class_changed(spec.name)

    def remove(self, class_name: str) -> None:
        self.classes.pop(class_name, None)
        self.apps.class_changed(class_name)

    # ---- messages ----

    def call(self, name: Tuple[str, str], message: Message, timeout: Optional[float]) -> Asked:
        """message.asked gets the answer."""
        asked = message.asked
        assert asked is not None
        process = self._process_for(name, message)
        if process is None:
            return asked
        self._ask(process, message, timeout)
        return asked

    def _ask(self, process: Process, message: Message, timeout: Optional[float]) -> None:
        asked = message.asked
        assert asked is not None
        seconds = self.classes[process.class_name].call_timeout if timeout is None else timeout
        asked.deadline = asyncio.get_running_loop().call_later(seconds, self.give_up, process, message, "deadline_exceeded", f"no answer within {seconds:g} s")
        process.mailbox.append(message)
        self.pump(process)

    def start(self, name: Tuple[str, str], message: Message, timeout: Optional[float]) -> None:
        """message.asked gets its pid once it has begun."""
        process = self.processes.get(name)
        if process is not None and process.begun:
            assert message.asked is not None
            message.asked.settle({"pid": process.pid})
        else:
            self.call(name, message, timeout)

    def spawn(self, spec: ClassSpec, argument: Any) -> Process:
        process = self._start((spec.name, ""), nameless=True, argument=argument)
        process.ahead.append(Message("start", asked=Asked(lambda *ignored: None)))  # so that it begins
        self.pump(process)
        return process

    def call_to(self, to: Any, message: Message, timeout: Optional[float]) -> None:
        """As :meth:`call`, to a pid or a name."""
        assert message.asked is not None
        try:
            name = name_in(to)
        except Wrong as wrong:
            message.asked.settle(None, wrong.problem)
            return
        process = self.kernel.pids.get(to)
        if name is not None:
            self.call(name, message, timeout)
        elif isinstance(process, Process):
            spec = self.classes[process.class_name]
            refusal = self.apps.refusal(spec, message) if spec.behaviour == "app" else None
            if refusal is not None:
                message.asked.settle(None, refusal)
            else:
                self._ask(process, message, timeout)
        else:
            why = "is a client's process, which answers no calls" if process is not None else "does not run"
            message.asked.settle(None, error("not_found", f"{to} {why}"))

    def cast_to(self, to: Any, message: Message, sender: str) -> Optional[Dict[str, str]]:
        """As :meth:`cast`, to a pid or a name."""
        name = name_in(to)
        if name is not None:
            return self.cast(name, message)
        target = self.kernel.pids.get(to)
        if isinstance(target, Process):
            target.mailbox.append(message)
            self.pump(target)
        elif target is not None:
            target.deliver({"kind": "cast", "method": message.method, "argument": message.argument, "from": sender})
        return None

    def cast(self, name: Tuple[str, str], message: Message) -> Optional[Dict[str, str]]:
        """The error where it is not accepted."""
        problem: List[Dict[str, str]] = []
        message.asked = Asked(lambda ok, refusal: problem.append(refusal or {}))
        process = self._process_for(name, message)
        message.asked = None
        if process is None:
            return problem[0]
        process.mailbox.append(message)
        self.pump(process)
        return None

    def _process_for(self, name: Tuple[str, str], message: Message) -> Optional[Process]:
        """The process, started if need be; or the error is answered."""
        spec = self.classes.get(name[0])
        assert message.asked is not None
        if spec is None:
            known = ", ".join(sorted(self.classes))
            message.asked.settle(None, error("not_found", f"no class {name[0]!r}; known classes: {known}"))
            return None
        refusal = self.apps.refusal(spec, message) if spec.behaviour == "app" else None
        process = self.processes.get(name)
        if refusal is None and (len(process.mailbox) if process is not None else 0) >= spec.mailbox:
            refusal = error("overloaded", f"{name[0]}/{name[1]} has {spec.mailbox} messages waiting")
        if refusal is not None:
            message.asked.settle(None, refusal)
            return None
        return process or self._start(name)

    def give_up(self, process: Process, message: Message, code: str, text: str) -> None:
        """A caller's deadline has passed, or it does not want to wait any longer."""
        asked = message.asked
        if asked is None or asked.settled:
            return
        if asked.begun:
            asked.settle(None, error(code, text, "unknown"))
        else:
            process.mailbox.remove(message)
            asked.settle(None, error(code, text))

    def pump(self, process: Process) -> None:
        """Hands over the next message, if the process is free."""
        if self.processes.get(process.name) is not process:
            return
        spec = self.classes.get(process.class_name)
        if spec is None:
            return
        if spec.behaviour == "app":
            self.apps.pump(process, spec)
            return
        process.ahead.clear()
        while process.mailbox:
            message = process.mailbox.popleft()
            if message.callback == "start" and message.asked:
                message.asked.settle({"pid": process.pid})
            if message.callback not in ("call", "cast"):
                continue
            process.handled += 1
            try:
                reply, process.state = BUILTINS[spec.behaviour](process.state, message.method, message.argument)
            except Refusal as refusal:
                if message.asked:
                    message.asked.settle(None, refusal.problem)
            else:
                if message.asked:
                    message.asked.settle(reply)

    # ---- lives ----

    def _start(self, name: Tuple[str, str], nameless: bool = False, argument: Any = None) -> Process:
        pid = self.new_pid()
        process = Process(name[0], pid if nameless else name[1], pid, since=asyncio.get_running_loop().time(), nameless=nameless, argument=argument)
        process.begun = self.classes[name[0]].behaviour != "app"
        self.processes[process.name] = process
        self.kernel.pids[process.pid] = process
        self.emit("process_started", self._about(process))
        return process

    def new_pid(self) -> str:
        return f"{NODE}@1732150000000000.{next(self._pids)}.1"

    def exit(self, process: Process, reason: str, *, restart: bool = True, counts: bool = True) -> None:
        """The process ends. Its mailbox goes with it; it restarts, unless that happened too often or it had not begun."""
        if self.processes.pop(process.name, None) is None:
            return
        for timer in process.timers.values():
            timer.cancel()
        waiting, kept = list(process.ahead) + list(process.mailbox), list(process.kept.values())
        if process.at_work is not None and process.at_work.message.asked:
            process.at_work.message.asked.settle(None, error("process_exited", f"{process} exited, {reason}", "unknown"))
        self.apps.forget(process)
        self.emit("process_exited", {**self._about(process), "reason": reason})
        for message in waiting:
            if message.asked:
                message.asked.settle(None, error("process_exited", f"{process} exited, {reason}"))
        for asked in kept:
            asked.settle(None, error("process_exited", f"{process} exited, {reason}", "unknown"))
        process.asking.clear()  # whose answers are for nobody
        kind, _, text = reason.partition(": ")
        self.kernel.ended(process.pid, {"kind": kind, "text": text})
        if restart and not process.nameless and (process.begun or process.restarting):
            self._restart(process, reason, counts)

    def _restart(self, old: Process, reason: str, counts: bool) -> None:
        if counts:
            self._restarts[old.class_name] = self._restarts.get(old.class_name, 0) + 1
            asyncio.get_running_loop().call_later(5, self._forgive, old.class_name)
            spec = self.classes.get(old.class_name)
            if spec is None or self._restarts[old.class_name] > spec.intensity:
                self.emit("supervisor_gave_up", {"class": old.class_name})
                return
        process = self._start(old.name)
        process.restarts, process.last_exit, process.restarting = old.restarts + 1, reason, True
        self.emit("process_restarted", {**self._about(process), "reason": reason})
        self.pump(process)

    def _forgive(self, class_name: str) -> None:
        self._restarts[class_name] -= 1

    def handoff(self, process: Process) -> None:
        """As one that has come from another node: its monitors stayed there, and calls to it and of its own have no answer."""
        for asked in process.kept.values():
            asked.settle(None, error("process_exited", f"{process} has moved", "unknown"))
        process.kept.clear()
        for monitor in process.watching.values():
            self.kernel.demonitor(monitor)
        process.watching.clear()
        process.ahead.appendleft(Message("handoff"))
        for asked in list(process.asking.values()):
            asked.settle(None, error("unavailable", "the process has moved", "unknown"))
        self.pump(process)

    # ---- telling ----

    def emit(self, kind: str, data: Dict[str, Any]) -> None:
        full = {"at": datetime.datetime.now(datetime.timezone.utc).isoformat(), "node": NODE, **data}
        for listener in list(self.listeners):
            listener(kind, full)

    def _about(self, process: Process) -> Dict[str, Any]:
        return {"class": process.class_name, "key": process.key, "pid": process.pid}

    def document(self, process: Process) -> Dict[str, Any]:
        spec = self.classes[process.class_name]
        return {
            "class": process.class_name, "key": process.key, "node": NODE, "pid": process.pid, "state": "running",
            "mailbox": len(process.mailbox), "handled": process.handled, "restarts": process.restarts, "classVersion": spec.version,
            "supervisor": f"root/{process.class_name}", "ageSeconds": asyncio.get_running_loop().time() - process.since,
            "lastExit": {"reason": process.last_exit, "agoSeconds": 0.0} if process.last_exit else None,
        }
