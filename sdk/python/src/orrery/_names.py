"""Names of processes: ``class/key``."""
from __future__ import annotations

from typing import NamedTuple, Union

from .errors import NOT_EXECUTED, InvalidArgument

CLASS_BYTES_MAX = 63
KEY_BYTES_MAX = 1024
METHOD_BYTES_MAX = 128


class Name(NamedTuple):
    """The name of a process. As text it is ``class/key``; the key may have slashes of its own."""

    class_name: str
    key: str

    def __str__(self) -> str:
        return f"{self.class_name}/{self.key}"


NameLike = Union[str, Name]


def parse_name(name: NameLike) -> Name:
    """Raises :class:`InvalidArgument` for what names no process."""
    if isinstance(name, Name):
        class_name, key = name
    elif isinstance(name, str):
        class_name, slash, key = name.partition("/")
        if not slash:
            raise _refusal(f"{name!r} names no process; names are 'class/key', as in 'cart/ada'")
    else:
        raise _refusal(f"a name is a text 'class/key' or an orrery.Name, not {type(name).__name__}")
    _check("class", class_name, CLASS_BYTES_MAX)
    _check("key", key, KEY_BYTES_MAX)
    return Name(class_name, key)


def check_method(method: str) -> str:
    """Raises :class:`InvalidArgument` for what names no method."""
    _check("method", method, METHOD_BYTES_MAX)
    return method


def _check(what: str, text: object, bytes_max: int) -> None:
    if not isinstance(text, str):
        raise _refusal(f"a {what} is a text, not {type(text).__name__}")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise _refusal(f"the {what} {text!r} is no valid Unicode") from None
    if not 1 <= size <= bytes_max:
        raise _refusal(f"the {what} has {size} bytes; 1 to {bytes_max} are accepted")


def _refusal(text: str) -> InvalidArgument:
    return InvalidArgument(text, effect=NOT_EXECUTED)
