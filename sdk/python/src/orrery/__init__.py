"""Orrery for Python: supervised state processes, called from anywhere in the mesh and hosted by this app.

Calling::

    async with orrery.connect() as client:
        total = await client.call("cart/ada", "add", {"item": "pen"}, timeout=2)

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
from ._connection import Welcome
from ._events import Event, Events
from ._handlers import call, cast, info
from ._host import Host
from ._mesh import Found, Mesh, attach
from ._names import Name
from ._process import Process
from ._retry import Retry
from ._serve import run, serve
from ._tables import Table
from ._trace import traceparent
from ._values import Value
from ._version import __version__
from .errors import (EXECUTED, NOT_EXECUTED, UNKNOWN, AlreadyExists, Cancelled, Conflict, DeadlineExceeded, Draining, Forbidden, GivenUp,
                     Gone, HandlerFailed, InvalidArgument, Isolated, LimitExceeded, NotFound, OrreryError, Overloaded, ProcessExited,
                     ProtocolError, Refused, TooLarge, Unauthenticated, Unavailable)
from .metrics import Metrics

__all__ = [
    "AlreadyExists", "Cancelled", "Client", "Conflict", "DeadlineExceeded", "Draining", "EXECUTED", "Event", "Events", "Forbidden", "Found",
    "GivenUp", "Gone", "HandlerFailed", "Host", "InvalidArgument", "Isolated", "LimitExceeded", "Mesh", "Metrics", "NOT_EXECUTED", "Name",
    "NotFound", "OrreryError", "Overloaded", "Process", "ProcessExited", "ProtocolError", "Refused", "Retry", "Table", "TooLarge", "UNKNOWN",
    "Unauthenticated", "Unavailable", "Value", "Welcome", "__version__", "attach", "call", "cast", "connect", "info", "run", "serve",
    "traceparent",
]
