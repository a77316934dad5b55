"""A live mesh from outside of it: for notebooks, scripts and consoles, blocking, over HTTP."""
from __future__ import annotations

import os
import time
import urllib.parse
from types import TracebackType
from typing import Any, Callable, Dict, FrozenSet, Iterable, Iterator, List, Optional, Type, TypeVar, cast

from . import _tables
from ._attached import Attached
from ._events import Event, EventTypes, event_types
from ._http import Http, Stream, encode
from ._names import NameLike, check_method, parse_name
from ._tables import Findings, Found, Table
from .documents import ProcessDocument
from .errors import NOT_EXECUTED, InvalidArgument, NotFound, OrreryError, Unavailable

CALL_SECONDS = 120.0
"""A class' own timeout ends a call before; this is for a sidecar that is stuck."""
SLACK_SECONDS = 2.0
"""So that the sidecar's answer, which knows more, comes first."""
LIST_MAX = 10000
RETRY_SECONDS = (0.25, 5.0)

T = TypeVar("T")


def attach(mesh: Optional[str] = None, namespace: Optional[str] = None, sidecar: Optional[str] = None, kubeconfig: Optional[str] = None, *,
           context: Optional[str] = None, program: str = "orrery", timeout: float = 60.0) -> "Mesh":
    """Reaches a live mesh from this machine, through the Kubernetes API, as ``kubectl`` would::

        with orrery.attach(mesh="demo") as mesh:
            mesh.processes("cart")

    Runs ``orrery attach``, the command line (``program`` says where it is), until the mesh is closed, dropped, or this program ends. When
    the pod that it goes through goes away, it goes on through another one. ``namespace``, ``kubeconfig`` and ``context`` are by default as
    kubectl has them. With ``sidecar``, a URL, nothing is run; with neither, it is ``$ORRERY_SIDECAR``, as in a pod of a mesh or under
    ``orrery attach -- python3``.
    """
    if mesh is None and sidecar is None:
        sidecar = os.environ.get("ORRERY_SIDECAR")
        if not sidecar:
            raise InvalidArgument("say which mesh, as attach(mesh='demo'), or which sidecar, as attach(sidecar='http://127.0.0.1:3600')",
                                  effect=NOT_EXECUTED)
    if sidecar is not None:
        return Mesh(sidecar)
    arguments = [f"--mesh={mesh}"]
    for option, value in (("namespace", namespace), ("kubeconfig", kubeconfig), ("context", context)):
        if value is not None:
            arguments.append(f"--{option}={os.fspath(value)}")
    attached = Attached(program, arguments, timeout)
    return Mesh(attached.where["url"], attached)


class Mesh:
    """A mesh through one of its sidecars: made by :func:`orrery.attach`. Threads may share it.

    What does not succeed raises an :class:`orrery.OrreryError`. Lists are plain lists of dicts, as ``docs/protocol.md`` describes them, that
    show themselves as tables.
    """

    def __init__(self, url: str, attached: Optional[Attached] = None) -> None:
        self._http = Http(url)
        self._attached = attached

    @property
    def url(self) -> str:
        """Of the sidecar; what ``ORRERY_SIDECAR`` may be set to as long as this is open."""
        return self._http.url

    def close(self) -> None:
        """Ends what was started for it. May be called again."""
        self._http.close()
        if self._attached is not None:
            self._attached.close()

    def __enter__(self) -> "Mesh":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], problem: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.close()

    def __repr__(self) -> str:
        what = "closed" if self._http.closed else self.url
        if self._attached is not None:
            what = f"{self._attached.where['mesh']} in {self._attached.where['namespace']}, {what}"
        return f"<orrery.Mesh {what}>"

    # ---- looking ----

    def nodes(self) -> Table:
        return self._table("/v1/nodes", "nodes", _tables.NODES)

    def classes(self) -> Table:
        return self._table("/v1/classes", "classes", _tables.CLASSES)

    def processes(self, class_: Optional[str] = None, *, limit: int = 1000) -> Table:
        """Of the whole mesh, in the order of their names; at most 10000."""
        return self._table(_path("/v1/processes", {"class": class_, "limit": limit}), "processes", _tables.PROCESSES)

    def tree(self, class_: Optional[str] = None) -> Table:
        """The supervisors of every node, with the ``node`` of each."""
        document = self._ask("GET", _path("/v1/tree", {"class": class_, "children": 0}))
        rows = [{**supervisor, "node": each.get("node")} for each in document.get("nodes", []) for supervisor in each.get("supervisors", [])]
        return Table(rows, _tables.SUPERVISORS, "supervisors", unreachable=document.get("unreachable"), truncated=document.get("truncated", False))

    def top(self, by: str = "mailbox", *, limit: int = 20) -> Table:
        """The greatest processes by ``mailbox``, ``age``, ``memory``, ``reductions`` or ``messages``."""
        nothing = "" if by == "memory" else f"(of {by} no process has any now; top('memory') lists them all)"
        return self._table(_path("/v1/top", {"by": by, "limit": limit}), "processes", _tables.TOP, nothing)

    def crashes(self, class_: Optional[str] = None, *, name: Optional[NameLike] = None, limit: int = 20) -> Table:
        """The latest crashes that the nodes remember, of all processes, a class, or one."""
        asked: Dict[str, Any] = {"class": class_, "limit": limit}
        if name is not None:
            asked["class"], asked["key"] = parse_name(name)
        return self._table(_path("/v1/crashes", asked), "crashes", _tables.CRASHES)

    def inspect(self, name: NameLike) -> ProcessDocument:
        return cast(ProcessDocument, self._ask("GET", _of(name)))

    def state(self, name: NameLike) -> Any:
        """The state of a process that runs, as it would be handed over to another node."""
        return self._ask("GET", _of(name) + "/state")

    def query(self, class_: str, where: Optional[Callable[[Any], object]] = None, limit: int = 1000) -> Findings:
        """Processes of a class that run, each with its state: those whose state ``where`` is true for, and at most ``limit``. A list.

        Each state is as of the moment when it is read, one after the other; at most 10000 processes are looked at, until ``limit`` are found. ::

            for name, state in mesh.query("cart", where=lambda state: len(state["items"]) > 10): ...
        """
        if limit < 1:
            raise InvalidArgument(f"limit is at least 1, not {limit}", effect=NOT_EXECUTED)
        running = self.processes(class_, limit=LIST_MAX if where else min(limit, LIST_MAX))
        names = [f"{row['class']}/{row['key']}" for row in running if row.get("state") != "given up"]
        return Findings(self._find(names, where, limit), _tables.FINDINGS, "processes", unreachable=running.unreachable)

    def _find(self, names: List[str], where: Optional[Callable[[Any], object]], limit: int) -> Iterator[Found]:
        for name in names:
            try:
                state = self.state(name)
            except NotFound:
                continue  # it has ended meanwhile
            if where is None or where(state):
                yield Found(name, state)
                limit -= 1
                if limit == 0:
                    return

    def events(self, *types: EventTypes) -> Iterator[Event]:
        """What the node of this sidecar sees and does, as it happens: ``events("process_restarted", "node_down")``; all types where none is named.

        The subscription stands when this returns, and ends when the iterator is closed or dropped. Where the connection is lost it is made
        anew, and an event ``resubscribed`` says that some may be missing.
        """
        wanted = frozenset(event_types(types))
        following = self._follow(self._subscribe(), wanted)
        next(following)  # from here on it ends the subscription however it ends itself
        return following

    def _subscribe(self) -> Stream:
        return self._explained(self._http.events, "/v1/events")

    def _follow(self, stream: Stream, wanted: FrozenSet[str]) -> Iterator[Event]:
        try:
            yield Event("subscribed")
            while True:
                for kind, data in stream:
                    if not wanted or kind in wanted or kind == "dropped":
                        yield Event(kind, data if isinstance(data, dict) else {})
                stream.close()
                stream = self._subscribe_again()
                yield Event("resubscribed")
        finally:
            stream.close()

    def _subscribe_again(self) -> Stream:
        """Where a pod is lost, another takes its place in a moment; tries for a minute."""
        pause, most = RETRY_SECONDS
        deadline = time.monotonic() + 60
        while True:
            time.sleep(pause)
            try:
                return self._subscribe()
            except OrreryError:
                over = self._http.closed or (self._attached is not None and self._attached.ended is not None)
                if over or time.monotonic() > deadline:
                    raise
            pause = min(pause * 2, most)

    # ---- acting ----

    def call(self, name: NameLike, method: str, argument: Any = None, timeout: Optional[float] = None) -> Any:
        """The reply. ``timeout`` in seconds takes the place of the class' own."""
        headers = {} if timeout is None else {"Orrery-Timeout": f"{max(1, round(timeout * 1000))}ms"}
        path = f"{_of(name)}/call/{_quoted(check_method(method))}"
        return self._ask("POST", path, encode(argument, "argument"), headers, CALL_SECONDS if timeout is None else timeout + SLACK_SECONDS)

    def cast(self, name: NameLike, method: str, argument: Any = None) -> None:
        """Sends a message without waiting for an answer."""
        self._ask("POST", f"{_of(name)}/cast/{_quoted(check_method(method))}", encode(argument, "argument"))

    def kill(self, name: NameLike, reason: str = "killed") -> None:
        """Exits a process, as a crash would; its supervisor decides what follows."""
        self._ask("POST", _of(name) + "/kill", encode({"reason": reason}, "reason"))

    def stop(self, name: NameLike) -> None:
        """Stops a process in good order; it starts afresh on its next message."""
        self._ask("DELETE", _of(name))

    # ---- asking ----

    def _table(self, path: str, what: str, columns: Iterable[_tables.Column], nothing: str = "") -> Table:
        document = self._ask("GET", path)
        return Table(document.get(what, []), tuple(columns), what, unreachable=document.get("unreachable"),
                     truncated=document.get("truncated", False), nothing=nothing)

    def _ask(self, method: str, path: str, body: Optional[bytes] = None, headers: Optional[Dict[str, str]] = None, timeout: float = 15.0) -> Any:
        return self._explained(self._http.ask, method, path, body, headers, timeout)

    def _explained(self, asking: Callable[..., T], *arguments: Any) -> T:
        try:
            return asking(*arguments)
        except Unavailable as problem:
            ended = self._attached.ended if self._attached is not None and not self._http.closed else None
            if ended is None:
                raise
            raise Unavailable(f"{problem.text}; 'orrery attach' has ended: {ended}", effect=problem.effect) from None


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")


def _of(name: NameLike) -> str:
    class_name, key = parse_name(name)
    return f"/v1/processes/{_quoted(class_name)}/{_quoted(key)}"


def _path(base: str, asked: Dict[str, Any]) -> str:
    query = "&".join(f"{key}={_quoted(str(value))}" for key, value in asked.items() if value is not None)
    return f"{base}?{query}"
