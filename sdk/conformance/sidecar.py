#!/usr/bin/env python3
"""The mock sidecar as a program, to try an SDK by hand: `sidecar.py --socket /tmp/sdk.sock --class cart=app`."""
from __future__ import annotations

import argparse
import asyncio
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mock  # noqa: E402


async def serve(options: argparse.Namespace) -> None:
    specs = {"counter": "counter", "kv": "kv", **dict(given.split("=", 1) for given in options.classes)}
    sidecar = mock.Sidecar(options.socket, [mock.ClassSpec(name, behaviour, wait_for_app=120.0) for name, behaviour in specs.items()])
    sidecar.port = options.port
    async with sidecar:
        print(f"listening at {sidecar.address}; classes: {', '.join(f'{name} ({kind})' for name, kind in specs.items())}", flush=True)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", default="", help="path of the Unix socket; without it: TCP on 127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="TCP port (default: any)")
    parser.add_argument("--class", dest="classes", action="append", default=[], metavar="NAME=app|counter|kv", help="a class beside counter and kv")
    try:
        asyncio.run(serve(parser.parse_args()))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
