"""A sidecar's HTTP interface (``docs/protocol.md``), for code that blocks, on the standard library alone."""
from __future__ import annotations

import http.client
import json
import selectors
import socket
import threading
import time
import urllib.parse
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from ._version import __version__
from .errors import NOT_EXECUTED, UNKNOWN, DeadlineExceeded, InvalidArgument, OrreryError, ProtocolError, Unavailable, error_for

REUSE_SECONDS = 20.0
"""A sidecar closes what is idle for a minute: a connection that is older than this is not trusted with a request."""
SILENCE_SECONDS = 40.0
"""A sidecar comments on a stream every 15 seconds."""


def encode(value: Any, what: str) -> bytes:
    """Raises :class:`InvalidArgument` for what is not JSON."""
    try:
        return json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as problem:
        raise InvalidArgument(f"the {what} cannot be sent as JSON: {problem}", effect=NOT_EXECUTED) from None


_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)  # select() takes no descriptors from 1024 on


def is_readable(what: Any, seconds: float) -> bool:
    """Whether a file or a socket has something to read, or has ended, within a time."""
    with _Selector() as selector:
        selector.register(what, selectors.EVENT_READ)
        return bool(selector.select(seconds))


class Http:
    """One sidecar. Threads may share it; each request has a connection of its own, which is kept for the next one."""

    def __init__(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url)
        try:
            port = 80 if parts.port is None else parts.port
        except ValueError:
            port = 0
        if parts.scheme != "http" or not parts.hostname or not port or parts.path not in ("", "/") or parts.query or parts.username:
            raise InvalidArgument(f"{url!r} is no sidecar's URL; accepted are http://HOST:PORT, as http://127.0.0.1:3600", effect=NOT_EXECUTED)
        self._host, self._port = parts.hostname, port
        self.url = url.rstrip("/")
        self._idle: List[Tuple[http.client.HTTPConnection, float]] = []
        self._lock = threading.Lock()
        self._closed = False

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    def __del__(self) -> None:
        for connection, _ in getattr(self, "_idle", ()):  # empty where it was closed, absent where it was refused
            connection.close()

    @property
    def closed(self) -> bool:
        return self._closed

    def ask(self, method: str, path: str, body: Optional[bytes] = None, headers: Optional[Mapping[str, str]] = None, timeout: float = 15.0) -> Any:
        """The document of the answer. Raises an :class:`OrreryError` for anything but success."""
        reads = method == "GET"
        connection, kept = self._take(timeout)
        try:
            try:
                status, text, stays = _exchange(connection, method, path, body, headers)
            except (OSError, http.client.HTTPException) as problem:
                connection.close()
                if not (reads and kept) or isinstance(problem, socket.timeout):
                    raise
                connection = self._connect(timeout)  # it was closed since the last time, and reading twice does no harm
                status, text, stays = _exchange(connection, method, path, body, headers)
        except (OSError, http.client.HTTPException) as problem:
            connection.close()
            raise self._lost(problem, NOT_EXECUTED if reads else UNKNOWN) from None
        except BaseException:  # an interrupt: whatever still comes is of no request
            connection.close()
            raise
        if stays:
            self._keep(connection)
        else:
            connection.close()
        if not 200 <= status < 300:
            raise _problem(status, text)
        try:
            return json.loads(text) if text else None
        except ValueError:
            raise ProtocolError(f"the sidecar's answer is not JSON: {_shown(text)}", effect=NOT_EXECUTED if reads else UNKNOWN) from None

    def events(self, path: str) -> "Stream":
        """Reads an event stream, which stands when this returns."""
        connection = self._connect(SILENCE_SECONDS)
        try:
            connection.request("GET", path, headers={"Accept": "text/event-stream", **_HEADERS})
            answer = connection.getresponse()
            if answer.status != 200:
                raise _problem(answer.status, answer.read())
        except (OSError, http.client.HTTPException) as problem:
            connection.close()
            raise self._lost(problem, NOT_EXECUTED) from None
        except BaseException:
            connection.close()
            raise
        return Stream(connection, answer)

    def _take(self, timeout: float) -> Tuple[http.client.HTTPConnection, bool]:
        """A connection, and whether it was used before."""
        now = time.monotonic()
        while True:
            with self._lock:
                if self._closed or not self._idle:
                    break
                connection, used = self._idle.pop()
            if now - used < REUSE_SECONDS and connection.sock is not None and not is_readable(connection.sock, 0):
                connection.sock.settimeout(timeout)
                return connection, True
            connection.close()
        return self._connect(timeout), False

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        if self._closed:
            raise Unavailable("it is closed", effect=NOT_EXECUTED)
        connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        try:
            connection.connect()
        except OSError as problem:
            connection.close()
            raise Unavailable(f"cannot reach {self.url}: {problem}", effect=NOT_EXECUTED) from None
        return connection

    def _keep(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append((connection, time.monotonic()))
                return
        connection.close()

    def _lost(self, problem: Exception, effect: str) -> OrreryError:
        if isinstance(problem, socket.timeout):
            return DeadlineExceeded(f"no answer from {self.url} in time", effect=effect)
        return Unavailable(f"lost the connection to {self.url}: {problem or type(problem).__name__}", effect=effect)


class Stream:
    """The events of one connection, as pairs of type and data, until it ends."""

    def __init__(self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> None:
        self._connection, self._answer = connection, answer

    def close(self) -> None:
        self._answer.close()
        self._connection.close()

    def __iter__(self) -> Iterator[Tuple[str, Any]]:
        kind, data = "message", []
        try:
            for raw in self._answer:
                line = raw.decode(errors="replace").rstrip("\r\n")
                field, _, content = line.partition(":")
                content = content[1:] if content.startswith(" ") else content
                if field == "event":
                    kind = content
                elif field == "data":
                    data.append(content)
                elif not line:
                    if data:
                        yield kind, json.loads("\n".join(data))
                    kind, data = "message", []
        except (OSError, http.client.HTTPException, ValueError):
            return  # it is broken, and so at its end


_HEADERS = {"User-Agent": f"orrery-python/{__version__}"}


def _exchange(connection: http.client.HTTPConnection, method: str, path: str, body: Optional[bytes],
              headers: Optional[Mapping[str, str]]) -> Tuple[int, bytes, bool]:
    sent: Dict[str, str] = {**_HEADERS, **(headers or {})}
    if body is not None:
        sent["Content-Type"] = "application/json"
    connection.request(method, path, body, sent)
    answer = connection.getresponse()
    text = answer.read()
    return answer.status, text, not answer.will_close


def _problem(status: int, text: bytes) -> OrreryError:
    try:
        problem = json.loads(text)
        return error_for(problem["code"], problem.get("detail") or problem.get("title") or "", problem.get("effect", UNKNOWN))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ProtocolError(f"HTTP {status} from something that is no sidecar: {_shown(text)}", effect=UNKNOWN)


def _shown(text: bytes) -> str:
    return text[:200].decode(errors="replace")
