"""Where the sidecar is: a Unix socket or a TCP address, given or from the environment."""
from __future__ import annotations

import os
from typing import List, Mapping, NamedTuple, Optional

SOCKET_DEFAULT = "/run/orrery/sdk.sock"
TCP_DEFAULT = "127.0.0.1:3603"


class Endpoint(NamedTuple):
    """Either ``path`` (a Unix socket) or ``host`` and ``port``."""

    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"tcp:[{self.host}]:{self.port}" if ":" in self.host else f"tcp:{self.host}:{self.port}"


def parse_endpoint(text: str) -> Endpoint:
    """``/path``, ``unix:/path``, ``host:port``, ``tcp:host:port`` or ``tcp:[v6]:port``. Raises :class:`ValueError` for anything else."""
    if text.startswith("unix:"):
        return Endpoint(path=_path(text, text[len("unix:"):]))
    if text.startswith(("/", "./", "../")):
        return Endpoint(path=_path(text, text))
    host, colon, port = (text[len("tcp:"):] if text.startswith("tcp:") else text).rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not colon or not host or "/" in host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        other = "; this SDK does not speak WebSocket or HTTP here" if "://" in text else ""
        raise ValueError(f"{text!r} is no address of a sidecar; accepted are /path, unix:/path, host:port and tcp:host:port{other}")
    return Endpoint(host=host, port=int(port))


def _path(text: str, path: str) -> str:
    if not path:
        raise ValueError(f"{text!r} names no path")
    return path


def endpoints(address: Optional[str], environment: Mapping[str, str] = os.environ) -> List[Endpoint]:
    """What to dial, best first: the address that was given; else ``ORRERY_SOCKET``, then ``ORRERY_TCP``; else the defaults."""
    if address:
        return [parse_endpoint(address)]
    found = []
    if environment.get("ORRERY_SOCKET"):
        found.append(Endpoint(path=environment["ORRERY_SOCKET"]))
    if environment.get("ORRERY_TCP"):
        found.append(parse_endpoint(environment["ORRERY_TCP"]))
    return found or [Endpoint(path=SOCKET_DEFAULT), parse_endpoint(TCP_DEFAULT)]
