"""The documents that the sidecar answers with, for type checkers. They are plain dicts; later versions may add fields."""
from __future__ import annotations

from typing import Any, Dict, List, Optional, TypedDict



class LastExit(TypedDict):
    reason: str
    agoSeconds: float


ProcessDocument = TypedDict("ProcessDocument", {
    "class": str, "key": str, "node": str, "pid": str, "state": str, "mailbox": int, "handled": int, "restarts": int,
    "classVersion": int, "supervisor": str, "ageSeconds": float, "lastExit": Optional[LastExit],
}, total=False)


class NodeDocument(TypedDict, total=False):
    name: str
    uid: str
    boot: int
    address: str
    state: str  #: self, up, connecting, down or draining
    processes: int
    rttSeconds: float
    version: str


class ClassDocument(TypedDict, total=False):
    name: str
    version: int
    behaviour: str
    supervision: Dict[str, Any]
    limits: Dict[str, Any]
    callTimeoutSeconds: float
    error: Optional[str]


class Processes(TypedDict):
    processes: List[ProcessDocument]
    unreachable: List[str]  #: nodes that did not answer
    truncated: bool  #: there are more than the limit


class Tree(TypedDict, total=False):
    nodes: List[Dict[str, Any]]
    unreachable: List[str]
    truncated: bool


class Member(TypedDict):
    pid: str
    node: str


class Group(TypedDict):
    group: str
    members: List[Member]
    truncated: bool  #: there are more than are listed


class GroupEntry(TypedDict):
    name: str
    members: int
    here: int  #: of these on this node


class Groups(TypedDict):
    groups: List[GroupEntry]
    truncated: bool


class Key(TypedDict):
    key: str
    unique: bool
    pid: str
    node: str
    value: Any


class Registry(TypedDict):
    entries: List[Key]
    truncated: bool


class Holder(TypedDict):
    """Who holds a key, and the value that it gave it."""

    key: str
    pid: str
    value: Any
