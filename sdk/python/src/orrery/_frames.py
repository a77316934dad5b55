"""Frames: 4 bytes of length, big-endian, then one CBOR map. Pure: bytes in, maps out."""
from __future__ import annotations

from typing import Any, Dict, Iterator, Mapping, Tuple

from . import _cbor
from .errors import ProtocolError

FRAME_BYTES_MAX = 4 * 1024 * 1024
FRAME_DEPTH_MAX = _cbor.DEPTH_MAX + 8
"""What frames put around a value (effects, lists of documents) comes on top of the value's own nesting."""

Frame = Dict[str, Any]


def encode(frame: Mapping[str, Any]) -> bytes:
    body = _cbor.dumps(frame, depth_max=FRAME_DEPTH_MAX)
    return len(body).to_bytes(4, "big") + body


def decode(body: bytes) -> Tuple[Frame, bytes]:
    """The map, and the bytes of its ``state``, if it has one. Raises :class:`ProtocolError`."""
    try:
        frame, state = _cbor.loads_map(body, "state", depth_max=FRAME_DEPTH_MAX)
    except _cbor.CborError as problem:
        raise ProtocolError(f"a frame of {len(body)} bytes cannot be read: {problem}") from None
    if not isinstance(frame.get("type"), str):
        raise ProtocolError("a frame has no type")
    return frame, state


class Splitter:
    """Cuts a stream of bytes into the bodies of frames, however they arrive."""

    def __init__(self, bytes_max: int = FRAME_BYTES_MAX) -> None:
        self.bytes_max = bytes_max
        self._held = bytearray()
        self._wanted = 4  # bytes to hold before looking again, so that a large frame in many pieces is copied once

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yields each body that is whole. Raises :class:`ProtocolError` for a length that no frame has."""
        if self._held:
            self._held += data
            if len(self._held) < self._wanted:
                return
            data = bytes(self._held)
            self._held.clear()
        at = 0
        self._wanted = 4
        while len(data) - at >= 4:
            size = int.from_bytes(data[at:at + 4], "big")
            if not 1 <= size <= self.bytes_max:
                raise ProtocolError(f"a frame of {size} bytes; 1 to {self.bytes_max} are accepted")
            end = at + 4 + size
            if end > len(data):
                self._wanted = 4 + size
                break
            yield data[at + 4:end]
            at = end
        self._held += data[at:]
