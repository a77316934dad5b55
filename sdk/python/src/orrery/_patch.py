"""JSON merge patches (RFC 7396) between two states, where they say the change in fewer words than the new state."""
from __future__ import annotations

from typing import Any, Dict, Optional


def same(left: Any, right: Any) -> bool:
    """Equal as data: 1, 1.0 and True are three things here, and a tuple is an array."""
    if isinstance(left, dict):
        return isinstance(right, dict) and left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return isinstance(right, (list, tuple)) and len(left) == len(right) and all(map(same, left, right))
    if type(left) is not type(right):
        return False
    return repr(left) == repr(right) if isinstance(left, float) else bool(left == right)


def diff(before: Any, after: Any) -> Optional[Dict[str, Any]]:
    """The patch that makes ``after`` of ``before``; None where no patch can (not both maps, or a null that would be taken for a removal)."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return None
    patch: Dict[str, Any] = {key: None for key in before if key not in after}
    for key, new in after.items():
        old = before.get(key)
        if key in before and same(old, new):
            continue
        inner = diff(old, new) if old else None
        if inner is not None:
            patch[key] = inner
        elif _has_null(new):
            return None
        else:
            patch[key] = new
    return patch


def apply(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2. The target is not changed."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = apply(result.get(key), value)
    return result


def _has_null(value: Any) -> bool:
    """Whether the value, put into a patch, would lose a null. In arrays nulls are safe; as members they mean removal."""
    if value is None:
        return True
    return isinstance(value, dict) and any(map(_has_null, value.values()))
