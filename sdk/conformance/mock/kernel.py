"""What processes are to each other, hosted ones and those of clients: who watches whom, who is linked, groups, and keys."""
from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Set, Tuple

from .model import Message, Process, Reason, Wrong, error

if TYPE_CHECKING:
    from .mesh import Mesh

SYSTEM_WORDS = ("group_joined", "group_left", "key_lost")
SPACES = ("mesh_unique", "mesh_duplicate", "node_unique", "node_duplicate")
EXIT_KINDS = ("normal", "shutdown", "error", "kill")
_PID = re.compile(r"[a-z0-9.-]+@\d+\.\d+\.\d+")


@dataclass(eq=False)
class Monitor:
    watcher: str
    of: str
    tell: Callable[[str, Reason], None]  #: the pid and why it ended


class Kernel:
    def __init__(self, mesh: "Mesh") -> None:
        self.mesh = mesh
        self.pids: Dict[str, Any] = {}  #: a Process, or a ClientProcess
        self.monitors: List[Monitor] = []
        self.links: Dict[str, Set[str]] = {}
        self.groups: "Dict[str, Counter[str]]" = {}
        self.watching: Dict[str, Set[str]] = {}  #: by group
        self.keys: Dict[Tuple[str, str], Dict[str, Any]] = {}  #: by space and key: pid -> value

    # ---- names ----

    def pid_of(self, to: Any) -> str:
        """Of a name the process that runs now, or the name itself: none. Raises :class:`Wrong` for what is no address."""
        name = name_in(to)
        if name is None:
            return str(to)
        process = self.mesh.processes.get(name)
        return process.pid if process is not None else str(to)

    # ---- messages ----

    def plain(self, to: str, word: str, argument: Any, sender: str = "") -> None:
        target = self.pids.get(to)
        if isinstance(target, Process):
            target.mailbox.append(Message("info", word, argument, source="message"))
            self.mesh.pump(target)
        elif target is not None:
            target.deliver({"kind": "plain", "word": word, "argument": argument, **({"from": sender} if sender else {})})

    def publish(self, group: str, word: str, argument: Any, sender: str = "") -> int:
        check_word(word)
        members = list(self.groups.get(check_group(group), ()))
        for member in members:
            self.plain(member, word, argument, sender)
        return len(members)

    # ---- monitors and links ----

    def monitor(self, watcher: str, to: str, tell: Callable[[str, Reason], None]) -> Monitor:
        """``to`` is a pid, or a name that nothing runs under."""
        monitor = Monitor(watcher, to, tell)
        if to in self.pids:
            self.monitors.append(monitor)
        else:
            tell(to, {"kind": "noproc", "text": "no such process"})
        return monitor

    def demonitor(self, monitor: Optional[Monitor]) -> None:
        if monitor in self.monitors:
            self.monitors.remove(monitor)

    def link(self, one: str, other: str) -> None:
        if other not in self.pids:
            self._signal(one, other, {"kind": "noproc", "text": "no such process"})
            return
        self.links.setdefault(one, set()).add(other)
        self.links.setdefault(other, set()).add(one)

    def unlink(self, one: str, other: str) -> None:
        for pid, peer in ((one, other), (other, one)):
            linked = self.links.get(pid, set())
            linked.discard(peer)
            if not linked:
                self.links.pop(pid, None)

    def exit(self, sender: str, to: str, reason: Reason) -> None:
        self._signal(to, sender, reason)

    def _signal(self, to: str, sender: str, reason: Reason) -> None:
        target = self.pids.get(to)
        if not isinstance(target, Process):
            if target is not None:
                target.exit_signal(sender, reason)
        elif reason["kind"] == "kill":
            self.mesh.exit(target, f"killed: {reason['text']}")
        elif reason["kind"] == "shutdown":
            self.mesh.apps.stop(target, reason)
        elif reason["kind"] != "normal":
            self.mesh.exit(target, f"{reason['kind']}: {reason['text']}")

    def ended(self, pid: str, reason: Reason) -> None:
        """A process has ended: what it held is free, and who is concerned hears of it."""
        if self.pids.pop(pid, None) is None:
            return
        for holders in self.keys.values():
            holders.pop(pid, None)
        for watchers in self.watching.values():
            watchers.discard(pid)
        for group in list(self.groups):
            self._leave_for_good(group, pid)
        self.monitors = [monitor for monitor in self.monitors if monitor.watcher != pid]
        for monitor in [monitor for monitor in self.monitors if monitor.of == pid]:
            self.monitors.remove(monitor)
            monitor.tell(pid, reason)
        for other in list(self.links.get(pid, ())):
            self.unlink(pid, other)
            self._signal(other, pid, reason)

    # ---- groups ----

    def join(self, pid: str, group: str) -> None:
        members = self.groups.setdefault(check_group(group), Counter())
        members[pid] += 1
        if members[pid] == 1:
            self._tell_watchers(group, "group_joined", pid)

    def leave(self, pid: str, group: str) -> bool:
        members = self.groups.get(check_group(group), Counter())
        if pid not in members:
            return False
        members[pid] -= 1
        if members[pid] == 0:
            self._leave_for_good(group, pid)
        return True

    def _leave_for_good(self, group: str, pid: str) -> None:
        members = self.groups[group]
        if members.pop(pid, None) is not None:
            self._tell_watchers(group, "group_left", pid)
        if not members:
            del self.groups[group]

    def _tell_watchers(self, group: str, word: str, pid: str) -> None:
        for watcher in sorted(self.watching.get(group, ())):
            self.plain(watcher, word, {"group": group, "pids": [pid]})

    # ---- keys ----

    def claim(self, pid: str, key: str, value: Any, space: str) -> None:
        holders = self.holders(key, space)
        holder = next(iter(holders), None)
        if holder is not None and (space.endswith("unique") or pid in holders):
            raise Wrong(error("already_exists", f"key {key!r} is held by {holder}"))
        holders[pid] = value

    def holders(self, key: str, space: str) -> Dict[str, Any]:
        if space not in SPACES:
            raise Wrong(error("invalid_argument", f"in is one of {', '.join(SPACES)}, not {space!r}"))
        if not isinstance(key, str) or not 1 <= len(key.encode()) <= 1024:
            raise Wrong(error("invalid_argument", "a key has 1 to 1024 bytes"))
        return self.keys.setdefault((space, key), {})


def name_in(to: Any) -> Optional[Tuple[str, str]]:
    """``class/key``; None for a pid. Raises :class:`Wrong` for neither."""
    class_name, slash, key = to.partition("/") if isinstance(to, str) else ("", "", "")
    if slash and class_name and key:
        return class_name, key
    if not isinstance(to, str) or not _PID.fullmatch(to):
        raise Wrong(error("invalid_argument", f"to is a pid or class/key, not {to!r}"))
    return None


def check_group(group: Any) -> str:
    if not isinstance(group, str) or not 1 <= len(group.encode()) <= 255:
        raise Wrong(error("invalid_argument", "a group's name has 1 to 255 bytes"))
    return group


def check_word(word: Any) -> str:
    if not isinstance(word, str) or not 1 <= len(word.encode()) <= 255:
        raise Wrong(error("invalid_argument", "a word has 1 to 255 bytes"))
    if word in SYSTEM_WORDS:
        raise Wrong(error("invalid_argument", f"{word!r} is a word of the system's"))
    return word


def check_reason(reason: Any, kinds: Tuple[str, ...]) -> Reason:
    if not isinstance(reason, dict) or reason.get("kind") not in kinds:
        raise Wrong(error("invalid_argument", f"a reason's kind is one of {', '.join(kinds)}"))
    return {"kind": reason["kind"], "text": reason.get("text", "")}
