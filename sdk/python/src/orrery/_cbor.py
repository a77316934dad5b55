"""CBOR (RFC 8949) for plain data: null, booleans, integers, floats, texts, byte strings, arrays, maps with text keys.

Strict both ways, as the sidecar is: definite lengths only, valid UTF-8, no key twice, no bytes left over, bounded nesting. Tags
are passed over when reading. What JSON has no word for (undefined, NaN) is not written.
"""
from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any, Callable, Dict, Tuple

DEPTH_MAX = 64
INT_MIN, INT_MAX = -(2**63), 2**64 - 1
"""What the sidecar keeps exactly. Larger integers are refused instead of rounded."""

_pack_float = struct.Struct(">Bd").pack
_FLOATS = {25: struct.Struct(">e"), 26: struct.Struct(">f"), 27: struct.Struct(">d")}
_SIMPLE = {20: False, 21: True, 22: None}


class CborError(ValueError):
    """Bytes that are no plain data, or data that is not plain."""


class Encoded:
    """An item that is encoded already; :func:`dumps` copies it in as it is."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Encoded) and other.data == self.data

    def __hash__(self) -> int:
        return hash(self.data)


# ---- writing ----


def dumps(value: Any, *, depth_max: int = DEPTH_MAX) -> bytes:
    """Encodes one item. Raises :class:`CborError`, which names the place, for what is not plain data."""
    out = bytearray()
    try:
        _write(value, out, depth_max)
    except (_NotPlain, UnicodeEncodeError) as problem:
        raise CborError(_describe(value, depth_max) or str(problem)) from None
    return bytes(out)


class _NotPlain(Exception):
    pass


def _head(major: int, number: int, out: bytearray) -> None:
    if number < 24:
        out.append(major | number)
    elif number < 0x100:
        out.append(major | 24)
        out.append(number)
    elif number < 0x10000:
        out.append(major | 25)
        out += number.to_bytes(2, "big")
    elif number < 0x100000000:
        out.append(major | 26)
        out += number.to_bytes(4, "big")
    else:
        out.append(major | 27)
        out += number.to_bytes(8, "big")


def _write(value: Any, out: bytearray, depth: int) -> None:
    writer = _WRITERS.get(type(value)) or _writer_for(value)
    writer(value, out, depth)


def _write_text(value: str, out: bytearray, depth: int) -> None:
    data = value.encode()
    if len(data) < 24:
        out.append(0x60 | len(data))
    else:
        _head(0x60, len(data), out)
    out += data


def _write_int(value: int, out: bytearray, depth: int) -> None:
    if not INT_MIN <= value <= INT_MAX:
        raise _NotPlain(_out_of_range(value))
    if value >= 0:
        _head(0x00, value, out)
    else:
        _head(0x20, -1 - value, out)


def _write_float(value: float, out: bytearray, depth: int) -> None:
    if not math.isfinite(value):
        raise _NotPlain(f"{value} has no form in plain data")
    out += _pack_float(0xFB, value)


def _write_bytes(value: Any, out: bytearray, depth: int) -> None:
    data = bytes(value)
    _head(0x40, len(data), out)
    out += data


def _write_array(value: Any, out: bytearray, depth: int) -> None:
    if depth == 0:
        raise _NotPlain(_too_deep())
    _head(0x80, len(value), out)
    for item in value:
        _write(item, out, depth - 1)


def _write_map(value: Mapping[str, Any], out: bytearray, depth: int) -> None:
    if depth == 0:
        raise _NotPlain(_too_deep())
    _head(0xA0, len(value), out)
    for key, item in value.items():
        if not isinstance(key, str):
            raise _NotPlain(f"the key {key!r} is no text")
        _write_text(key, out, 0)
        writer = _WRITERS.get(type(item)) or _writer_for(item)
        writer(item, out, depth - 1)


_WRITERS: Dict[type, Callable[[Any, bytearray, int], None]] = {
    type(None): lambda value, out, depth: out.append(0xF6),
    bool: lambda value, out, depth: out.append(0xF5 if value else 0xF4),
    int: _write_int,
    float: _write_float,
    str: _write_text,
    bytes: _write_bytes,
    bytearray: _write_bytes,
    memoryview: _write_bytes,
    list: _write_array,
    tuple: _write_array,
    dict: _write_map,
    Encoded: lambda value, out, depth: out.extend(value.data),
}


def _writer_for(value: Any) -> Callable[[Any, bytearray, int], None]:
    """For subclasses of the plain types (an IntEnum, a defaultdict, a named tuple) and other mappings."""
    for kind in (int, float, str, bytes, list, tuple):
        if isinstance(value, kind):
            return _WRITERS[kind]
    if isinstance(value, Mapping):
        return _write_map
    raise _NotPlain(f"{type(value).__name__} is no plain data")


def _too_deep() -> str:
    return "nested too deeply"


def _out_of_range(value: int) -> str:
    return f"an integer of {value.bit_length()} bits; from -2^63 to 2^64 - 1 can be sent"


def _describe(value: Any, depth: int, path: str = "") -> str:
    """Finds the first place that cannot be written; slow, so only done for the error's text."""
    if isinstance(value, Mapping):
        if depth == 0:
            return f"nested too deeply at {path}"
        for key, item in value.items():
            if not isinstance(key, str):
                return f"the key {key!r} at {path or 'the top'} is {type(key).__name__}; keys are texts"
            found = _describe(item, depth - 1, f"{path}.{key}")
            if found:
                return found
        key_problem = next((key for key in value if not _is_writable(key)), None)
        return "" if key_problem is None else f"the key {key_problem!r} at {path or 'the top'} is no valid Unicode"
    if isinstance(value, (list, tuple)):
        if depth == 0:
            return f"nested too deeply at {path}"
        for index, item in enumerate(value):
            found = _describe(item, depth - 1, f"{path}[{index}]")
            if found:
                return found
        return ""
    try:
        _write(value, bytearray(), depth)
    except _NotPlain as problem:
        hint = "; send None, bool, int, float, str, bytes, list or dict" if "no plain data" in str(problem) else ""
        return f"{problem} at {path or 'the top'}{hint}"
    except UnicodeEncodeError:
        return f"a text that is no valid Unicode at {path or 'the top'}"
    return ""


def _is_writable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# ---- reading ----


def loads(data: bytes, *, depth_max: int = DEPTH_MAX) -> Any:
    """Decodes exactly one item. Raises :class:`CborError` where it is not that."""
    return _guarded(_whole_item, data, depth_max)


def loads_map(data: bytes, raw: str, *, depth_max: int = DEPTH_MAX) -> Tuple[Dict[str, Any], bytes]:
    """Decodes one map, and says which bytes its entry ``raw`` had (none: empty), so that they can be compared later."""
    return _guarded(_whole_map, data, depth_max, raw)  # type: ignore[no-any-return]


def _guarded(read: Callable[..., Any], data: bytes, *more: Any) -> Any:
    try:
        return read(data, *more)
    except IndexError:
        raise CborError("the bytes end within an item") from None
    except UnicodeDecodeError:
        raise CborError("a text is no valid UTF-8") from None


def _whole_item(data: bytes, depth: int) -> Any:
    value, at = _item(data, 0, depth)
    _nothing_left(data, at)
    return value


def _whole_map(data: bytes, depth: int, raw: str) -> Tuple[Dict[str, Any], bytes]:
    major, count, at = _read_head(data, 0)
    if major != 5:
        raise CborError("not a map")
    entries: Dict[str, Any] = {}
    kept = b""
    for _ in range(count):
        key, start = _key(data, at)
        entries[key], at = _item(data, start, depth - 1)
        if key == raw:
            kept = data[start:at]
    _no_key_twice(entries, count)
    _nothing_left(data, at)
    return entries, kept


def _nothing_left(data: bytes, at: int) -> None:
    if at != len(data):
        raise CborError(f"{len(data) - at} bytes are left over after the item")


def _no_key_twice(entries: Dict[str, Any], count: int) -> None:
    if len(entries) != count:
        raise CborError("a map has a key twice")


def _read_head(data: bytes, at: int) -> Tuple[int, int, int]:
    """(major type, its number, where what follows begins)."""
    head = data[at]
    low = head & 31
    at += 1
    if low < 24:
        return head >> 5, low, at
    if low > 27:
        raise CborError("an indefinite length, which is not used here" if low == 31 else f"the reserved head 0x{head:02x}")
    end = at + (1 << (low - 24))
    if end > len(data):
        raise IndexError
    return head >> 5, int.from_bytes(data[at:end], "big"), end


def _key(data: bytes, at: int) -> Tuple[str, int]:
    head = data[at]
    if 0x60 <= head < 0x78:  # almost every key; a call less
        at += 1
        end = at + head - 0x60
    else:
        major, size, at = _read_head(data, at)
        if major != 3:
            raise CborError("a map has a key that is no text")
        end = at + size
    if end > len(data):
        raise IndexError
    return data[at:end].decode(), end


def _item(data: bytes, at: int, depth: int) -> Tuple[Any, int]:
    head = data[at]
    if head >= 0xE0:
        return _simple_or_float(data, at)
    number = head & 31
    if number < 24:
        major = head >> 5
        at += 1
    else:
        major, number, at = _read_head(data, at)
    if major == 0:
        return number, at
    if major == 1:
        return -1 - number, at
    if major == 6:
        return _tagged(data, at, depth)
    # The rest has as many bytes, or at least as many items of a byte, as its number says: nothing is reserved for a lie.
    end = at + number
    if end > len(data):
        raise IndexError
    if major == 3:
        return data[at:end].decode(), end
    if major == 2:
        return data[at:end], end
    if depth == 0:
        raise CborError("nested too deeply")
    if major == 4:
        items = []
        for _ in range(number):
            value, at = _item(data, at, depth - 1)
            items.append(value)
        return items, at
    entries: Dict[str, Any] = {}
    for _ in range(number):
        key, at = _key(data, at)
        entries[key], at = _item(data, at, depth - 1)
    _no_key_twice(entries, number)
    return entries, at


def _tagged(data: bytes, at: int, depth: int) -> Tuple[Any, int]:
    while data[at] >> 5 == 6:
        _, _, at = _read_head(data, at)
    return _item(data, at, depth)


def _simple_or_float(data: bytes, at: int) -> Tuple[Any, int]:
    low = data[at] & 31
    if low in _SIMPLE:
        return _SIMPLE[low], at + 1
    shape = _FLOATS.get(low)
    if shape is None:
        raise CborError(f"the simple value 0x{data[at]:02x} is no plain data")
    end = at + 1 + shape.size
    if end > len(data):
        raise IndexError
    return shape.unpack_from(data, at + 1)[0], end
