"""A Unix socket that this program may not connect to. No time heals that, so who waits for the first connection hears of it at once."""
from __future__ import annotations

import os
import stat

from .errors import NOT_EXECUTED, Forbidden


class SocketDenied(Forbidden):
    """Says which socket, to whom, and who may connect. Raised from the :class:`PermissionError`."""

    def __init__(self, path: str, problem: PermissionError) -> None:
        text = (f"{path}: permission denied ({problem.strerror}) to {_who()}; {_socket(path)}. Accepted is a user, or a member of a group, that may "
                "write to the socket and enter its folders: look at its mode and group, and at the pod's volume that it is in")
        super().__init__(text, effect=NOT_EXECUTED)


def _who() -> str:
    groups = ", ".join(map(str, os.getgroups())) or "none"
    return f"uid {os.geteuid()}, gid {os.getegid()}, groups {groups}"


def _socket(path: str) -> str:
    try:
        about = os.stat(path)
    except OSError:
        return "the socket's mode cannot be read: a folder above it is closed too"
    return f"the socket has uid {about.st_uid}, gid {about.st_gid}, mode {stat.S_IMODE(about.st_mode):04o}"
