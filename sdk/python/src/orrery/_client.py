"""The client: calls to processes anywhere in the mesh, through the sidecar of this pod."""
from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Awaitable, Callable, Dict, List, Optional, Type, TypeVar

from . import _frames
from ._asking import PATIENCE, QUERY_TIMEOUT, Asking
from ._client_process import FEATURE, ClientProcess, ClientProcesses
from ._connection import Welcome
from ._endpoints import endpoints
from ._events import Events, EventTypes, event_types
from ._link import Link
from ._leading import Leader
from ._linked import Monitor, Monitors, Work, run_linked
from ._names import NameLike, check_group, check_key, check_method, check_timeout, check_word, parse_name
from ._retry import Retry
from ._trace import is_traceparent, traceparent
from ._values import VALUE_BYTES_MAX, encode_value
from .documents import ClassDocument, Group, Groups, Holder, NodeDocument, ProcessDocument, Processes, Registry, Tree
from .errors import NOT_EXECUTED, UNKNOWN, Overloaded, Unavailable
from .metrics import Guarded, Metrics

if TYPE_CHECKING:
    from ._host import Host
    from ._process import Process

T = TypeVar("T")


def connect(address: Optional[str] = None, *, timeout: Optional[float] = PATIENCE, retry: Optional[Retry] = None,
            metrics: Optional[Metrics] = None) -> "Client":
    """A client of the sidecar at ``address``, to be opened with ``async with``.

    Without an address it is where ``ORRERY_SOCKET`` says (a Unix socket), else ``ORRERY_TCP``; else the sidecar's defaults are
    tried. ``timeout`` is how long opening waits for a sidecar that is not there yet (None: for ever); for a socket that this user may not
    connect to it does not wait. ``retry`` is the policy for all requests that name none. The client dials again by itself after a connection
    was lost.
    """
    return Client(address, timeout=timeout, retry=retry, metrics=metrics)


class Client:
    """Safe to share between tasks of one event loop. See :func:`connect`."""

    def __init__(self, address: Optional[str] = None, *, timeout: Optional[float] = PATIENCE, retry: Optional[Retry] = None,
                 metrics: Optional[Metrics] = None) -> None:
        self._metrics: Metrics = Guarded(metrics or Metrics())
        self._timeout = timeout
        self._link = Link(endpoints(address), self._metrics)
        self._asking = Asking(self._link, retry or Retry(attempts=1), self._metrics)
        self._processes = ClientProcesses(self._link, self._asking, timeout)
        self._monitors: Optional[Monitors] = None

    async def __aenter__(self) -> "Client":
        return await self.open()

    async def __aexit__(self, kind: Optional[Type[BaseException]], problem: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        await self.close()

    async def open(self) -> "Client":
        """Connects. Raises :class:`Unavailable` where no sidecar answers in time, :class:`Forbidden` at once where this user may not
        connect to its socket."""
        self._link.start()
        try:
            await self._link.connection(self._timeout)
        except BaseException:
            await self._link.close()
            raise
        return self

    async def close(self) -> None:
        """Ends the connection. Requests that wait end with :class:`Unavailable`."""
        await self._link.close()

    @property
    def sidecar(self) -> Optional[Welcome]:
        """What the sidecar said of itself; None while there is no connection."""
        return self._link.current.welcome if self._link.current is not None else None

    # ---- processes ----

    async def call(self, to: NameLike, method: str, argument: Any = None, *, timeout: Optional[float] = None,
                   trace: Optional[str] = None, retry: Optional[Retry] = None) -> Any:
        """Asks a process and returns its reply. ``timeout`` is in seconds; the default is the class' own.

        Raises an :class:`OrreryError` whose ``effect`` says whether the process may have handled the message. Cancelling the task
        gives the call up: it is executed all the same where the process had begun it.
        """
        fields = self._message(to, method, argument, trace)
        return await self._asking.ask("call", fields, check_timeout(timeout), UNKNOWN, retry)

    async def cast(self, to: NameLike, method: str, argument: Any = None, *, trace: Optional[str] = None,
                   retry: Optional[Retry] = None) -> None:
        """Sends a message that the process does not answer. Returns when the sidecar has accepted it."""
        await self._asking.ask("cast", self._message(to, method, argument, trace), QUERY_TIMEOUT, UNKNOWN, retry)

    def cast_nowait(self, to: NameLike, method: str, argument: Any = None, *, trace: Optional[str] = None) -> None:
        """Sends a message and hears nothing more of it, not even whether there is such a class.

        Raises :class:`Unavailable` without a connection, and :class:`Overloaded` where the sidecar does not read fast enough.
        """
        connection = self._link.current
        if connection is None:
            raise Unavailable("there is no connection to the sidecar now", effect=NOT_EXECUTED)
        if not connection.is_writable:
            raise Overloaded("more than 4 MiB wait to be written to the sidecar", effect=NOT_EXECUTED)
        connection.send(_frames.encode({"type": "cast", **self._message(to, method, argument, trace)}))

    async def start(self, name: NameLike, timeout: Optional[float] = None) -> str:
        """Its pid, once its ``init`` is done; one that runs already is left as it is. ``timeout`` is in seconds, by default that of calls of
        the class. Raises an :class:`OrreryError`: :class:`NotFound` where there is no such class, :class:`ProcessExited` where ``init`` failed.
        """
        ok = await self._asking.ask("start", self._name(name), check_timeout(timeout), UNKNOWN, feature=FEATURE)
        return ok["pid"]  # type: ignore[no-any-return]

    async def inspect(self, name: NameLike) -> ProcessDocument:
        """Tells of one process. Raises :class:`NotFound`, whose text names the owner, where it does not run."""
        return await self._asking.ask("inspect", self._name(name), QUERY_TIMEOUT, NOT_EXECUTED)  # type: ignore[no-any-return]

    async def stop(self, name: NameLike) -> None:
        """Ends a process in order."""
        await self._asking.ask("stop", self._name(name), QUERY_TIMEOUT, UNKNOWN)

    async def kill(self, name: NameLike, reason: str = "killed") -> None:
        """Ends a process at once; its supervisor acts."""
        await self._asking.ask("kill", {**self._name(name), "reason": reason}, QUERY_TIMEOUT, UNKNOWN)

    # ---- the mesh ----

    async def nodes(self) -> List[NodeDocument]:
        return (await self._asking.ask("nodes", {}, QUERY_TIMEOUT, NOT_EXECUTED))["nodes"]  # type: ignore[no-any-return]

    async def processes(self, class_name: Optional[str] = None, *, limit: int = 1000, local: bool = False) -> Processes:
        """Processes of the whole mesh, or of this node only."""
        fields: Dict[str, Any] = {"limit": limit, "local": local}
        if class_name is not None:
            fields["class"] = class_name
        return await self._asking.ask("processes", fields, QUERY_TIMEOUT, NOT_EXECUTED)  # type: ignore[no-any-return]

    async def classes(self) -> List[ClassDocument]:
        return (await self._asking.ask("classes", {}, QUERY_TIMEOUT, NOT_EXECUTED))["classes"]  # type: ignore[no-any-return]

    async def tree(self, *, local: bool = False) -> Tree:
        """The supervisors of every node, or of this one only."""
        return await self._asking.ask("tree", {"local": local}, QUERY_TIMEOUT, NOT_EXECUTED)  # type: ignore[no-any-return]

    # ---- groups and keys ----

    async def publish(self, group: str, word: str, argument: Any = None) -> int:
        """Sends a plain message to every member of a group that this node knows. How many that are."""
        fields = {"group": check_group(group), "word": check_word(word), "argument": self._encode(argument)}
        return (await self._asking.ask("publish", fields, QUERY_TIMEOUT, UNKNOWN, feature=FEATURE))["members"]  # type: ignore[no-any-return]

    async def group(self, name: str) -> Group:
        """The members of a group in the whole mesh, each with its ``pid`` and ``node``."""
        return await self._asking.ask("group", {"group": check_group(name)}, QUERY_TIMEOUT, NOT_EXECUTED, feature=FEATURE)  # type: ignore[no-any-return]

    async def groups(self, prefix: str = "", *, limit: int = 1000) -> Groups:
        """The groups whose names begin so, with how many members they have, and how many of these are on this node."""
        return await self._asking.ask("groups", {"prefix": prefix, "limit": limit}, QUERY_TIMEOUT, NOT_EXECUTED, feature=FEATURE)  # type: ignore[no-any-return]

    async def registry(self, prefix: str = "", *, limit: int = 1000) -> Registry:
        """The keys of the mesh that begin so, with who holds them."""
        return await self._asking.ask("registry", {"prefix": prefix, "limit": limit}, QUERY_TIMEOUT, NOT_EXECUTED, feature=FEATURE)  # type: ignore[no-any-return]

    async def lookup(self, key: str, in_: str = "mesh_unique") -> List[Holder]:
        """Who holds a key: of a unique one at most one. ``in_`` is ``mesh_unique``, ``mesh_duplicate``, ``node_unique`` or ``node_duplicate``."""
        ok = await self._asking.ask("lookup", check_key(key, in_), QUERY_TIMEOUT, NOT_EXECUTED, feature=FEATURE)
        return ok["entries"]  # type: ignore[no-any-return]

    # ---- client processes ----

    def process(self) -> ClientProcess:
        """A process of this client's own, for ``async with``. See :class:`ClientProcess`."""
        return ClientProcess(self._processes)

    def monitor(self, to: NameLike) -> Monitor:
        """``down = await client.monitor("cart/ada")`` waits until a process (a pid, or ``class/key``) ends, and says why: ``noproc`` where none
        runs, ``noconnection`` where the connection is lost. Awaited again, it tells the same. See :class:`Monitor`. Raises :class:`InvalidArgument` at once."""
        if self._monitors is None:
            self._monitors = Monitors(self._processes)
        return Monitor(self._monitors, to)

    async def link(self, to: NameLike, work: "Work[T]") -> T:
        """Runs a task that is linked with a process, and returns what it returns. ``work`` is a coroutine, or a function without arguments that
        returns an awaitable (either begins once the link stands), or an ``asyncio.Task`` or ``Future``; all else is a :class:`TypeError`.

        When the process ends other than ``normal``, or the connection is lost, the task is cancelled and this raises :class:`ExitSignal`.
        When the task raises, that goes on here, and the process exits with the reason ``error`` and the text; when this is cancelled, so is
        the task, and the process exits with ``shutdown``. When it returns, nothing happens to the process.
        A link does not start the process: :meth:`start` does. Where there can be no link, a coroutine is closed and a task cancelled; so it is
        where no process of that name runs (``noproc``). Of a *pid* of another node that is heard a moment after the work began: a short one may
        have returned by then.
        """
        return await run_linked(self.process(), to, work)

    async def lead(self, key: str, work: "Callable[[], Awaitable[T]]", *, value: Any = None) -> T:
        """Stands for a key of the mesh (``mesh_unique``) until it is cancelled: one of all who do holds it, and runs ``work``, a function
        without arguments that returns an awaitable. When that returns or raises, the key is free and so does this.

        While another holds the key, it waits for that one's end. The work is cancelled the moment the key or the connection is lost; then it
        stands again, and calls ``work`` anew. (What the work raises then counts where it is no :class:`OrreryError`.) Raises those where
        standing again is of no use: the client is closed, the sidecar is too old. ``value`` is what the key holds, for :meth:`lookup`.
        """
        return await Leader(self, self._link, key, work, value).run()  # type: ignore[no-any-return]

    # ---- events ----

    def events(self, *types: EventTypes) -> Events:
        """What happens from now on: ``events("process_restarted", "node_down")``; all types where none is named. See :class:`Events`."""
        return Events(self._link, event_types(types), self._timeout)

    # ---- hosting ----

    def host(self, *classes: "Type[Process[Any]]", app: str = "", concurrency: Optional[int] = None) -> "Host":
        """Hosts process classes over this client's connection, within ``async with``. See :func:`orrery.serve`."""
        from ._host import Host

        return Host(self._link, self, classes, app=app, concurrency=concurrency, metrics=self._metrics)

    def _name(self, name: NameLike) -> Dict[str, Any]:
        class_name, key = parse_name(name)
        return {"class": class_name, "key": key}

    def _encode(self, argument: Any) -> Any:
        return encode_value(argument, "argument", self.sidecar.value_bytes if self.sidecar else VALUE_BYTES_MAX)

    def _message(self, to: NameLike, method: str, argument: Any, trace: Optional[str]) -> Dict[str, Any]:
        fields = {**self._name(to), "method": check_method(method), "argument": self._encode(argument)}
        trace = trace or traceparent.get()
        if trace is not None and is_traceparent(trace):
            fields["trace"] = trace
        return fields
