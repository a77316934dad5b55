"""Values: arguments, replies and states, encoded and measured before they go anywhere."""
from __future__ import annotations

from typing import Any, Mapping, Sequence, Union

from . import _cbor
from .errors import NOT_EXECUTED, InvalidArgument, TooLarge

VALUE_BYTES_MAX = 1024 * 1024

Value = Union[None, bool, int, float, str, bytes, Sequence["Value"], Mapping[str, "Value"]]
"""Plain data: what JSON could express, and byte strings."""


def well_formed(text: str) -> str:
    """The text with a mark in place of what is no valid Unicode, as in names of files that are not: for people, never for values."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def encode_value(value: Any, what: str, bytes_max: int = VALUE_BYTES_MAX) -> _cbor.Encoded:
    """Raises :class:`InvalidArgument` for what is not plain data, :class:`TooLarge` for what is over the limit."""
    try:
        encoded = _cbor.dumps(value)
    except _cbor.CborError as problem:
        raise InvalidArgument(f"the {what} cannot be sent: {problem}", effect=NOT_EXECUTED) from None
    if len(encoded) > bytes_max:
        raise TooLarge(f"the {what} has {len(encoded)} bytes; at most {bytes_max} can be sent", effect=NOT_EXECUTED)
    return _cbor.Encoded(encoded)
