"""Whether callers were told the truth: what they heard of each call, beside what handlers wrote down when they executed it."""
from __future__ import annotations

import collections
import pathlib
from typing import Any, Dict

from .expect import Unexpected


def verify(written: pathlib.Path, heard: Dict[str, Any], unknown_max: int) -> str:
    """Raises :class:`Unexpected` for a lie; else says in numbers what was heard.

    ``heard``: ``{"ok": [ids], "not_executed": [ids], "executed": [ids], "unknown": [ids], "torn": [texts]}``.

    What was answered, or failed as executed, was executed exactly once; what was not executed never was. Of the rest only its number is
    bounded: what was under way whenever something was killed, ``unknown_max`` in all.
    """
    executed = collections.Counter(int(line) for line in written.read_text().split()) if written.exists() else collections.Counter()
    if heard["torn"]:
        raise Unexpected(f"a state was torn: {heard['torn'][0]}")
    for outcome, times in (("ok", 1), ("executed", 1), ("not_executed", 0)):
        for number in heard[outcome]:
            if executed[number] != times:
                raise Unexpected(f"call {number} ended with {outcome!r}, and was executed {executed[number]} times")
    for number, times in executed.items():
        if times > 1:
            raise Unexpected(f"call {number} was executed {times} times")
    told = sum(len(heard[outcome]) for outcome in ("ok", "not_executed", "executed", "unknown"))
    if told != heard["calls"]:
        raise Unexpected(f"{heard['calls']} calls were made, and {told} had an outcome")
    if len(heard["unknown"]) > unknown_max:
        raise Unexpected(f"{len(heard['unknown'])} calls ended as unknown, and at most {unknown_max} were under way when something was killed")
    if not heard["ok"]:
        raise Unexpected("no call succeeded, so this proves nothing")
    return ", ".join(f"{len(heard[outcome])} {outcome}" for outcome in ("ok", "unknown", "not_executed", "executed") if heard[outcome])
