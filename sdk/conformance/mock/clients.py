"""Client processes: those of one connection, and the requests that they make."""
from __future__ import annotations

import itertools
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Deque, Dict, Optional

from orrery import _cbor

from .kernel import EXIT_KINDS, Monitor, check_group, check_reason, check_word
from .model import Asked, Message, Reason, Wrong, error

if TYPE_CHECKING:
    from .connection import Connection

CALL_SECONDS = 60.0  #: longer than a mesh's, for machines that are busy
KEY_VALUE_BYTES_MAX = 4096


class ClientProcess:
    def __init__(self, connection: "Connection", number: int, pid: str, credit: int) -> None:
        self.connection, self.number, self.pid, self.credit = connection, number, pid, credit
        self.kernel = connection.mesh.kernel
        self.monitors: Dict[int, Monitor] = {}
        self.numbers = itertools.count(1)
        self.waiting: Deque[Dict[str, Any]] = deque()
        self.asking: Dict[int, Asked] = {}  #: by the number of the request

    def deliver(self, message: Dict[str, Any]) -> None:
        if self.credit > 0:
            self.credit -= 1
            self.connection.send({"type": "message", "process": self.number, **message})
        elif len(self.waiting) < self.connection.faults.waiting_max or message["kind"] in ("down", "exit", "dropped"):
            self.waiting.append(message)
        elif self.waiting and self.waiting[-1]["kind"] == "dropped":
            self.waiting[-1]["count"] += 1
        else:
            self.waiting.append({"kind": "dropped", "count": 1})

    def give(self, credit: int) -> None:
        self.credit = min(self.credit + credit, 1_000_000)
        while self.credit and self.waiting:
            self.deliver(self.waiting.popleft())

    def exit_signal(self, sender: str, reason: Reason) -> None:
        if reason["kind"] == "kill":
            self.end({"kind": "killed", "text": reason["text"]}, told=True)
        else:
            self.deliver({"kind": "exit", "from": sender, "reason": reason})

    def monitor(self, to: str) -> int:
        number = next(self.numbers)

        def down(pid: str, reason: Reason) -> None:
            self.monitors.pop(number, None)
            self.deliver({"kind": "down", "monitor": number, "from": pid, "reason": reason})

        self.connection.afterwards(lambda: self.monitors.__setitem__(number, self.kernel.monitor(self.pid, to, down)))
        return number

    def end(self, reason: Reason, told: bool = False) -> None:
        if self.connection.client_processes.pop(self.number, None) is None:
            return
        if told:
            self.connection.send({"type": "ended", "process": self.number, "reason": reason})
        self.kernel.ended(self.pid, reason)
        for asked in list(self.asking.values()):
            asked.settle(None, error("cancelled", "its process has ended", "unknown"))


class Acts:
    """The requests with ``process``, by name: each gives its ``ok`` or raises :class:`Wrong`."""

    def __init__(self, connection: "Connection") -> None:
        self.connection = connection
        self.mesh, self.kernel = connection.mesh, connection.mesh.kernel

    def find(self, kind: str) -> "Optional[Callable[[ClientProcess, Dict[str, Any]], Any]]":
        return getattr(self, f"do_{kind}", None)

    def do_close(self, process: ClientProcess, frame: Dict[str, Any]) -> Any:
        process.end(check_reason(frame.get("reason") or {"kind": "normal"}, ("normal", "shutdown", "error")))
        return {}

    def do_send(self, process: ClientProcess, frame: Dict[str, Any]) -> Any:
        to, word = self.kernel.pid_of(frame.get("to")), check_word(frame.get("word"))
        self.connection.afterwards(lambda: self.kernel.plain(to, word, frame.get("argument"), process.pid))
        return {}

    def do_publish(self, process: ClientProcess, frame: Dict[str, Any]) -> Any:
        return {"members": self.kernel.publish(frame.get("group", ""), frame.get("word", ""), frame.get("argument"), process.pid)}

    def do_spawn(self, process: ClientProcess, frame: Dict[str, Any]) -> Any:
        spec = self.mesh.classes.get(frame.get("class", ""))
        if spec is None:
            raise Wrong(error("not_found", f"no class {frame.get('class')!r}; known classes: {', '.join(sorted(self.mesh.classes))}"))
        spawned = self.mesh.spawn(spec, frame.get("argument"))
        ok: Dict[str, Any] = {"pid": spawned.pid}
        if frame.get("link"):
            self.kernel.link(process.pid, spawned.pid)
        if frame.get("monitor"):
            ok["monitor"] = process.monitor(spawned.pid)
        return ok

    def do_monitor(self, process: ClientProcess, frame: Dict[str, Any]) -> Any:
        return {"monitor": process.monitor(self.kernel.pid_of(frame.get("to")))}

    def do_demonitor(self, process: ClientProcess, frame: Dict[str, Any]) -> Any:
        self.kernel.demonitor(process.monitors.pop(frame.get("monitor", 0), None))
        process.waiting = deque(each for each in process.waiting if each.get("monitor") != frame.get("monitor"))
        return {}

    def do_link(self, process: ClientProcess, frame: Dict[str, Any]) -> Any:
        to = self.kernel.pid_of(frame.get("to"))
        self.connection.afterwards(lambda: self.kernel.link(process.pid, to))
        return {}

    def do_unlink(self, process: ClientProcess, frame: Dict[str, Any]) -> Any:
        self.kernel.unlink(process.pid, self.kernel.pid_of(frame.get("to")))
        return {}

    def do_exit(self, process: ClientProcess, frame: Dict[str, Any]) -> Any:
        to, reason = self.kernel.pid_of(frame.get("to")), check_reason(frame.get("reason"), EXIT_KINDS)
        self.connection.afterwards(lambda: self.kernel.exit(process.pid, to, reason))
        return {}

    def do_join(self, process: ClientProcess, frame: Dict[str, Any]) -> Any:
        self.kernel.join(process.pid, frame.get("group", ""))
        return {}

    def do_leave(self, process: ClientProcess, frame: Dict[str, Any]) -> Any:
        return {"member": self.kernel.leave(process.pid, frame.get("group", ""))}

    def do_watch(self, process: ClientProcess, frame: Dict[str, Any]) -> Any:
        group = check_group(frame.get("group"))
        self.kernel.watching.setdefault(group, set()).add(process.pid)
        return {"pids": list(self.kernel.groups.get(group, ()))}

    def do_unwatch(self, process: ClientProcess, frame: Dict[str, Any]) -> Any:
        self.kernel.watching.get(check_group(frame.get("group")), set()).discard(process.pid)
        return {}

    def do_claim(self, process: ClientProcess, frame: Dict[str, Any]) -> Any:
        check_value(frame.get("value"))
        self.kernel.claim(process.pid, frame.get("key", ""), frame.get("value"), frame.get("in", "mesh_unique"))
        return {}

    def do_update(self, process: ClientProcess, frame: Dict[str, Any]) -> Any:
        holders = self.kernel.holders(frame.get("key", ""), frame.get("in", "mesh_unique"))
        if process.pid not in holders:
            raise Wrong(error("not_found", f"key {frame.get('key')!r} is not held by this process"))
        check_value(frame.get("value"))
        holders[process.pid] = frame.get("value")
        return {}

    def do_release(self, process: ClientProcess, frame: Dict[str, Any]) -> Any:
        holders = self.kernel.holders(frame.get("key", ""), frame.get("in", "mesh_unique"))
        held = process.pid in holders
        holders.pop(process.pid, None)
        return {"held": held}

    def do_cast(self, process: ClientProcess, frame: Dict[str, Any]) -> Any:
        problem = self.mesh.cast_to(frame.get("to"), Message("cast", frame.get("method", ""), frame.get("argument")), process.pid)
        if problem:
            raise Wrong(problem)
        return {}

    def call(self, process: ClientProcess, frame: Dict[str, Any], answer: Callable[[Any, Any], None]) -> None:
        """Which nothing takes back: who gives it up, or ends meanwhile, hears that its outcome is unknown."""
        number = frame["id"]

        def settle(ok: Any, problem: Any) -> None:
            process.asking.pop(number, None)
            answer(ok, problem)

        asked = process.asking[number] = Asked(settle)
        message = Message("call", frame.get("method", ""), frame.get("argument"), asked)
        self.mesh.call_to(frame.get("to"), message, frame["timeoutMs"] / 1000 if "timeoutMs" in frame else CALL_SECONDS)


def check_value(value: Any) -> None:
    if len(_cbor.dumps(value)) > KEY_VALUE_BYTES_MAX:
        raise Wrong(error("too_large", f"a key's value has at most {KEY_VALUE_BYTES_MAX} bytes"))
