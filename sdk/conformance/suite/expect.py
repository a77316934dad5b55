"""Whether an answer is what a step expects."""
from __future__ import annotations

import json
from typing import Any, Dict


class Unexpected(Exception):
    pass


def check(step: Dict[str, Any], answer: Dict[str, Any]) -> None:
    """``gives``: exactly that; ``has``: at least that; ``fails``: such an error; none of them: any success."""
    if "fails" in step:
        _check_error(step["fails"], answer)
    elif "fails" in answer:
        raise Unexpected(f"failed with {_short(answer['fails'])}")
    elif "gives" in step and not same(step["gives"], answer.get("gives")):
        raise Unexpected(f"gave {_short(answer.get('gives'))}, not {_short(step['gives'])}")
    elif "has" in step and not has(answer.get("gives"), step["has"]):
        raise Unexpected(f"gave {_short(answer.get('gives'))}, which has not {_short(step['has'])}")


def _check_error(wanted: Dict[str, Any], answer: Dict[str, Any]) -> None:
    if "fails" not in answer:
        raise Unexpected(f"gave {_short(answer.get('gives'))} instead of failing with {_short(wanted)}")
    error = answer["fails"]
    for key in ("code", "effect"):
        accepted = wanted.get(key, error.get(key))
        if error.get(key) not in (accepted if isinstance(accepted, list) else [accepted]):
            raise Unexpected(f"failed with {_short(error)}, not with {key} {_short(accepted)}")
    if wanted.get("text", "") not in error.get("text", ""):
        raise Unexpected(f"failed with {_short(error)}, whose text does not say {wanted['text']!r}")


def same(left: Any, right: Any) -> bool:
    """As JSON: true is not 1, but 1.0 is."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def has(whole: Any, part: Any) -> bool:
    """Maps may have more entries; all else is the same."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and has(whole[key], value) for key, value in part.items())
    return same(whole, part)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 300 else text[:297] + "..."
