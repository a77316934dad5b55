"""The Python SDK's program for the conformance cases: commands as JSON lines on stdin, answers on stdout. See sdk/conformance/README.md."""
from __future__ import annotations

import asyncio
import json
import logging
import os
import pathlib
import sys
from typing import Any, Awaitable, Callable, Dict, List, Optional

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "src"))

import orrery  # noqa: E402
from desk import desk  # noqa: E402
from own_processes import ACTS, Task, document_of, reason_of  # noqa: E402


def plain(value: Any) -> Any:
    """As JSON: byte strings as ``{"bytes": [...]}``."""
    if isinstance(value, bytes):
        return {"bytes": list(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def rich(value: Any) -> Any:
    if isinstance(value, dict):
        return bytes(value["bytes"]) if value.keys() == {"bytes"} else {key: rich(item) for key, item in value.items()}
    return [rich(item) for item in value] if isinstance(value, list) else value


def seconds(ms: Optional[int]) -> Optional[float]:
    return None if ms is None else ms / 1000


class Driver:
    def __init__(self) -> None:
        self.client: Optional[orrery.Client] = None
        self.hosts: List[orrery.Host] = []
        self.subscriptions: Dict[str, orrery.Events] = {}
        self.own: Dict[str, orrery.ClientProcess] = {}
        self.tasks: Dict[str, Task] = {}
        self.commands: "Dict[int, asyncio.Task[None]]" = {}

    # ---- connections ----

    async def open(self, address: Optional[str] = None, retry: Optional[Dict[str, Any]] = None, timeoutMs: int = 30_000,
                   environment: Optional[Dict[str, str]] = None, process: str = "") -> Any:
        if process:
            self.own[process] = await self.there().process().open()
            return {"pid": self.own[process].pid}
        os.environ.update(environment or {})
        policy = None if retry is None else orrery.Retry(attempts=retry["attempts"], first_pause=0.01, most_pause=0.05)
        client = orrery.connect(address or None, timeout=timeoutMs / 1000, retry=policy)
        await client.open()
        self.client = client
        assert client.sidecar is not None
        return {"node": client.sidecar.node, "mesh": client.sidecar.mesh, "features": sorted(client.sidecar.features)}

    async def close(self, process: str = "", reason: Optional[Dict[str, str]] = None) -> None:
        if process:
            await self.own[process].close(reason_of(reason or {"kind": "normal"}))
            return
        client, self.client = self.client, None
        if client is not None:
            await client.close()

    async def reset(self) -> None:
        """Between two cases: everything as in a new program."""
        for task in [task for task in self.commands.values() if task is not asyncio.current_task()]:
            task.cancel()
        for host in self.hosts:
            await host.close()
        self.hosts.clear()
        self.subscriptions.clear()
        for linked in self.tasks.values():
            linked.drop()
        self.tasks.clear()
        self.own.clear()
        await self.close()
        for name in ("ORRERY_SOCKET", "ORRERY_TCP"):
            os.environ.pop(name, None)

    def there(self) -> orrery.Client:
        assert self.client is not None, "open first"
        return self.client

    # ---- requests ----

    async def call(self, to: str, method: str, argument: Any, timeoutMs: Optional[int] = None, trace: Optional[str] = None) -> Any:
        return await self.there().call(to, method, rich(argument), timeout=seconds(timeoutMs), trace=trace)

    async def cast(self, to: str, method: str, argument: Any, trace: Optional[str] = None) -> None:
        await self.there().cast(to, method, rich(argument), trace=trace)

    async def cast_nowait(self, to: str, method: str, argument: Any) -> None:
        self.there().cast_nowait(to, method, rich(argument))

    async def inspect(self, name: str) -> Any:
        return await self.there().inspect(name)

    async def stop(self, name: str) -> None:
        await self.there().stop(name)

    async def kill(self, name: str) -> None:
        await self.there().kill(name, "a case")

    async def nodes(self) -> Any:
        return await self.there().nodes()

    async def processes(self, class_name: Optional[str] = None, limit: int = 1000, local: bool = False) -> Any:
        return await self.there().processes(class_name, limit=limit, local=local)

    async def classes(self) -> Any:
        return await self.there().classes()

    async def tree(self, local: bool = False) -> Any:
        return await self.there().tree(local=local)

    async def cancel(self, number: int) -> None:
        self.commands[number].cancel()

    # ---- events ----

    async def subscribe(self, handle: str, types: "tuple[str, ...]" = ()) -> None:
        self.subscriptions[handle] = await self.there().events(*types).__aenter__()

    async def next(self, handle: str = "", process: str = "", withinMs: int = 0) -> Any:
        if process:
            message = await self.own[process].next(withinMs / 1000)
            ended = self.own[process].ended
            return document_of(message) if message is not None else {"kind": "ended", "reason": ended and ended._asdict()}
        event = await self.subscriptions[handle].next()
        return {"type": event.type, "data": event.data}

    async def unsubscribe(self, handle: str) -> None:
        await self.subscriptions.pop(handle).__aexit__(None, None, None)

    # ---- processes of its own, and what they are about ----

    async def start(self, to: str, timeoutMs: Optional[int] = None) -> Any:
        return {"pid": await self.there().start(to, seconds(timeoutMs))}

    async def publish(self, group: str, word: str, argument: Any) -> Any:
        return {"members": await self.there().publish(group, word, rich(argument))}

    async def group(self, group: str) -> Any:
        return await self.there().group(group)

    async def groups(self, prefix: str) -> Any:
        return await self.there().groups(prefix)

    async def registry(self, prefix: str) -> Any:
        return await self.there().registry(prefix)

    async def lookup(self, key: str, **more: str) -> Any:
        return {"entries": await self.there().lookup(key, *more.values())}

    async def act(self, process: str, act: str, **fields: Any) -> Any:
        return await ACTS[act](self.own[process], **rich(fields))

    async def down(self, to: str, withinMs: int) -> Any:
        try:
            down = await asyncio.wait_for(self.there().monitor(to), withinMs / 1000)
        except asyncio.TimeoutError:
            raise orrery.DeadlineExceeded("it did not end in time") from None
        return {"reason": down.reason._asdict()}

    async def link(self, task: str, to: str) -> None:
        self.tasks[task] = await Task(self.there(), to).begun()

    async def task(self, task: str, ends: str, text: str = "") -> None:
        self.tasks[task].end(ends, text)

    async def await_(self, task: str, withinMs: int) -> Any:
        return await self.tasks[task].outcome(withinMs / 1000)

    # ---- hosting ----

    async def serve(self, classes: List[str], stateVersion: int = 0, concurrency: Optional[int] = None) -> Any:
        host = self.there().host(*(desk(name, stateVersion) for name in classes), app="conformance", concurrency=concurrency)
        await host.open()
        self.hosts.append(host)
        return host.states

    async def wait_ready(self) -> None:
        while any(state != "ready" for host in self.hosts for state in host.states.values()):
            await asyncio.sleep(0.01)

    async def drain(self, timeoutMs: int = 30_000) -> Any:
        return all([await host.drain(timeoutMs / 1000) for host in self.hosts])

    async def leave(self) -> None:
        """Ends hosting and the connection, without draining. The connection first: a host that ends on one that stays tells its callers so."""
        await self.close()
        for host in self.hosts:
            await host.close()
        self.hosts.clear()

    # ---- many at once ----

    async def flood(self, to: str, count: int) -> None:
        """Casts as fast as the sidecar reads them."""
        for number in range(count):
            try:
                self.there().cast_nowait(to, "tick", number)
            except orrery.Overloaded:
                await self.there().cast(to, "tick", number)

    async def hammer(self, to: str, count: int, parallel: int, over: int) -> Any:
        """Many calls to ``record`` of many processes; ``to`` is ``class/key|file``. What was heard of each."""
        name, file = to.split("|")
        heard: Dict[str, Any] = {"calls": count, "ok": [], "not_executed": [], "executed": [], "unknown": [], "torn": []}
        numbers = iter(range(count))

        async def caller() -> None:
            for number in numbers:
                try:
                    whole = await self.there().call(f"{name}-{number % over}", "record", {"id": number, "file": file}, timeout=20)
                except orrery.OrreryError as problem:
                    heard[problem.effect].append(number)
                else:
                    heard["ok"].append(number)
                    if not whole:
                        heard["torn"].append(f"{name}-{number % over} at call {number}")

        await asyncio.gather(*(caller() for _ in range(parallel)))
        return heard

    # ---- commands ----

    async def obey(self, command: Dict[str, Any]) -> None:
        number, do = command.pop("n"), command.pop("do")
        answer: Dict[str, Any]
        try:
            operation: Callable[..., Awaitable[Any]] = getattr(self, f"{do}_" if do == "await" else do)
            answer = {"gives": plain(await operation(**command))}
        except orrery.OrreryError as problem:
            answer = {"fails": {"code": problem.code, "text": problem.text, "effect": problem.effect}}
        except asyncio.CancelledError:
            answer = {"fails": {"code": "aborted", "text": "cancelled here", "effect": "unknown"}}
        except Exception as problem:
            logging.exception("%s failed", do)
            answer = {"fails": {"code": type(problem).__name__, "text": str(problem), "effect": "unknown"}}
        self.commands.pop(number, None)
        sys.stdout.write(json.dumps({"n": number, **answer}) + "\n")
        sys.stdout.flush()

    async def run(self) -> None:
        reader = asyncio.StreamReader(limit=64 * 1024 * 1024)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while True:
            line = await reader.readline()
            if not line:
                break
            command = json.loads(line)
            self.commands[command["n"]] = asyncio.ensure_future(self.obey(command))
        await self.reset()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(Driver().run())
