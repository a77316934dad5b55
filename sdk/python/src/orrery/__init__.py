"""Orrery for Python: supervised state processes, called from anywhere in the mesh and hosted by this app.

Calling::

    async with orrery.connect() as client:
        total = await client.call("cart/ada", "add", {"item": "pen"}, timeout=2)

Being a process::

    async with client.process() as me:
        await me.join("chat/room-1")
        async for message in me: ...

Hosting::

    class Cart(orrery.Process):
        class_name = "cart"

        async def init(self):
            self.state = {"items": []}

        @orrery.call
        async def add(self, item):
            self.state["items"].append(item)
            return len(self.state["items"])

    orrery.run(Cart)

Looking into a live mesh from a notebook::

    with orrery.attach(mesh="demo") as mesh:
        mesh.processes("cart")

:mod:`orrery.sync` has the client for code without asyncio, :mod:`orrery.testing` runs processes in unit tests.
"""
from ._client import Client, connect
from ._client_process import CastMessage, ClientProcess, Dropped, ExitMessage, PlainMessage, ProcessMessage, Spawned
from ._connection import Welcome
from ._ends import Answer, Down, ExitSignal, Reason
from ._events import Event, Events
from ._handlers import call, cast, info
from ._host import Host
from ._linked import Monitor
from ._mesh import Mesh, attach
from ._names import Name
from ._process import Process
from ._retry import Retry
from ._serve import run, serve
from ._tables import Findings, Found, Table
from ._trace import traceparent
from ._values import Value
from ._version import __version__
from .errors import (EXECUTED, NOT_EXECUTED, UNKNOWN, AlreadyExists, Cancelled, Conflict, DeadlineExceeded, Draining, Forbidden, GivenUp,
                     Gone, HandlerFailed, InvalidArgument, Isolated, LimitExceeded, NotFound, OrreryError, Overloaded, ProcessExited,
                     ProtocolError, Refused, TooLarge, Unauthenticated, Unavailable)
from .metrics import Metrics

for _kind in [OrreryError, Refused, *OrreryError.__subclasses__()]:
    _kind.__module__ = "orrery"  # where programs have them from, and what tracebacks say

__all__ = [
    "AlreadyExists", "Answer", "Cancelled", "CastMessage", "Client", "ClientProcess", "Conflict", "DeadlineExceeded", "Down", "Draining", "Dropped",
    "EXECUTED", "Event", "Events", "ExitMessage", "ExitSignal", "Findings", "Forbidden", "Found", "GivenUp", "Gone", "HandlerFailed", "Host",
    "InvalidArgument", "Isolated", "LimitExceeded", "Mesh", "Metrics", "Monitor", "NOT_EXECUTED", "Name", "NotFound", "OrreryError",
    "Overloaded", "PlainMessage", "Process", "ProcessExited", "ProcessMessage", "ProtocolError", "Reason", "Refused", "Retry", "Spawned",
    "Table", "TooLarge", "UNKNOWN", "Unauthenticated", "Unavailable", "Value", "Welcome", "__version__", "attach", "call", "cast", "connect", "info", "run", "serve",
    "traceparent",
]
