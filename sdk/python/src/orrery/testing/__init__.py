"""Runs process classes in unit tests: no sidecar, no sockets, and a clock that only moves when told to.

::

    async with testing.Host(Cart) as host:
        assert await host.call("ada", "add", "pen") == 1
        await host.advance(3600)                            # fires timers, in order
        assert host.casts == [testing.Cast("mail/ada", "send", "you forgot a pen")]

``host.sends``, ``host.publishes``, ``host.groups``, ``host.monitors(name)`` and ``host.requests(name)`` tell what else handlers asked for;
``host.answer(...)`` gives the answers of what is not under test, ``host.down(...)`` says that it has ended, ``host.publish(...)`` speaks to
a group, and ``host.handoff(name)`` moves a process.

Messages go the way that they go in a mesh: one at a time per process, the state as bytes in between, crashes as exits with a fresh
start. What a handler could not send it cannot send here.
"""
from ._clock import Clock
from ._engine import Cast, Exit
from ._host import Host
from ._relations import Publish, Send

__all__ = ["Cast", "Clock", "Exit", "Host", "Publish", "Send"]
