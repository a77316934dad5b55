"""One connection to the sidecar, from its hello to its end. Dialling again is the client's business."""
from __future__ import annotations

import asyncio
import logging
import platform
import sys
from dataclasses import dataclass
from typing import Any, Callable, Dict, FrozenSet, Optional

from . import _cbor, _frames
from ._endpoints import Endpoint
from ._requests import Requests
from ._values import VALUE_BYTES_MAX
from ._version import __version__
from .errors import NOT_EXECUTED, UNKNOWN, InvalidArgument, OrreryError, ProtocolError, Unavailable, error_for

log = logging.getLogger("orrery.connection")

PROTOCOL_VERSION = 1
HELLO_SECONDS = 5.0
WRITE_BYTES_MAX = 4 * 1024 * 1024
"""With more than this unwritten, new requests wait, and casts that ask for no answer are refused."""

READ_BYTES = 64 * 1024

FrameHandler = Callable[["Connection", _frames.Frame, bytes], None]


@dataclass(frozen=True)
class Welcome:
    """What the sidecar said about itself and its limits."""

    node: str
    mesh: str
    sidecar: str
    features: FrozenSet[str]
    keepalive: float
    frame_bytes: int
    value_bytes: int
    requests: int

    @classmethod
    def of_frame(cls, frame: Dict[str, Any]) -> "Welcome":
        limits = frame.get("limits") or {}
        return cls(frame.get("node", ""), frame.get("mesh", ""), frame.get("sidecar", ""), frozenset(frame.get("features") or ()),
                   max(frame.get("keepaliveMs", 15000), 10) / 1000, limits.get("frameBytes", _frames.FRAME_BYTES_MAX),
                   limits.get("valueBytes", VALUE_BYTES_MAX), limits.get("requests", 1024))


class Connection(asyncio.BufferedProtocol):
    """Carries frames and keeps the requests that wait for their results. Used on its event loop's thread only.

    ``on_frame`` gets what is neither a result nor housekeeping: events, work, and what concerns them.
    """

    welcome: Welcome  #: there once :meth:`open` has returned

    def __init__(self, on_frame: FrameHandler) -> None:
        self._loop = asyncio.get_running_loop()
        self.closed: "asyncio.Future[str]" = self._loop.create_future()  #: why it ended, for people
        self._welcomed: "asyncio.Future[Welcome]" = self._loop.create_future()
        self._on_frame = on_frame
        self._splitter = _frames.Splitter()
        self._buffer = memoryview(bytearray(READ_BYTES))
        self._requests = Requests(self._loop)
        self._last_id = 0
        self._transport: Optional[asyncio.Transport] = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._heard = self._loop.time()
        self._keepalive: Optional[asyncio.TimerHandle] = None
        self._goodbye: Optional[_frames.Frame] = None
        self._ended_because = ""

    # ---- its life ----

    @classmethod
    async def open(cls, endpoint: Endpoint, on_frame: FrameHandler) -> "Connection":
        """Dials and greets. Raises :class:`OSError`, or an :class:`OrreryError` where no welcome comes."""
        loop = asyncio.get_running_loop()
        if endpoint.path:
            _, self = await loop.create_unix_connection(lambda: cls(on_frame), endpoint.path)
        else:  # asyncio sets TCP_NODELAY itself
            _, self = await loop.create_connection(lambda: cls(on_frame), endpoint.host, endpoint.port)
        try:
            self.tell({"type": "hello", "version": PROTOCOL_VERSION, "minVersion": 1, "features": [], "client": _client_name()})
            self.welcome = await asyncio.wait_for(self._welcomed, HELLO_SECONDS)
        except asyncio.TimeoutError:
            raise Unavailable(f"{endpoint} did not answer the hello within {HELLO_SECONDS:g} s", effect=NOT_EXECUTED) from None
        finally:
            if not hasattr(self, "welcome"):
                self.abort("no welcome")
        self._watch()
        return self

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def close(self, text: str = "the client is done", code: str = "cancelled") -> None:
        """Says goodbye, and closes once that is written."""
        if self._transport is not None and self.is_open:
            self.tell({"type": "goodbye", "code": code, "text": text})
            self._ended_because = text
            self._transport.close()

    def abort(self, reason: str) -> None:
        """Ends it at once, whatever is unwritten."""
        if self._transport is not None and not self.closed.done():
            self._ended_because = self._ended_because or reason
            self._transport.abort()

    # ---- frames out ----

    def send(self, data: bytes) -> None:
        """Sends a frame that is encoded. Raises :class:`Unavailable` where the connection has ended."""
        if self._transport is None or self._transport.is_closing():
            raise Unavailable("the connection to the sidecar is closed", effect=NOT_EXECUTED)
        self._transport.write(data)

    def tell(self, frame: _frames.Frame) -> None:
        """Sends what has no answer; to nobody where the connection has ended."""
        if self.is_open:
            self.send(_frames.encode(frame))

    @property
    def is_writable(self) -> bool:
        return self._writable.is_set()

    async def writable(self) -> None:
        """Waits while more than :data:`WRITE_BYTES_MAX` are unwritten."""
        await self._writable.wait()

    def next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def request(self, number: int, frame: _frames.Frame, effect_if_lost: str = UNKNOWN) -> "asyncio.Future[Any]":
        """Sends a request under an id from :meth:`next_id`. Its future ends with the result, or with an :class:`OrreryError`.

        Raises :class:`InvalidArgument` for what cannot be sent, as a text that is no valid Unicode.
        """
        frame["id"] = number
        try:
            data = _frames.encode(frame)
        except _cbor.CborError as problem:
            raise InvalidArgument(f"the {frame['type']} cannot be sent: {problem}", effect=NOT_EXECUTED) from None
        self.send(data)
        return self._requests.add(number, effect_if_lost)

    def limit(self, number: int, seconds: float) -> None:
        """See :meth:`Requests.limit`."""
        self._requests.limit(number, seconds)

    def cancel(self, number: int) -> None:
        """Gives a request up: the sidecar is told, and its late result is dropped."""
        if self._requests.drop(number):
            self.tell({"type": "cancel", "id": number})

    # ---- asyncio.BufferedProtocol: a Protocol would be given 256 KiB that are allocated for each read ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=WRITE_BYTES_MAX)
        self._transport = transport

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._heard = self._loop.time()
        try:
            for body in self._splitter.feed(bytes(self._buffer[:nbytes])):
                self._received(*_frames.decode(body))
        except ProtocolError as problem:
            log.error("what came from the sidecar cannot be read: %s", problem.text)
            self._fail_hello(ProtocolError(f"this is no sidecar: {problem.text}", effect=NOT_EXECUTED))
            self.close(problem.text, "protocol")

    def connection_lost(self, problem: Optional[Exception]) -> None:
        if self._keepalive is not None:
            self._keepalive.cancel()
        self._writable.set()
        reason = self._reason(problem)
        self._fail_hello(Unavailable(f"the connection ended: {reason}", effect=NOT_EXECUTED))
        self._requests.lose_all(reason)
        self.closed.set_result(reason)

    # ---- frames in ----

    def _received(self, frame: _frames.Frame, state: bytes) -> None:
        kind = frame["type"]
        try:
            if kind == "result":
                self._requests.take_result(frame)
            elif kind == "ping":
                self.tell({"type": "pong", "n": frame.get("n")})
            elif kind == "welcome":
                if not self._welcomed.done():
                    self._welcomed.set_result(Welcome.of_frame(frame))
            elif kind == "goodbye":
                self._said_goodbye(frame)
            elif kind != "pong":
                self._on_frame(self, frame, state)
        except (AttributeError, KeyError, TypeError) as problem:
            raise ProtocolError(f"a {kind} frame has not the fields that it should: {problem!r}") from problem

    def _said_goodbye(self, frame: _frames.Frame) -> None:
        self._goodbye = frame
        code, text = frame.get("code", "unavailable"), frame.get("text", "")
        if code == "protocol" and "version" in frame:
            text += f" (it speaks versions {frame.get('minVersion')} to {frame['version']}, this client {PROTOCOL_VERSION})"
        self._fail_hello(error_for(code, f"the sidecar said goodbye: {text}", NOT_EXECUTED))
        assert self._transport is not None
        self._transport.close()

    def _fail_hello(self, error: OrreryError) -> None:
        if not self._welcomed.done():
            self._welcomed.set_exception(error)
            self._welcomed.exception()  # looked at, even where nobody waits for it any more

    def _reason(self, problem: Optional[Exception]) -> str:
        if self._goodbye is not None:
            return f"the sidecar said goodbye: {self._goodbye.get('code')}: {self._goodbye.get('text')}"
        return self._ended_because or (str(problem) if problem else "closed by the other side")

    # ---- keepalive ----

    def _watch(self, due: Optional[float] = None) -> None:
        """Pings where nothing was heard for the keepalive time, gives up after twice that."""
        keepalive = self.welcome.keepalive
        now = self._loop.time()
        silent = now - self._heard
        if due is not None and now - due > keepalive / 4:
            wait = keepalive / 4  # this loop was blocked: what has arrived meanwhile is not read yet
        elif silent >= 2 * keepalive:
            self.abort(f"nothing was heard from the sidecar for {silent:.1f} s")
            return
        elif silent >= keepalive:
            self.tell({"type": "ping", "n": 1})
            wait = 2 * keepalive - silent
        else:
            wait = keepalive - silent
        self._keepalive = self._loop.call_later(wait, self._watch, now + wait)


def _client_name() -> str:
    return f"orrery-python/{__version__} ({platform.python_implementation().lower()} {sys.version_info.major}.{sys.version_info.minor})"
