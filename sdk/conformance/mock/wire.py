"""Frames of the mock: CBOR, or JSON where the client's first frame is."""
from __future__ import annotations

import asyncio
import json
from typing import Any, Dict, Optional

from orrery import _cbor

FRAME_BYTES_MAX = 4 * 1024 * 1024


class BadFrame(Exception):
    pass


def to_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": list(value), "subtype": None}
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    return [to_json(item) for item in value] if isinstance(value, (list, tuple)) else value


def from_json(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"bytes", "subtype"}:
            return bytes(value["bytes"])
        return {key: from_json(item) for key, item in value.items()}
    return [from_json(item) for item in value] if isinstance(value, list) else value


class Wire:
    """Reads and writes whole frames on one pair of streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.as_json: Optional[bool] = None

    async def read(self) -> Dict[str, Any]:
        """Raises :class:`BadFrame`, or asyncio.IncompleteReadError at the end."""
        size = int.from_bytes(await self.reader.readexactly(4), "big")
        if not 1 <= size <= FRAME_BYTES_MAX:
            raise BadFrame(f"a frame of {size} bytes; 1 to {FRAME_BYTES_MAX} are accepted")
        body = await self.reader.readexactly(size)
        if self.as_json is None:
            self.as_json = body[:1] == b"{"
        try:
            frame = from_json(json.loads(body)) if self.as_json else _cbor.loads(body, depth_max=80)
        except ValueError as problem:
            raise BadFrame(f"a frame that cannot be read: {problem}") from None
        if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
            raise BadFrame("a frame that is no map with a type")
        return frame

    def encode(self, frame: Dict[str, Any]) -> bytes:
        body = json.dumps(to_json(frame)).encode() if self.as_json else _cbor.dumps(frame, depth_max=80)
        return len(body).to_bytes(4, "big") + body
