"""The Python SDK's part of ./dev bench sdk: calls, hosts, or shows what a round trip between two asyncio programs takes. sdks.py drives it."""
import argparse
import asyncio
import http.client
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "sdk/python/src"))

import orrery  # noqa: E402

WARM_UP = 500
FRAME = b"x" * 100  # about what a call and its answer have


class Echo(orrery.Process):
    class_name = "echo"

    @orrery.call
    async def echo(self, argument):
        return argument


def row(took, seconds):
    took.sort()
    values = {"p50": took[len(took) // 2], "p99": took[len(took) * 99 // 100], "per_second": len(took) / seconds}
    print(json.dumps({"values": {**values, "count": len(took)}}), flush=True)


async def callers(number, calls, call):
    took = []

    async def one(caller, count, kept):
        for _ in range(count):
            start = time.perf_counter()
            await call(caller)
            kept.append((time.perf_counter() - start) * 1e6)

    await asyncio.gather(*(one(caller, WARM_UP // number + 1, []) for caller in range(number)))
    start = time.perf_counter()
    await asyncio.gather(*(one(caller, calls // number, took) for caller in range(number)))
    row(took, time.perf_counter() - start)


async def call(options):
    async with orrery.connect(options.at) as client:
        await callers(options.callers, options.calls, lambda caller: client.call(f"{options.process}{caller}", options.method))


def call_http(options):
    """Blocking, a thread and a connection each: what the standard library has."""
    where, took, ready = urllib.parse.urlsplit(options.at).netloc, [], threading.Barrier(options.callers + 1)

    def one(caller):
        class_name, key = options.process.split("/")
        path = f"/v1/processes/{class_name}/{key}{caller}/call/{options.method}"
        connection = http.client.HTTPConnection(where)

        def ask():
            connection.request("POST", path, b"null", {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise RuntimeError(text)

        for _ in range(WARM_UP // options.callers + 1):
            ask()
        ready.wait()
        for _ in range(options.calls // options.callers):
            start = time.perf_counter()
            ask()
            took.append((time.perf_counter() - start) * 1e6)

    threads = [threading.Thread(target=one, args=(caller,)) for caller in range(options.callers)]
    for each in threads:
        each.start()
    ready.wait()
    start = time.perf_counter()
    for each in threads:
        each.join()
    row(took, time.perf_counter() - start)


async def host(options):
    async with orrery.connect(options.at) as client, client.host(Echo):
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


class Pong(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class Ping(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.answer = transport, None

    def data_received(self, data):
        self.answer.set_result(data)

    async def ask(self):
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(FRAME)
        await self.answer


async def echo(options):
    server = await asyncio.get_running_loop().create_unix_server(Pong, options.at)
    async with server:
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def floor(options):
    path = f"{options.at}.floor-python"
    other = subprocess.Popen([sys.executable, __file__, "echo", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        other.stdout.readline()
        _, ping = await asyncio.get_running_loop().create_unix_connection(Ping, path)
        await callers(1, options.calls, lambda caller: ping.ask())
    finally:
        other.stdin.close()
        other.wait()
        os.unlink(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("do", choices=["call", "host", "floor", "echo"])
    parser.add_argument("at", help="unix:PATH, IP:PORT or http://IP:PORT of the sidecar; a path for floor and echo")
    parser.add_argument("--process")
    parser.add_argument("--method")
    parser.add_argument("--callers", type=int, default=1)
    parser.add_argument("--calls", type=int, default=5000)
    options = parser.parse_args()
    if options.do == "call" and options.at.startswith("http:"):
        call_http(options)
    else:
        asyncio.run({"call": call, "host": host, "floor": floor, "echo": echo}[options.do](options))


if __name__ == "__main__":
    main()
