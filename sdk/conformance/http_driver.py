#!/usr/bin/env python3
"""Plain HTTP as a program for the conformance cases: commands as JSON lines on stdin, answers on stdout. See README.md beside this file.

It knows docs/protocol.md and the standard library, and none of the SDKs. What an SDK does by itself (refusing before it sends, asking again,
hosting) is not there, and nor is an operation for it.
"""
from __future__ import annotations

import http.client
import json
import queue
import socket
import sys
import threading
import time
import urllib.parse
from typing import Any, Dict, Optional

CALL_SECONDS = 120.0
EVENT_SECONDS = 30.0
_speaking = threading.Lock()


class Failed(Exception):
    def __init__(self, code: str, text: str, effect: str) -> None:
        super().__init__(text)
        self.answer = {"code": code, "text": text, "effect": effect}


class Stream(threading.Thread):
    """Events of these types, from when it was made."""

    def __init__(self, host: str, types: "tuple[str, ...]") -> None:
        super().__init__(daemon=True)
        self.types = types
        self.arrived: "queue.Queue[Dict[str, Any]]" = queue.Queue()
        self.connection = http.client.HTTPConnection(host, timeout=EVENT_SECONDS)
        self.connection.request("GET", "/v1/events")
        self.socket = self.connection.sock
        self.answer = self.connection.getresponse()
        self.start()

    def end(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)  # wakes who reads
        self.connection.close()

    def run(self) -> None:
        kind = ""
        try:
            for raw in self.answer:
                name, _, value = raw.decode().rstrip("\n").partition(": ")
                if name == "event":
                    kind = value
                elif name == "data" and (not self.types or kind in self.types):
                    self.arrived.put({"type": kind, "data": json.loads(value)})
        except (OSError, ValueError, http.client.HTTPException, AttributeError):
            pass  # it was closed


class Driver:
    def __init__(self) -> None:
        self.host = ""
        self.streams: Dict[str, Stream] = {}
        self.local = threading.local()

    def ask(self, method: str, path: str, body: Any = None, headers: Optional[Dict[str, str]] = None) -> Any:
        if not hasattr(self.local, "connection"):
            self.local.connection = http.client.HTTPConnection(self.host, timeout=CALL_SECONDS)
        try:
            if self.local.connection.sock is None:
                self.local.connection.connect()
        except OSError as problem:
            raise Failed("unavailable", f"nothing answers at {self.host}: {problem}", "not_executed") from None
        try:
            data = None if method in ("GET", "DELETE") else json.dumps(body).encode()
            self.local.connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
            answer = self.local.connection.getresponse()
            document = json.loads(answer.read() or b"null")
        except (OSError, http.client.HTTPException) as problem:
            del self.local.connection
            raise Failed("unavailable", f"the connection ended: {problem}", "not_executed" if method == "GET" else "unknown") from None
        if answer.status < 300:
            return document
        raise Failed(document["code"], document["detail"], document["effect"])

    # ---- operations: named as the steps of the cases ----

    def open(self, address: str) -> Any:
        self.host = urllib.parse.urlsplit(address).netloc
        self.local = threading.local()  # no connection of a sidecar before
        this = next(node for node in self.ask("GET", "/v1/nodes")["nodes"] if node["state"] == "self")
        return {"node": this["name"], "mesh": "", "features": ["events", "processes"]}

    def close(self) -> None:
        pass  # a connection ends with the thread of its command

    def reset(self) -> None:
        for stream in self.streams.values():
            stream.end()
        self.streams.clear()

    def call(self, to: str, method: str, argument: Any, timeoutMs: Optional[int] = None) -> Any:
        headers = {} if timeoutMs is None else {"Orrery-Timeout": f"{timeoutMs}ms"}
        return self.ask("POST", f"{process(to)}/call/{quoted(method)}", argument, headers)

    def cast(self, to: str, method: str, argument: Any) -> None:
        self.ask("POST", f"{process(to)}/cast/{quoted(method)}", argument)

    def inspect(self, name: str) -> Any:
        return self.ask("GET", process(name))

    def stop(self, name: str) -> None:
        self.ask("DELETE", process(name))

    def kill(self, name: str) -> None:
        self.ask("POST", f"{process(name)}/kill", {"reason": "a case"})

    def start(self, to: str, timeoutMs: Optional[int] = None) -> Any:
        return self.ask("POST", f"{process(to)}/start", None, {} if timeoutMs is None else {"Orrery-Timeout": f"{timeoutMs}ms"})

    def publish(self, group: str, word: str, argument: Any) -> Any:
        return self.ask("POST", f"/v1/groups/{quoted(group)}/publish/{quoted(word)}", argument)

    def group(self, group: str) -> Any:
        return self.ask("GET", f"/v1/groups/{quoted(group)}")

    def groups(self, prefix: str) -> Any:
        return self.ask("GET", f"/v1/groups?prefix={quoted(prefix)}")

    def registry(self, prefix: str) -> Any:
        return self.ask("GET", f"/v1/registry?prefix={quoted(prefix)}")

    def nodes(self) -> Any:
        return self.ask("GET", "/v1/nodes")["nodes"]

    def classes(self) -> Any:
        return self.ask("GET", "/v1/classes")["classes"]

    def processes(self, class_name: str, limit: int = 1000, local: bool = False) -> Any:
        return self.ask("GET", f"/v1/processes?class={class_name}&limit={limit}{'&node=local' if local else ''}")

    def tree(self, local: bool = False) -> Any:
        return self.ask("GET", f"/v1/tree{'?node=local' if local else ''}")

    def subscribe(self, handle: str, types: "tuple[str, ...]" = ()) -> None:
        self.streams[handle] = Stream(self.host, types)

    def next(self, handle: str) -> Any:
        return self.streams[handle].arrived.get(timeout=EVENT_SECONDS)

    def unsubscribe(self, handle: str) -> None:
        self.streams.pop(handle).end()

    def hammer(self, to: str, count: int, parallel: int, over: int) -> Any:
        """Many calls to ``record`` of many processes; ``to`` is ``class/key|file``. What was heard of each."""
        name, file = to.split("|")
        heard: Dict[str, Any] = {"calls": count, "ok": [], "not_executed": [], "executed": [], "unknown": [], "torn": []}
        numbers = iter(range(count))
        taking = threading.Lock()

        def caller() -> None:
            while True:
                with taking:
                    number = next(numbers, None)
                if number is None:
                    return
                try:
                    whole = self.call(f"{name}-{number % over}", "record", {"id": number, "file": file}, 20_000)
                except Failed as problem:
                    heard[problem.answer["effect"]].append(number)
                    time.sleep(0.05)  # an SDK waits for the next connection; else nothing is left to ask when it is there
                else:
                    heard["ok"].append(number)
                    if not whole:
                        heard["torn"].append(f"{name}-{number % over} at call {number}")

        callers = [threading.Thread(target=caller) for _ in range(parallel)]
        for each in callers:
            each.start()
        for each in callers:
            each.join()
        return heard

    def obey(self, n: int, do: str, **command: Any) -> None:
        try:
            answer: Dict[str, Any] = {"gives": getattr(self, do)(**command)}
        except Failed as problem:
            answer = {"fails": problem.answer}
        except Exception as problem:
            answer = {"fails": {"code": type(problem).__name__, "text": str(problem), "effect": "unknown"}}
        with _speaking:
            print(json.dumps({"n": n, **answer}), flush=True)


def process(name: str) -> str:
    class_name, _, key = name.partition("/")
    return f"/v1/processes/{quoted(class_name)}/{quoted(key)}"


def quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")


def main() -> None:
    driver = Driver()
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] in ("open", "reset", "subscribe"):
            driver.obey(**command)
        else:
            threading.Thread(target=driver.obey, kwargs=command, daemon=True).start()


if __name__ == "__main__":
    main()
