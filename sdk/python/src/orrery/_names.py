"""Names of processes: ``class/key``."""
from __future__ import annotations

import re
from typing import NamedTuple, Union

from .errors import NOT_EXECUTED, InvalidArgument

CLASS_BYTES_MAX = 63
KEY_BYTES_MAX = 1024
METHOD_BYTES_MAX = 128
TIMEOUT_MAX = 3600.0
GROUP_BYTES_MAX = 255
WORD_BYTES_MAX = 255
SYSTEM_WORDS = frozenset({"group_joined", "group_left", "key_lost"})
SPACES = ("mesh_unique", "mesh_duplicate", "node_unique", "node_duplicate")
_PID = re.compile(r"[^/@\s]+@\d+\.\d+\.\d+")


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
    check_class(class_name)
    _check("key", key, KEY_BYTES_MAX)
    return Name(class_name, key)


def parse_address(to: NameLike) -> str:
    """A pid's text, or ``class/key``. Raises :class:`InvalidArgument` for what is neither."""
    if isinstance(to, str):
        if _PID.fullmatch(to):
            return to
        if "@" in to.partition("/")[0]:  # which no class has
            raise _refusal(f"{to!r} is no pid: NODE@BOOT.SLOT.GENERATION")
    return str(parse_name(to))


def is_pid(to: str) -> bool:
    return _PID.fullmatch(to) is not None


def check_group(group: str) -> str:
    """Raises :class:`InvalidArgument` for what names no group."""
    _check("group", group, GROUP_BYTES_MAX)
    return group


def check_word(word: str) -> str:
    """Raises :class:`InvalidArgument` for what is no word of a plain message, or one of the system's."""
    _check("word", word, WORD_BYTES_MAX)
    if word in SYSTEM_WORDS:
        raise _refusal(f"{word!r} is a word of the system's")
    return word


def check_key(key: str, space: str) -> "dict[str, str]":
    """The fields of a key of the registry. Raises :class:`InvalidArgument` for what is none."""
    _check("key", key, KEY_BYTES_MAX)
    if space not in SPACES:
        raise _refusal(f"in_ is one of {', '.join(SPACES)}, not {space!r}")
    return {"key": key, "in": space}


def check_seconds(seconds: object, what: str) -> None:
    """Raises :class:`TypeError` for what is no number."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"{what} is a number of seconds, not {type(seconds).__name__}")


def check_timeout(seconds: "float | None") -> "float | None":
    """Raises :class:`InvalidArgument` for what is no time to wait, :class:`TypeError` for what is no number."""
    if seconds is not None:
        check_seconds(seconds, "timeout")
    if seconds is not None and not 0 < seconds <= TIMEOUT_MAX:
        raise _refusal(f"a timeout is over 0 and at most {TIMEOUT_MAX:g} seconds, not {seconds}")
    return seconds


def check_class(class_name: str) -> str:
    """Raises :class:`InvalidArgument` for what names no class."""
    _check("class", class_name, CLASS_BYTES_MAX)
    return class_name


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
