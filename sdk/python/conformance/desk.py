"""The class that every SDK hosts for the conformance cases, under any name. What it does is part of the list: keep the SDKs' alike."""
from __future__ import annotations

import asyncio
import time
from typing import Any, Dict, Type

import orrery


class Desk(orrery.Process[Any]):
    def init(self, key: str) -> None:
        if key.endswith("closed"):
            raise orrery.Refused("forbidden", "the desk is closed")
        self.state = {"notes": [], "waiting": [], "ids": [], "count": 0}

    # ---- plain ----

    @orrery.call
    async def echo(self, value: Any) -> Any:
        return value

    @orrery.call
    async def add(self, note: Any) -> int:
        self.state["notes"].append(note)
        return len(self.state["notes"])

    @orrery.call
    async def get(self) -> Any:
        return self.state["notes"]

    @orrery.call
    async def whole(self) -> Any:
        return self.state

    @orrery.call
    async def replace(self, state: Any) -> None:
        self.state = state

    @orrery.call
    async def about(self) -> Dict[str, Any]:
        return {"name": str(self.name), "message": self.message, "trace": orrery.traceparent.get()}

    @orrery.cast
    async def note(self, value: Any) -> None:
        self.state["notes"].append(value)

    @orrery.cast
    async def tick(self) -> None:
        self.state["count"] += 1

    # ---- failing ----

    @orrery.call
    async def crash(self, text: str) -> None:
        self.state["notes"].append("lost")
        raise ValueError(text)

    @orrery.call(name="refuse")
    async def say_no(self, argument: Dict[str, Any]) -> None:
        self.state["notes"].append("never kept")
        self.cast("counter/" + self.key, "add", 100)
        raise orrery.Refused(argument["code"], argument["text"], effect=argument.get("effect", "not_executed"))

    @orrery.call
    async def odd(self, what: str) -> Any:
        if what == "state":
            self.state = asyncio
        elif what == "deep":
            for _ in range(100):
                self.state = [self.state]
        elif what == "big":
            return "x" * 10_000_000
        elif what == "huge state":
            self.state["notes"] = ["x" * 900_000, "x" * 900_000]
        elif what == "twice":
            self.reply_later()
            return "and now"
        elif what == "effects":
            for _ in range(1001):
                self.cancel_timer("x")
        elif what == "reply":
            return asyncio
        return None

    # ---- slow ----

    @orrery.call
    async def sleep(self, ms: int) -> str:
        await asyncio.sleep(ms / 1000)
        return "slept"

    @orrery.call
    def block(self, ms: int) -> str:
        time.sleep(ms / 1000)
        return "blocked"

    # ---- later, continued, ended ----

    @orrery.call
    async def later(self) -> None:
        self.state["waiting"].append(self.reply_later())

    @orrery.cast
    async def answer(self, value: Any) -> None:
        waiting, self.state["waiting"] = self.state["waiting"], []
        for caller in waiting:
            if value == "no":
                self.refuse(caller, orrery.Refused("not_found", "none"))
            else:
                self.reply(caller, value)

    @orrery.call
    async def two_steps(self) -> str:
        self.continue_("second")
        return "first"

    async def handle_continue(self, value: Any) -> None:
        self.state["notes"].append(value)

    @orrery.call
    async def finish(self, kind: str) -> str:
        self.stop(kind, "said so")
        return "bye"

    async def terminate(self, reason: Dict[str, Any]) -> None:
        self.cast("kv/" + self.key, "put", {"key": "farewell", "value": reason})

    # ---- others, and time ----

    @orrery.call
    async def ask(self, argument: Dict[str, Any]) -> Any:
        return await self.call(argument["to"], argument["method"], argument.get("argument"))

    @orrery.call(name="send")
    async def casts(self, argument: Dict[str, Any]) -> None:
        for value in argument["arguments"]:
            self.cast(argument["to"], argument["method"], value)

    @orrery.call
    async def remind(self, argument: Dict[str, Any]) -> None:
        self.after(argument["ms"] / 1000, argument["name"], argument.get("argument"))

    @orrery.call
    async def forget(self, name: str) -> None:
        self.cancel_timer(name)

    @orrery.info
    async def ring(self, argument: Any) -> None:
        self.state["notes"].append({"ring": self.message, "argument": argument})

    # ---- groups, plain messages, requests, monitors ----

    @orrery.call
    async def joins(self, group: str) -> None:
        self.join_group(group)

    @orrery.call
    async def leaves(self, group: str) -> None:
        self.leave_group(group)

    @orrery.call
    async def publishes(self, argument: Dict[str, Any]) -> None:
        self.publish(argument["group"], argument["word"], argument.get("argument"))

    @orrery.call
    async def sends(self, argument: Dict[str, Any]) -> None:
        self.send(argument["to"], argument["word"], argument.get("argument"))

    @orrery.call
    async def requests(self, argument: Dict[str, Any]) -> None:
        timeout_ms = argument.get("timeoutMs")
        self.request(argument["name"], argument["to"], argument["method"], argument.get("argument"),
                     timeout=None if timeout_ms is None else timeout_ms / 1000)

    @orrery.call
    async def watches(self, argument: Dict[str, Any]) -> None:
        self.monitor(argument["name"], argument["to"])

    @orrery.call
    async def unwatches(self, name: str) -> None:
        self.demonitor(name)

    @orrery.info
    async def heard(self, argument: Any) -> None:
        entry: Dict[str, Any] = {"info": self.message, "source": self.source}
        if isinstance(argument, orrery.Down):
            entry["reason"] = {"kind": argument.reason.kind}
        elif isinstance(argument, orrery.Answer) and argument.error is not None:
            entry["error"] = {"code": argument.error.code, "effect": argument.error.effect}
        else:
            entry["argument"] = argument.value if isinstance(argument, orrery.Answer) else argument
        self.state["notes"].append(entry)

    async def handoff(self) -> None:
        self.state["notes"].append({"handoff": True})

    # ---- truth under fire ----

    @orrery.call
    async def record(self, argument: Dict[str, Any]) -> bool:
        """Writes the call's number down, and keeps a state that is torn if ever half of it is taken. Whether it was whole."""
        whole = len(self.state["ids"]) == self.state["count"]
        with open(argument["file"], "ab", buffering=0) as ledger:
            ledger.write(b"%d\n" % argument["id"])
        await asyncio.sleep(0)
        self.state["ids"] = [*self.state["ids"], argument["id"]][-50:]
        self.state["count"] = len(self.state["ids"])
        return whole


def desk(class_name: str, state_version: int) -> "Type[Desk]":
    """The class under a name. From version 2 on it brings older states along."""
    attributes: Dict[str, Any] = {"class_name": class_name, "state_version": state_version}
    if state_version >= 2:

        async def code_change(self: Desk, from_version: int) -> None:
            if from_version == 99:
                raise ValueError("no way from there")
            self.state["notes"].append({"from": from_version, "to": state_version})

        attributes["code_change"] = code_change
    return type("Desk", (Desk,), attributes)


__all__ = ["Desk", "desk"]
