"""Many calls while programs are killed: that each kill comes while calls are under way, and what callers heard of each call."""
from __future__ import annotations

import asyncio
import pathlib
import random
from typing import Any, Awaitable, Callable, Dict, List, Optional, Tuple

from .expect import Unexpected
from .ledger import verify

TRIES_MAX = 10
LOOK_SECONDS = 0.002

Act = Callable[[], Awaitable[None]]
Begin = Callable[[pathlib.Path], Awaitable["asyncio.Future[Dict[str, Any]]"]]


class Run:
    """Calls that were begun once. Each has its line in ``written`` as soon as its handler executes it."""

    def __init__(self, answer: "asyncio.Future[Dict[str, Any]]", written: pathlib.Path) -> None:
        self.answer = answer
        self.written = written
        self.kills = 0  #: that came while it was open

    @property
    def is_open(self) -> bool:
        return not self.answer.done()

    def executed(self) -> int:
        return self.written.read_bytes().count(b"\n") if self.written.exists() else 0

    async def goes_on(self, since: int) -> bool:
        """Whether more than ``since`` calls are ever executed: those beyond were outstanding, or yet to be sent."""
        while self.is_open and self.executed() <= since:
            await asyncio.sleep(LOOK_SECONDS)
        return self.executed() > since

    async def heard(self) -> Dict[str, Any]:
        answer = await self.answer
        if "gives" not in answer:
            raise Unexpected(f"the calls could not be made: {answer}")
        return answer["gives"]  # type: ignore[no-any-return]


class Hammering:
    """A ``hammer`` of a case. A kill that finds all calls over proves nothing: then as many are made again, and it is tried again."""

    def __init__(self, begin: Begin, written: pathlib.Path, callers: int) -> None:
        self._begin = begin
        self._written = written
        self._callers = callers
        self._last: Optional[Tuple[Act, Act]] = None
        self.runs: List[Run] = []
        self.hits = 0
        self.misses = 0

    async def begin(self) -> Run:
        written = self._written.with_name(f"{self._written.name}-{len(self.runs) + 1}") if self.runs else self._written
        self.runs.append(Run(await self._begin(written), written))
        return self.runs[-1]

    async def kill(self, kill: Act, revive: Act, within: float = 0.0) -> None:
        """Kills when calls are under way, up to ``within`` seconds after one was seen to be executed. After a miss, ``revive`` and again.

        ``kill`` does it before it first waits. Raises :class:`Unexpected` after :data:`TRIES_MAX` tries.
        """
        self._last = (kill, revive)
        for attempt in range(TRIES_MAX):
            run = self.runs[-1] if self.runs[-1].is_open else await self.begin()
            await run.goes_on(run.executed())
            await asyncio.sleep(random.uniform(0, within / 2**attempt))
            if not run.is_open:
                continue  # too late, and nobody was harmed
            executed = run.executed()
            run.kills += 1
            await kill()
            if await run.goes_on(executed):
                self.hits += 1
                return
            self.misses += 1
            await revive()
        raise Unexpected(f"no kill hit in {TRIES_MAX} tries: whenever it was due, all calls were over")

    async def verify(self) -> str:
        """What was heard, in numbers. Where every call succeeded, no kill met one under way: then it is done again."""
        for _ in range(TRIES_MAX):
            heard = [await run.heard() for run in self.runs]
            if self._last is None or any(len(each["ok"]) < each["calls"] for each in heard):
                break
            kill, revive = self._last
            await self.kill(kill, revive)
            await revive()
        else:
            raise Unexpected(f"all calls succeeded in spite of {self.hits} kills, so none of these met a call that was under way")
        said = [verify(run.written, each, self._callers * run.kills) for run, each in zip(self.runs, heard)]
        return f"{'; '.join(said)}; {self.hits} kills hit" + (f", {self.misses} missed" if self.misses else "")
