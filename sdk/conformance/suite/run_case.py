"""Runs one case with the programs of one SDK against one sidecar."""
from __future__ import annotations

import asyncio
import itertools
import pathlib
import random
import re
import sys
import tempfile
from typing import Any, Dict, List, Optional

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import mock  # noqa: E402

from .case import Case, verb_of  # noqa: E402
from .driver import Driver  # noqa: E402
from .expect import Unexpected, check, has  # noqa: E402
from .hammering import Hammering  # noqa: E402
from .real import RealSidecar  # noqa: E402

STEP_SECONDS = 120
NEXT_MS = 10_000
CLASSES = {"counter": {"behaviour": "counter"}, "kv": {"behaviour": "kv"}, "desk": {"wait_for_app": 30.0, "call_timeout": 60.0},
           "hasty": {"handler_timeout": 0.3}, "orphan": {"wait_for_app": 0.2}}
_keys = itertools.count(1)


class DoesNotApply(Exception):
    """The sidecar says itself that it does not have what the case is about."""


class Running:
    """One case under way. ``$`` in its steps is a key that no other case uses."""

    def __init__(self, case: Case, drivers: Dict[str, Driver], address: str, sidecar: Optional[mock.Sidecar], folder: str,
                 client_address: str = "", real: Optional[RealSidecar] = None) -> None:
        self.case, self.drivers, self.address, self.sidecar, self.folder = case, drivers, address, sidecar, folder
        self.client_address = client_address or address
        self.real = real
        self.key = f"c{next(_keys)}-{re.sub('[^a-z0-9]', '', case.name)[:20]}"
        self.started: Dict[str, Any] = {}
        self.numbers: Dict[str, int] = {}
        self.hammers: Dict[str, Hammering] = {}
        self.kept: Dict[str, str] = {}
        self.note = ""

    async def run(self) -> str:
        """What is worth saying of it. Raises :class:`Unexpected`."""
        used = {step.get("by", "client") for step in self.case.steps} | {"client"} | ({"app"} if self.case.app else set())
        try:
            if self.case.opens:
                answer = await self.drivers["client"].do("open", address=self.client_address)
                check({}, answer)
                self.kept["%node"] = answer["gives"]["node"]
                lacking = set(self.case.features) - set(answer["gives"]["features"])
                if lacking:
                    raise DoesNotApply(f"this sidecar has no {', '.join(sorted(lacking))}")
            if self.case.app:
                await self._host("app")
            for index, step in enumerate(self.case.steps):
                try:
                    for turn in range(step.get("times", 1)):
                        await asyncio.wait_for(self.step(self._filled(step, turn)), STEP_SECONDS)
                except (Unexpected, asyncio.TimeoutError) as problem:
                    raise Unexpected(f"step {index + 1} {step}: {str(problem) or 'did not end in time'}") from None
            return self.note
        finally:
            for name in used:
                if self.drivers[name].is_running:
                    await self.drivers[name].do("reset")

    async def _host(self, name: str) -> None:
        check({}, await self.drivers[name].do("open", address=self.address))
        check({}, await self.drivers[name].do("serve", classes=self.case.app))

    def _filled(self, value: Any, turn: int = 0) -> Any:
        if value == "#":
            return turn
        if isinstance(value, str):
            return self.kept.get(value, value.replace("$folder", self.folder).replace("$", self.key))
        if isinstance(value, list):
            return [self._filled(item, turn) for item in value]
        return {self._filled(key): self._filled(item, turn) for key, item in value.items()} if isinstance(value, dict) else value

    async def step(self, step: Dict[str, Any]) -> None:
        verb = verb_of(step)
        special = getattr(self, f"_{verb}", None)
        if special is not None:
            await special(step)
            return
        number, answer = await self.drivers[step.get("by", "client")].send(verb, **self._arguments(verb, step))
        if "as" in step:
            self.started[step["as"]], self.numbers[step["as"]] = answer, number
        else:
            check(step, await answer)
            if "keep" in step:
                self.kept[f"%{step['keep']}"] = (await answer)["gives"]["pid"]

    def _arguments(self, verb: str, step: Dict[str, Any]) -> Dict[str, Any]:
        given = step[verb]
        if isinstance(given, dict) and "process" in given:  # open, close and next of a client process
            return {**given, **({"withinMs": step.get("withinMs", NEXT_MS)} if verb == "next" else {})}
        options = {key: step[key] for key in ("timeoutMs", "trace", "retry", "types", "limit", "local", "count", "stateVersion", "concurrency",
                                              "over", "parallel", "environment", "in") if key in step}
        if verb in ("call", "cast", "cast_nowait"):
            options.update(to=given[0], method=given[1], argument=given[2] if len(given) > 2 else None)
        elif verb in ("inspect", "stop", "kill"):
            options["name"] = given
        elif verb == "serve":
            options["classes"] = given
        elif verb in ("subscribe", "next", "unsubscribe"):
            options["handle"] = given
        elif verb == "cancel":
            options["number"] = self.numbers[given]
        elif verb == "open":
            here = self.client_address if step.get("by", "client") == "client" else self.address
            options["address"] = here if given is True else given
        elif verb == "processes":
            options["class_name"] = given
        elif verb in ("hammer", "flood", "start", "down"):
            options["to"] = given
        elif verb == "publish":
            options.update(group=given[0], word=given[1], argument=given[2] if len(given) > 2 else None)
        elif verb in ("groups", "registry"):
            options["prefix"] = given
        elif verb in ("group", "lookup"):
            options["group" if verb == "group" else "key"] = given
        elif verb == "act":
            options.update(process=given[0], act=given[1], **(given[2] if len(given) > 2 else {}))
        elif verb == "link":
            options.update(task=given[0], to=given[1])
        elif verb == "task":
            options.update(task=given[0], ends=given[1], **({"text": given[2]} if len(given) > 2 else {}))
        elif verb == "await":
            options["task"] = given
        if verb in ("down", "await"):
            options["withinMs"] = step.get("withinMs", NEXT_MS)
        return options

    # ---- what the runner does itself ----

    async def _finish(self, step: Dict[str, Any]) -> None:
        check(step, await self.started.pop(step["finish"]))

    async def _hammer(self, step: Dict[str, Any]) -> None:
        processes, _, written = step["hammer"].partition("|")

        async def begin(written: pathlib.Path) -> "asyncio.Future[Dict[str, Any]]":
            arguments = {**self._arguments("hammer", step), "to": f"{processes}|{written}"}
            return (await self.drivers[step.get("by", "client")].send("hammer", **arguments))[1]

        self.hammers[step["as"]] = Hammering(begin, pathlib.Path(written), step["parallel"])
        await self.hammers[step["as"]].begin()

    async def _sigkill(self, step: Dict[str, Any]) -> None:
        name, within = step["sigkill"], step.get("withinMs", 0) / 1000

        async def kill() -> None:
            self.drivers[name].kill()
            await self.drivers[name].ended()

        if "under" in step:
            await self.hammers[step["under"]].kill(kill, lambda: self._host(name), within)
        else:
            await asyncio.sleep(random.uniform(0, within))
            await kill()

    async def _until(self, step: Dict[str, Any]) -> None:
        """Repeats a step until it ends as expected."""
        await _until(lambda: self.step(step["until"]))

    async def _verify_ledger(self, step: Dict[str, Any]) -> None:
        self.note = await self.hammers.pop(step["verify_ledger"]).verify()

    # ---- the mock ----

    async def _sidecar(self, step: Dict[str, Any]) -> None:
        async def act() -> None:
            for action, argument in step["sidecar"].items():
                await getattr(self, f"_mock_{action}")(argument)

        async def nothing() -> None:
            """It is there again already."""

        if "under" in step:
            await self.hammers[step["under"]].kill(act, nothing)
        else:
            await act()

    async def _mock_faults(self, faults: Dict[str, Any]) -> None:
        assert self.sidecar is not None
        for name, value in faults.items():
            if not hasattr(self.sidecar.faults, name):
                raise Unexpected(f"no such fault: {name}")
            setattr(self.sidecar.faults, name, value)

    async def _mock_cut(self, argument: Any) -> None:
        """Ends all connections, and waits until they are dialled again."""
        assert self.sidecar is not None
        before, open_now = len(self.sidecar.hellos), len(self.sidecar.connections)
        self.sidecar.cut()
        await self._greeted(before + open_now)

    async def _mock_goodbye(self, argument: Dict[str, str]) -> None:
        assert self.sidecar is not None
        before, open_now = len(self.sidecar.hellos), len(self.sidecar.connections)
        self.sidecar.goodbye(**argument)
        await self._greeted(before + open_now)

    async def _mock_raw(self, data: str) -> None:
        """Sends bytes that are no frame, and waits until the client dials again."""
        assert self.sidecar is not None
        before = len(self.sidecar.hellos)
        self.sidecar.connections[-1].send_raw(bytes.fromhex(data))
        await self._greeted(before + 1)

    async def _mock_restart(self, argument: Any) -> None:
        if self.real is not None:
            await self.real.restart()
            return
        assert self.sidecar is not None
        before, open_now = len(self.sidecar.hellos), len(self.sidecar.connections)
        await self.sidecar.restart()
        await self._greeted(before + open_now)

    async def _mock_stop(self, argument: Any) -> None:
        assert self.sidecar is not None
        await self.sidecar.stop()

    async def _mock_listen(self, argument: Any) -> None:
        assert self.sidecar is not None
        await self.sidecar.listen()

    async def _mock_emit(self, count: int) -> None:
        assert self.sidecar is not None
        for _ in range(count):
            self.sidecar.mesh.emit("class_updated", {"class": "desk"})

    async def _mock_declare(self, spec: Dict[str, Any]) -> None:
        assert self.sidecar is not None
        self.sidecar.mesh.declare(mock.ClassSpec(**spec))

    async def _mock_remove(self, class_name: str) -> None:
        assert self.sidecar is not None
        self.sidecar.mesh.remove(class_name)

    async def _mock_handoff(self, name: str) -> None:
        """The process comes to this node, as if from another."""
        assert self.sidecar is not None
        self.sidecar.mesh.handoff(self.sidecar.mesh.processes[tuple(name.split("/", 1))])

    async def _mock_forget(self, argument: Any) -> None:
        """What was seen so far does not count any more."""
        assert self.sidecar is not None
        self.sidecar.seen.clear()

    async def _greeted(self, count: int) -> None:
        sidecar = self.sidecar
        assert sidecar is not None

        async def enough() -> None:
            if len(sidecar.hellos) < count or not all(connection.welcomed for connection in sidecar.connections):
                raise Unexpected("the client does not dial again")

        await _until(enough)

    async def _seen(self, step: Dict[str, Any]) -> None:
        """A frame arrives that has these fields: at least once, or ``count`` times."""

        async def enough() -> None:
            found = self._frames(step["seen"])
            if len(found) != step.get("count", len(found) or 1):
                raise Unexpected(f"{len(found)} such frames were seen, not {step.get('count', 'one')}")
            for lacking in step.get("lacks", ()):
                if lacking in found[-1]:
                    raise Unexpected(f"the frame has {lacking!r}: {found[-1]}")

        await _until(enough)

    async def _not_seen(self, step: Dict[str, Any]) -> None:
        if self._frames(step["not_seen"]):
            raise Unexpected("such a frame was seen")

    def _frames(self, part: Dict[str, Any]) -> List[Dict[str, Any]]:
        assert self.sidecar is not None
        return [frame for frame in self.sidecar.hellos + self.sidecar.seen if has(frame, part)]


async def _until(attempt: Any, seconds: float = 30.0) -> None:
    end = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            await attempt()
            return
        except Unexpected:
            if asyncio.get_running_loop().time() > end:
                raise
        await asyncio.sleep(0.01)


async def run_case(case: Case, drivers: Dict[str, Driver], address: str = "", client_address: str = "",
                   real: Optional[RealSidecar] = None) -> str:
    """What is worth saying of it. Raises :class:`Unexpected`. Without an address the sidecar is the mock, a new one for each case.
    ``client_address`` is where the client finds it, if elsewhere than its apps; ``real`` is it, where it was started for this run."""
    with tempfile.TemporaryDirectory(prefix="orrery-") as folder:
        if address:
            return await Running(case, drivers, address, None, folder, client_address, real).run()
        specs = [mock.ClassSpec(name, **{**options, **case.classes.get(name, {})}) for name, options in CLASSES.items()]
        async with mock.Sidecar(f"{folder}/sdk.sock", specs) as sidecar:
            return await Running(case, drivers, sidecar.address, sidecar, folder).run()
