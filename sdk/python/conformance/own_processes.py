"""What the conformance driver does with client processes: their acts and messages as the protocol's fields, and tasks that are linked."""
from __future__ import annotations

import asyncio
from typing import Any, Awaitable, Callable, Dict, Optional

import orrery


def reason_of(fields: Dict[str, str]) -> orrery.Reason:
    return orrery.Reason(fields["kind"], fields.get("text", ""))


def document_of(message: orrery.ProcessMessage) -> Dict[str, Any]:
    if isinstance(message, orrery.Dropped):
        return {"kind": "dropped", "count": message.count}
    if isinstance(message, orrery.PlainMessage):
        document: Dict[str, Any] = {"kind": "plain", "word": message.word, "argument": message.argument, "from": message.sender}
    elif isinstance(message, orrery.CastMessage):
        document = {"kind": "cast", "method": message.method, "argument": message.argument, "from": message.sender}
    elif isinstance(message, orrery.Down):
        document = {"kind": "down", "monitor": message.monitor, "from": message.pid, "reason": message.reason._asdict()}
    else:
        document = {"kind": "exit", "from": message.sender, "reason": message.reason._asdict()}
    return document if document["from"] else {key: value for key, value in document.items() if key != "from"}


async def _call(process: orrery.ClientProcess, to: str, method: str, argument: Any = None, timeoutMs: Optional[int] = None) -> Any:
    return await process.call(to, method, argument, timeout=None if timeoutMs is None else timeoutMs / 1000)


async def _publish(process: orrery.ClientProcess, group: str, word: str, argument: Any = None) -> Any:
    return {"members": await process.publish(group, word, argument)}


async def _spawn(process: orrery.ClientProcess, argument: Any = None, link: bool = False, monitor: bool = False, **more: str) -> Any:
    spawned = await process.spawn(more["class"], argument, link=link, monitor=monitor)
    return {"pid": spawned.pid, **({} if spawned.monitor is None else {"monitor": spawned.monitor})}


async def _monitor(process: orrery.ClientProcess, to: str) -> Any:
    return {"monitor": await process.monitor(to)}


async def _exit(process: orrery.ClientProcess, to: str, reason: Dict[str, str]) -> Any:
    await process.exit(to, reason_of(reason))
    return {}


async def _leave(process: orrery.ClientProcess, group: str) -> Any:
    return {"member": await process.leave(group)}


async def _watch(process: orrery.ClientProcess, group: str) -> Any:
    return {"pids": await process.watch(group)}


async def _claim(process: orrery.ClientProcess, key: str, value: Any = None, timeoutMs: int = 5000, **more: str) -> Any:
    await process.claim(key, value, in_=more.get("in", "mesh_unique"), timeout=timeoutMs / 1000)
    return {}


async def _update(process: orrery.ClientProcess, key: str, value: Any = None, **more: str) -> Any:
    await process.update(key, value, in_=more.get("in", "mesh_unique"))
    return {}


async def _release(process: orrery.ClientProcess, key: str, **more: str) -> Any:
    return {"held": await process.release(key, in_=more.get("in", "mesh_unique"))}


def _plainly(method: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[Any]]:
    async def act(process: orrery.ClientProcess, **fields: Any) -> Any:
        await method(process, **fields)
        return {}

    return act


_own = orrery.ClientProcess
ACTS: Dict[str, Callable[..., Awaitable[Any]]] = {
    "call": _call, "publish": _publish, "spawn": _spawn, "monitor": _monitor, "exit": _exit, "leave": _leave, "watch": _watch,
    "claim": _claim, "update": _update, "release": _release, "cast": _plainly(_own.cast), "send": _plainly(_own.send),
    "demonitor": _plainly(_own.demonitor), "link": _plainly(_own.link), "unlink": _plainly(_own.unlink), "join": _plainly(_own.join),
    "unwatch": _plainly(_own.unwatch),
}


class Task:
    """Waits until it is told how to end, linked with a process."""

    def __init__(self, client: orrery.Client, to: str) -> None:
        self._begun = asyncio.Event()
        self._told: "asyncio.Future[None]" = asyncio.get_running_loop().create_future()
        self._task = asyncio.ensure_future(client.link(to, self._work()))

    async def begun(self) -> "Task":
        """Once the link stands. Raises what keeps it from that."""
        waiting = asyncio.ensure_future(self._begun.wait())
        await asyncio.wait({waiting, self._task}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._task.done() and not isinstance(self._task.exception(), orrery.ExitSignal):
            self._task.result()
        return self

    async def _work(self) -> None:
        self._begun.set()
        await self._told

    def end(self, how: str, text: str) -> None:
        if how == "cancel":
            self._task.cancel()
        elif how == "error":
            self._told.set_exception(ValueError(text))
        else:
            self._told.set_result(None)

    def drop(self) -> None:
        self._task.cancel()

    async def outcome(self, seconds: float) -> Any:
        await asyncio.wait({self._task}, timeout=seconds)
        if not self._task.done():
            raise orrery.DeadlineExceeded("the task has not ended")
        if self._task.cancelled():
            return {"outcome": "cancelled", "reason": None}
        problem = self._task.exception()
        if isinstance(problem, orrery.ExitSignal):
            return {"outcome": "cancelled", "reason": problem.reason._asdict()}
        return {"outcome": "returned" if problem is None else "failed", "reason": None}
