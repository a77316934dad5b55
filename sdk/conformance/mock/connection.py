"""One client's connection to the mock: hello, requests, subscriptions, registrations."""
from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

from .clients import Acts, ClientProcess
from .mesh import NODE
from .model import Asked, Error, Message, Process, Registration, Wrong, error
from .wire import BadFrame, Wire

if TYPE_CHECKING:
    from .sidecar import Sidecar

LIMITS = {"frameBytes": 4194304, "valueBytes": 1048576, "requests": 1024, "subscriptions": 16, "registrations": 64, "concurrency": 1024,
          "processes": 1024}


@dataclass
class Subscription:
    credit: int
    types: "frozenset[str]"
    dropped: int = 0


class Connection:
    def __init__(self, sidecar: "Sidecar", wire: Wire) -> None:
        self.sidecar, self.mesh, self.faults, self.wire = sidecar, sidecar.mesh, sidecar.faults, wire
        self.welcomed = False
        self.open: Dict[int, Optional[Tuple[Process, Message]]] = {}
        self.subscriptions: Dict[int, Subscription] = {}
        self.client_processes: Dict[int, ClientProcess] = {}
        self.acts = Acts(self)
        self._later: List[Callable[[], Any]] = []
        self._out: "asyncio.Queue[Optional[bytes]]" = asyncio.Queue()
        self._held = b""
        self.mesh.listeners.append(self._event)

    # ---- its life ----

    async def run(self) -> None:
        writing = asyncio.ensure_future(self._write())
        why = "the connection ended"
        try:
            if await self._greet():
                while True:
                    frame = await self.wire.read()
                    if not self.faults.deaf:
                        self.sidecar.seen.append(frame)
                        self._take(frame)
                    if frame["type"] == "goodbye":
                        why = f"goodbye: {frame.get('text')}"
                        break
        except BadFrame as problem:
            self.goodbye("protocol", str(problem))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.mesh.listeners.remove(self._event)
            for asked in list(self.open):
                self._abandon(asked)
            self.mesh.apps.gone(self, why)
            for process in list(self.client_processes.values()):
                process.end({"kind": "noconnection", "text": why})
            self._out.put_nowait(None)
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writing
            self.wire.writer.close()

    async def _write(self) -> None:
        while True:
            data = await self._out.get()
            if data is None:
                self.wire.writer.close()  # what was written still leaves
                return
            if self.wire.writer.is_closing():
                continue
            with contextlib.suppress(ConnectionError):
                if self.faults.trickle:
                    for at in range(0, len(data), 3):
                        self.wire.writer.write(data[at:at + 3])
                        await asyncio.sleep(0)
                else:
                    self.wire.writer.write(data)
                await self.wire.writer.drain()

    def cut(self) -> None:
        """Ends it at once, as a crash of the sidecar does."""
        self.wire.writer.transport.abort()

    def send(self, frame: Dict[str, Any]) -> None:
        if self.faults.unknown_types:
            self._out.put_nowait(self.wire.encode({"type": "weather", "id": 1, "work": 1, "forecast": "rain"}))
        if self.faults.unknown_fields:
            frame = {**frame, "novelty": {"deep": [1, {"er": None}]}, "flags": [True]}
        data = self._held + self.wire.encode(frame)
        held = self.faults.cancel_calls and frame["type"] == "work" and frame["callback"] == "call"  # for its cancel to come along
        self._held = data if held else b""
        if not held:
            self._out.put_nowait(data)

    def send_raw(self, data: bytes) -> None:
        self._out.put_nowait(data)

    def goodbye(self, code: str, text: str, **more: Any) -> None:
        self.send({"type": "goodbye", "code": code, "text": text, **more})
        self._out.put_nowait(None)

    async def _greet(self) -> bool:
        hello = await self.wire.read()
        self.sidecar.hellos.append(hello)
        faults = self.faults
        if faults.hello == "silent":
            return True
        if faults.hello == "http":
            self.send_raw(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        elif faults.hello == "goodbye":
            self.goodbye(**faults.goodbye)
        elif hello["type"] != "hello":
            self.goodbye("protocol", "the first frame is no hello")
        elif not hello.get("minVersion", 1) <= faults.version or faults.version > hello.get("version", 0):
            self.goodbye("protocol", "no common version", version=faults.version, minVersion=faults.version)
        elif faults.hello == "welcome":
            self.welcomed = True
            self.send({"type": "welcome", "version": faults.version, "features": faults.features, "sidecar": "mock", "node": NODE,
                       "mesh": "mock", "keepaliveMs": faults.keepalive_ms, "limits": {**LIMITS, **faults.limits}})
        return self.welcomed

    # ---- requests ----

    def _take(self, frame: Dict[str, Any]) -> None:
        cut = self.faults.cut_at if self.faults.cut_at and self.faults.cut_at["type"] == frame["type"] else None
        if cut:
            self.faults.cut_at = None
            if cut["when"] == "before":
                self.cut()
                return
        act = self.acts.find(frame["type"]) if "process" in frame else None
        operation: Optional[Callable[[Dict[str, Any]], None]] = self._act if act else getattr(self, f"_on_{frame['type']}", None)
        number = frame.get("id")
        if operation is None:
            if number is not None:
                self._result(number, None, error("invalid_argument", f"no request {frame['type']!r}"))
            return
        if cut and cut["when"] == "after":
            asyncio.get_running_loop().call_later(0.05, self.cut)  # once the message was handled
            self._result = lambda *ignored: None  # type: ignore[method-assign]
        if cut and cut["when"] == "half":
            self._result = self._half_result  # type: ignore[method-assign]
        operation(frame)

    def afterwards(self, doing: Callable[[], Any]) -> None:
        """Once the result of the act at hand is sent."""
        self._later.append(doing)

    def _half_result(self, number: int, ok: Any, problem: Optional[Error] = None) -> None:
        self.send_raw(self.wire.encode({"type": "result", "id": number, "ok": ok})[:7])
        asyncio.get_running_loop().call_later(0.02, self.cut)

    def _result(self, number: int, ok: Any, problem: Optional[Error] = None) -> None:
        self.open.pop(number, None)
        frame = {"type": "result", "id": number, **({"error": problem} if problem else {"ok": ok})}
        if self.faults.result_delay:
            asyncio.get_running_loop().call_later(self.faults.result_delay, self.send, frame)
        else:
            self.send(frame)
        if self.faults.duplicate_results:
            self.send({**frame, "ok": "a second answer"})

    def _on_ping(self, frame: Dict[str, Any]) -> None:
        self.send({"type": "pong", "n": frame.get("n")})

    def _on_call(self, frame: Dict[str, Any]) -> None:
        number, name = frame["id"], (frame.get("class", ""), frame.get("key", ""))
        if len(self.open) >= self.faults.limits.get("requests", LIMITS["requests"]):
            self._result(number, None, error("overloaded", "too many requests wait for their results"))
            return
        if "process" in frame:
            own = self._own(frame)
            if own is not None:
                self.open[number] = None
                self.acts.call(own, frame, lambda ok, problem: self._result(number, ok, problem))
            return
        if "onBehalfOf" in frame and self.mesh.apps.is_handled_by(frame["onBehalfOf"], name, self):
            self._result(number, None, error("invalid_argument", f"{name[0]}/{name[1]} would wait for itself"))
            return
        message = Message("call", frame["method"], frame.get("argument"), self._asked(number), frame.get("trace"))
        self.mesh.call(name, message, seconds_of(frame))
        self._waits(number, self.mesh.processes.get(name), message)

    def _asked(self, number: int) -> Asked:
        self.open[number] = None
        return Asked(lambda ok, problem: self._result(number, ok, problem))

    def _waits(self, number: int, process: Optional[Process], message: Message) -> None:
        if message.asked is not None and not message.asked.settled and process is not None:
            self.open[number] = (process, message)

    def _on_start(self, frame: Dict[str, Any]) -> None:
        message, name = Message("start", asked=self._asked(frame["id"])), (frame["class"], frame["key"])
        self.mesh.start(name, message, seconds_of(frame))
        self._waits(frame["id"], self.mesh.processes.get(name), message)

    def _on_cast(self, frame: Dict[str, Any]) -> None:
        problem = self.mesh.cast((frame["class"], frame["key"]), Message("cast", frame["method"], frame.get("argument"), trace=frame.get("trace")))
        if "id" in frame:
            self._result(frame["id"], {}, problem)

    def _on_cancel(self, frame: Dict[str, Any]) -> None:
        number = frame.get("id", 0)
        if self.subscriptions.pop(number, None) is not None:
            self.send({"type": "closed", "id": number})
        waiting = self.open.get(number)
        if waiting is not None:
            self.mesh.give_up(*waiting, "cancelled", "the caller gave up")
        for process in self.client_processes.values():
            if number in process.asking:
                process.asking[number].settle(None, error("cancelled", "the caller gave up", "unknown"))

    def _abandon(self, number: int) -> None:
        waiting = self.open.get(number)
        if waiting is not None:
            self.mesh.give_up(*waiting, "cancelled", "the caller went away")

    def _process(self, frame: Dict[str, Any]) -> Optional[Process]:
        process = self.mesh.processes.get((frame["class"], frame["key"]))
        if process is None:
            self._result(frame["id"], None, error("not_found", f"{frame['class']}/{frame['key']} does not run; its owner is {NODE}"))
        return process

    def _on_inspect(self, frame: Dict[str, Any]) -> None:
        process = self._process(frame)
        if process is not None:
            self._result(frame["id"], self.mesh.document(process))

    def _on_stop(self, frame: Dict[str, Any]) -> None:
        process = self._process(frame)
        if process is not None:
            self.mesh.apps.stop(process, {"kind": "normal", "text": ""})
            self._result(frame["id"], {"stopped": True})

    def _on_kill(self, frame: Dict[str, Any]) -> None:
        process = self._process(frame)
        if process is not None:
            self.mesh.exit(process, f"killed: {frame.get('reason', '')}")
            self._result(frame["id"], {"killed": True})

    def _on_nodes(self, frame: Dict[str, Any]) -> None:
        self._result(frame["id"], {"nodes": [{"name": NODE, "state": "self", "processes": len(self.mesh.processes), "version": "mock"}]})

    def _on_processes(self, frame: Dict[str, Any]) -> None:
        limit = frame.get("limit", 1000)
        if not 1 <= limit <= 5000:
            self._result(frame["id"], None, error("invalid_argument", f"a limit is 1 to 5000, not {limit}"))
            return
        found = [p for p in self.mesh.processes.values() if frame.get("class") in (None, p.class_name)]
        documents = [self.mesh.document(process) for process in found[:limit]]
        self._result(frame["id"], {"processes": documents, "unreachable": [], "truncated": len(found) > limit})

    def _on_classes(self, frame: Dict[str, Any]) -> None:
        classes = [{"name": spec.name, "version": spec.version, "behaviour": spec.behaviour, "callTimeoutSeconds": spec.call_timeout, "error": None}
                   for spec in self.mesh.classes.values()]
        self._result(frame["id"], {"classes": classes})

    def _on_tree(self, frame: Dict[str, Any]) -> None:
        supervisors = [{"class": name, "children": sum(p.class_name == name for p in self.mesh.processes.values())} for name in self.mesh.classes]
        self._result(frame["id"], {"nodes": [{"node": NODE, "supervisors": supervisors}], "unreachable": [], "truncated": False})

    # ---- groups, keys, client processes ----

    def _own(self, frame: Dict[str, Any]) -> Optional[ClientProcess]:
        process = self.client_processes.get(frame["process"])
        if process is None:
            self._result(frame["id"], None, error("not_found", f"this connection has no client process {frame['process']}"))
        return process

    def _act(self, frame: Dict[str, Any]) -> None:
        process, act = self._own(frame), self.acts.find(frame["type"])
        assert act is not None
        if process is not None:
            self._answer(frame, lambda: act(process, frame))

    def _answer(self, frame: Dict[str, Any], doing: Callable[[], Any]) -> None:
        try:
            self._result(frame["id"], doing())
        except Wrong as wrong:
            self._result(frame["id"], None, wrong.problem)
        later, self._later = self._later, []
        for each in later:
            each()

    def _on_open(self, frame: Dict[str, Any]) -> None:
        number = frame.get("process")
        if not isinstance(number, int) or number < 1:
            problem = error("invalid_argument", "process is an integer from 1")
        elif number in self.client_processes:
            problem = error("already_exists", f"this connection has a client process {number} already")
        elif len(self.client_processes) >= self.faults.limits.get("processes", LIMITS["processes"]):
            problem = error("overloaded", "too many client processes")
        else:
            process = ClientProcess(self, number, self.mesh.new_pid(), frame.get("credit", 0))
            self.client_processes[number] = self.mesh.kernel.pids[process.pid] = process
            self._result(frame["id"], {"pid": process.pid})
            return
        self._result(frame["id"], None, problem)

    def _on_publish(self, frame: Dict[str, Any]) -> None:
        self._answer(frame, lambda: {"members": self.mesh.kernel.publish(frame.get("group", ""), frame.get("word", ""), frame.get("argument"))})

    def _on_groups(self, frame: Dict[str, Any]) -> None:
        found = [{"name": name, "members": len(members), "here": len(members)} for name, members in sorted(self.mesh.kernel.groups.items())]
        self._list(frame, "groups", "name", found)

    def _on_group(self, frame: Dict[str, Any]) -> None:
        members = [{"pid": pid, "node": NODE} for pid in self.mesh.kernel.groups.get(frame["group"], ())]
        self._result(frame["id"], {"group": frame["group"], "members": members, "truncated": False})

    def _on_registry(self, frame: Dict[str, Any]) -> None:
        found = [{"key": key, "unique": space == "mesh_unique", "pid": pid, "node": NODE, "value": value}
                 for (space, key), holders in sorted(self.mesh.kernel.keys.items()) if space.startswith("mesh")
                 for pid, value in holders.items()]
        self._list(frame, "entries", "key", found)

    def _list(self, frame: Dict[str, Any], what: str, by: str, rows: List[Dict[str, Any]]) -> None:
        limit = frame.get("limit", 1000)
        found = [row for row in rows if row[by].startswith(frame.get("prefix") or "")]
        if not 1 <= limit <= 5000:
            self._result(frame["id"], None, error("invalid_argument", f"a limit is 1 to 5000, not {limit}"))
        else:
            self._result(frame["id"], {what: found[:limit], "truncated": len(found) > limit})

    def _on_lookup(self, frame: Dict[str, Any]) -> None:
        self._answer(frame, lambda: {"entries": [{"key": frame["key"], "pid": pid, "value": value} for pid, value in
                                                 self.mesh.kernel.holders(frame.get("key", ""), frame.get("in", "mesh_unique")).items()]})

    # ---- events ----

    def _on_subscribe(self, frame: Dict[str, Any]) -> None:
        if len(self.subscriptions) >= self.faults.limits.get("subscriptions", LIMITS["subscriptions"]):
            self._result(frame["id"], None, error("overloaded", "too many subscriptions"))
            return
        self.subscriptions[frame["id"]] = Subscription(frame.get("credit", 0), frozenset(frame.get("events") or ()))
        self._result(frame["id"], {})

    def _on_credit(self, frame: Dict[str, Any]) -> None:
        if "process" in frame:
            if frame["process"] in self.client_processes:
                self.client_processes[frame["process"]].give(frame["add"])
            return
        subscription = self.subscriptions.get(frame["id"])
        if subscription is None:
            return
        subscription.credit = min(subscription.credit + frame["add"], 1_000_000)
        if subscription.dropped:
            self.send({"type": "event", "id": frame["id"], "event": "dropped", "data": {"count": subscription.dropped}})
            subscription.dropped = 0

    def _event(self, kind: str, data: Dict[str, Any]) -> None:
        for number, subscription in self.subscriptions.items():
            if subscription.types and kind not in subscription.types:
                continue
            if subscription.credit == 0:
                subscription.dropped += 1
                continue
            subscription.credit -= 1
            self.send({"type": "event", "id": number, "event": kind, "data": data})

    # ---- hosting ----

    def _on_register(self, frame: Dict[str, Any]) -> None:
        lists: List["frozenset[str]"] = [frozenset(frame.get(key) or ()) for key in ("calls", "casts", "callbacks")]
        registration = Registration(self, frame["class"], *lists, frame.get("stateVersion", 0), frame.get("concurrency", 64))
        unknown = registration.callbacks - {"init", "info", "continue", "terminate", "code_change", "handoff"}
        if unknown or len(registration.calls) + len(registration.casts) > 256:
            self._result(frame["id"], None, error("invalid_argument", f"callbacks or methods that are not taken: {sorted(unknown)}"))
            return
        problem = self.mesh.apps.register(registration)
        self._result(frame["id"], self.mesh.apps.state_of(registration.class_name), problem)

    def _on_drain(self, frame: Dict[str, Any]) -> None:
        self.mesh.apps.drain(self, frame.get("class"), lambda ok: self._result(frame["id"], ok))

    def _on_done(self, frame: Dict[str, Any]) -> None:
        self.mesh.apps.done(self, frame)


def seconds_of(frame: Dict[str, Any]) -> Optional[float]:
    return frame["timeoutMs"] / 1000 if "timeoutMs" in frame else None
