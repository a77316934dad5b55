#!/usr/bin/env python3
"""docs/openapi.yaml against a running sidecar: every documented answer comes and is as documented, and there are no other routes.

    openapi_test.py path/to/orrery-sidecar
"""
from __future__ import annotations

import asyncio
import http.client
import json
import pathlib
import re
import socket
import sys
import tempfile
import time
import urllib.parse
from typing import Any, Callable, Dict, Iterator, List, Optional, Set, Tuple

try:
    import jsonschema
    import yaml
except ImportError as missing:
    print(f"skipped: {missing} (Debian: python3-jsonschema, python3-yaml)")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "sdk" / "conformance"))
from suite.real import RealSidecar  # noqa: E402

METHODS = ("get", "put", "post", "delete", "head", "options", "patch", "trace")
#: Of the admin server; they are as GET, without the body.
UNDESCRIBED = {("HEAD", path) for path in ("/healthz", "/readyz", "/metrics")}
#: What the server may answer to any request, as the description's `info` says.
OF_ANY = {400, 403, 405, 408, 413, 417, 431, 501, 503}
FOREIGN = {"Origin": "https://evil.example"}
BODY_TOO_LARGE = json.dumps("x" * 1_400_000)
CLASSES = """classes:
  - {name: counter, version: 1, behaviour: {builtin: counter}}
  - {name: tight, behaviour: {builtin: counter}, limits: {mailbox: 1}}
  - {name: small, behaviour: {builtin: kv}, limits: {stateBytes: 4096}}
  - {name: orphan, behaviour: {app: {waitForApp: 200ms}}}
  - name: fragile
    supervision: {strategy: OneForOne, childIntensity: 0, childCooldown: 10m, backoff: {initial: 1ms, max: 10ms}}
    behaviour: {lua: {script: 'return {call = {boom = function() error("out of order") end}}'}}
    children: [{key: declared, restart: Transient, significant: false}]
  - name: odd
    version: 2
    supervision: {strategy: OneForOne, intensity: 100}
    behaviour:
      lua:
        script: |
          return {init = function(key) if key == "stillborn" then error("no") end end, call = {
            boom = function() error("out of order") end,
            fail = function(state, code) orrery.fail(code, "as it was told") end,
            spin = function() while true do end end,
            join = function() orrery.join("chat/room-1"); orrery.register("seat/1", {row = 3}); return true end}}
"""


class Wrong(Exception):
    pass


# ---- the description ----


class Description:
    def __init__(self, document: Any) -> None:
        self.document = document
        self.operations: Dict[str, Tuple[str, str, Any, Any]] = {}  # by id: method, path, operation, path item
        for path, item in document["paths"].items():
            for method in METHODS:
                if method in item:
                    operation = item[method]
                    if operation["operationId"] in self.operations:
                        raise Wrong(f"two operations are called {operation['operationId']}")
                    self.operations[operation["operationId"]] = (method.upper(), path, operation, item)
        self.seen: Set[Tuple[str, int]] = set()

    def resolve(self, part: Any) -> Any:
        while isinstance(part, dict) and "$ref" in part:
            found: Any = self.document
            for name in part["$ref"].removeprefix("#/").split("/"):
                found = found[name]
            part = found
        return part

    def documented(self) -> Set[Tuple[str, int]]:
        return {(name, int(status)) for name, (_, _, operation, _) in self.operations.items() for status in operation["responses"]}

    def validator(self, schema: Any, closed: bool) -> Any:
        whole = json.loads(json.dumps({**schema, "components": self.document["components"]}))
        if closed:
            close(whole)
        return jsonschema.Draft202012Validator(whole)

    def check(self, schema: Any, value: Any, where: str, closed: bool = True) -> None:
        for problem in self.validator(schema, closed).iter_errors(value):
            raise Wrong(f"{where}: {'/'.join(map(str, problem.absolute_path))}: {problem.message[:300]}")

    def check_itself(self) -> None:
        if self.document["openapi"] != "3.1.0":
            raise Wrong("it is not OpenAPI 3.1.0")
        for where, part in walk(self.document, ""):
            if "$ref" in part:
                try:
                    self.resolve(part)
                except (KeyError, TypeError):
                    raise Wrong(f"{where}: {part['$ref']} is not there") from None
        for name, schema in self.document["components"]["schemas"].items():
            jsonschema.Draft202012Validator.check_schema(schema)
            if not uses(self.document, f"#/components/schemas/{name}"):
                raise Wrong(f"nothing refers to the schema {name}")
        for where, part in walk(self.document, ""):
            if "schema" in part and "example" in part:
                jsonschema.Draft202012Validator.check_schema(self.resolve(part["schema"]))
                self.check(part["schema"], part["example"], f"the example of {where}")
        for name, (method, path, operation, item) in self.operations.items():
            known = [self.resolve(each) for each in item.get("parameters", []) + operation.get("parameters", [])]
            named = {each["name"] for each in known if each["in"] == "path"}
            if named != set(re.findall(r"{(\w+)}", path)):
                raise Wrong(f"{method} {path} has other parameters than its path: {sorted(named)}")
            for field in ("summary", "tags"):
                if not operation.get(field):
                    raise Wrong(f"{name} has no {field}")

    def check_answer(self, name: str, status: int, headers: Any, body: bytes) -> Any:
        """The body's document. The answer must be one of the operation's, or one that any request may have."""
        method, path, operation, _ = self.operations[name]
        where = f"{method} {path}: {status}"
        self.seen.add((name, status))
        of_any = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/problem"}}}}
        answer = self.resolve(operation["responses"].get(str(status), of_any if status in OF_ANY else None))
        if answer is None:
            raise Wrong(f"{where} is not documented: {body[:300]!r}")
        for header, about in answer.get("headers", {}).items():
            self.check(self.resolve(about)["schema"], headers.get(header), f"{where}, header {header}")
        if "content" not in answer:
            return None
        kind = (headers.get("Content-Type") or "none").split(";")[0]
        if kind not in answer["content"]:
            raise Wrong(f"{where} comes as {kind}, not as {' or '.join(answer['content'])}: {body[:300]!r}")
        value = json.loads(body) if kind.endswith("json") else body.decode()
        self.check(answer["content"][kind]["schema"], value, where)
        if kind == "application/problem+json" and value["status"] != status:
            raise Wrong(f"{where}, but its document says {value['status']}")
        return value


def walk(part: Any, where: str) -> Iterator[Tuple[str, Any]]:
    if isinstance(part, dict):
        yield where, part
        for name, each in part.items():
            if name != "example":
                yield from walk(each, f"{where}/{name}")
    elif isinstance(part, list):
        for index, each in enumerate(part):
            yield from walk(each, f"{where}/{index}")


def uses(document: Any, reference: str) -> bool:
    return any(part.get("$ref") == reference for _, part in walk(document, ""))


def close(schema: Any) -> None:
    """Fields may come later, says the description; until it names them, the server must not have them."""
    for _, part in walk(schema, ""):
        if isinstance(part.get("properties"), dict) and part.get("type") in ("object", ["object", "null"]):
            part.setdefault("additionalProperties", False)


# ---- the server ----


class Server:
    def __init__(self, description: Description, ip: str) -> None:
        self.description = description
        self.ip = ip

    def send(self, method: str, target: str, body: Optional[str] = None, headers: Dict[str, str] = {}, port: int = 3600) -> Tuple[int, Any, bytes]:
        connection = http.client.HTTPConnection(self.ip, port, timeout=10)
        try:
            connection.request(method, target, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read() if answer.status != 101 else b""
        finally:
            connection.close()

    def target(self, name: str, **parameters: str) -> Tuple[str, str, int]:
        method, path, _, item = self.description.operations[name]
        in_path = {key: urllib.parse.quote(parameters.pop(key), safe="") for key in re.findall(r"{(\w+)}", path)}
        query = urllib.parse.urlencode(parameters)
        port = 3602 if "servers" in item else 3600
        return method, path.format(**in_path) + ("?" + query if query else ""), port

    def ask(self, name: str, status: int, code: str = "", body: Optional[str] = None, headers: Dict[str, str] = {}, **parameters: str) -> Any:
        """Makes the operation; its answer must have that status, be documented, and have that code."""
        method, target, port = self.target(name, **parameters)
        got, had, text = self.send(method, target, body, headers, port)
        if got != status:
            raise Wrong(f"{method} {target} gave {got}, not {status}: {text[:300]!r}")
        value = self.description.check_answer(name, got, had, text)
        if code and value["code"] != code:
            raise Wrong(f"{method} {target} gave {value['code']}, not {code}: {value['detail']}")
        return value

    def until(self, what: str, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 20
        while not condition():
            if time.monotonic() > end:
                raise Wrong(f"in vain: {what}")
            time.sleep(0.05)


# ---- what is asked ----


def check_routes(server: Server) -> None:
    """The server's own list of its paths is the description's, and so are the methods that it accepts at each."""
    described: Dict[str, Set[str]] = {}
    for method, path, _, _ in server.description.operations.values():
        described.setdefault(path, set()).add(method)
    _, _, no_path = server.send("GET", "/v1/nothing")
    _, _, no_admin_path = server.send("GET", "/nothing", port=3602)
    listed, above = set(), ""
    for each in re.findall(r"(?:\.\.\.)?/[^, ]+", json.loads(no_path)["detail"].split("there are ")[1]):
        above = above if each.startswith("...") else each
        listed.add(above + each.removeprefix("...") if each.startswith("...") else each)
    listed |= set(re.findall(r"/\w+", no_admin_path.decode()))
    if listed != set(described):
        raise Wrong(f"only the server has {sorted(listed - set(described))}, only the description has {sorted(set(described) - listed)}")
    for path, methods in described.items():
        port = 3602 if "servers" in server.description.document["paths"][path] else 3600
        status, headers, _ = server.send("PATCH", re.sub(r"{\w+}", "counter", path), port=port)
        allowed = set((headers.get("Allow") or "").split(", "))
        if status != 405 or allowed != methods | {method for method, of in UNDESCRIBED if of == path}:
            raise Wrong(f"{path}: the server accepts {sorted(allowed)} ({status}), the description has {sorted(methods)}")


def check_processes(server: Server) -> None:
    ask, a = server.ask, {"class": "counter", "key": "a"}
    if ask("call", 200, method="add", body="5", **a) != 5:
        raise Wrong("the counter does not count")
    ask("call", 200, **{"class": "counter", "key": "with/a slash é"}, method="get")
    ask("cast", 202, method="add", body="2", **a)
    ask("call", 400, "invalid_argument", method="add", body="{", **a)
    ask("call", 400, "invalid_argument", method="add", headers={"Orrery-Timeout": "soon"}, **a)
    ask("cast", 400, "invalid_argument", method="m" * 129, **a)
    ask("call", 404, "not_found", method="nothing", **a)
    for code, status in (("conflict", 409), ("already_exists", 409), ("handler_failed", 500), ("invalid_argument", 400), ("unavailable", 503)):
        ask("call", status, code, **{"class": "odd", "key": "k"}, method="fail", body=json.dumps(code))
    for name, given in (("call", {**a, "method": "add"}), ("cast", {**a, "method": "add"}), ("publish", {"group": "g", "word": "w"})):
        ask(name, 413, "too_large", body=BODY_TOO_LARGE, **given)
    ask("call", 500, "process_exited", **{"class": "odd", "key": "k"}, method="boom", body='{"a": 1}')
    ask("call", 500, "limit_exceeded", **{"class": "odd", "key": "k"}, method="spin")
    ask("call", 503, "unavailable", **{"class": "orphan", "key": "k"}, method="any")
    ask("inspect", 200, **{"class": "odd", "key": "k"})
    full = {"class": "tight", "key": "a"}
    ask("call", 200, method="get", **full)
    ask("suspend", 200, **full)
    ask("cast", 202, method="add", **full)
    ask("call", 429, "overloaded", method="get", **full)
    ask("start", 429, "overloaded", **full)
    ask("suspend", 200, **a)
    ask("inspect", 200, **a)
    ask("call", 504, "deadline_exceeded", method="get", headers={"Orrery-Timeout": "50ms"}, **a)
    ask("start", 504, "deadline_exceeded", headers={"Orrery-Timeout": "50ms"}, **a)
    ask("resume", 200, **a)
    state = ask("getState", 200, **a)
    ask("putState", 200, body=json.dumps(state + 1), **a)
    ask("putState", 409, "conflict", body="1", headers={"If-Match": '"another"'}, **a)
    ask("putState", 400, "invalid_argument", body="", **a)
    ask("call", 200, **{"class": "small", "key": "a"}, method="keys")
    ask("putState", 413, "too_large", body=json.dumps({"k": "x" * 5000}), **{"class": "small", "key": "a"})
    ask("kill", 200, body='{"reason": "for the test"}', **a)
    ask("kill", 400, "invalid_argument", body="7", **a)
    ask("kill", 413, "too_large", body=json.dumps({"reason": "x" * 1025}), **a)
    ask("call", 200, method="get", **a)
    if "ended" not in ask("trace", 200, seconds="1", **a):
        raise Wrong("a trace does not say that it has ended")
    ask("trace", 400, "invalid_argument", limit="0", **a)
    ask("stop", 200, **a)
    ask("stop", 404, "not_found", **a)
    fragile = {"class": "fragile", "key": "k"}
    ask("call", 500, "process_exited", method="boom", **fragile)
    server.until("a process is given up", lambda: ask("inspect", 200, **fragile)["state"] == "given up")
    ask("call", 503, "given_up", method="boom", **fragile)
    ask("start", 503, "given_up", **fragile)
    if ask("start", 200, **{"class": "odd", "key": "started"}) != ask("start", 200, **{"class": "odd", "key": "started"}):
        raise Wrong("a process that ran was started anew")
    ask("start", 400, "invalid_argument", headers={"Orrery-Timeout": "soon"}, **a)
    ask("start", 404, "not_found", **{"class": "nothing", "key": "k"})
    ask("start", 500, "process_exited", **{"class": "odd", "key": "stillborn"})


def check_lists(server: Server) -> None:
    ask = server.ask
    ask("call", 200, **{"class": "odd", "key": "member"}, method="join")
    ask("call", 200, **{"class": "counter", "key": "b"}, method="get")
    for name, field in (("listProcesses", "processes"), ("listNodes", "nodes"), ("listClasses", "classes"), ("listGroups", "groups"),
                        ("registry", "entries"), ("tree", "nodes"), ("crashes", "crashes")):
        if not ask(name, 200)[field]:
            raise Wrong(f"{name} shows nothing, so nothing was checked")
        ask(name, 400, "invalid_argument", unknown="1")
    if not ask("group", 200, group="chat/room-1")["members"]:
        raise Wrong("the group has no members")
    for name in ("listProcesses", "tree"):
        ask(name, 404, "not_found", **{"class": "nothing"})
    ask("group", 400, "invalid_argument", group="g" * 256)
    ask("publish", 202, group="chat/room-1", word="said", body='"hello"')
    ask("publish", 400, "invalid_argument", group="g", word="w" * 256)
    trees = ask("tree", 200, children="10", node="local")["nodes"][0]["supervisors"]
    if not any(each["givenUp"] for each in trees) or not any(each["declared"] for each in trees) or not any(each.get("processes") for each in trees):
        raise Wrong("the tree shows nothing given up, declared or running, so that was not checked")
    if not ask("crashes", 200, **{"class": "odd", "key": "k", "limit": "5"})["crashes"][0]["message"]:
        raise Wrong("the crash shows no message, so that was not checked")
    for by in ("mailbox", "age", "reductions", "messages"):
        ask("top", 200, by=by, limit="3")
    server.until("a process is among the greatest", lambda: bool(ask("top", 200, by="memory", node="local")["processes"]))
    ask("top", 400, "invalid_argument", by="name")
    ask("release", 200, **{"class": "fragile", "key": "k"})
    for name in ("health", "ready", "metrics"):
        ask(name, 200)
    if ask("description", 200) != (ROOT / "docs" / "openapi.yaml").read_text():
        raise Wrong("the server's description is not that of docs/openapi.yaml")


def check_refusals(server: Server) -> None:
    """What is the same for many operations."""
    some = {"class": "counter", "key": "a", "method": "get", "group": "g", "word": "w"}
    for name, (_, path, operation, _) in server.description.operations.items():
        given = {key: some[key] for key in re.findall(r"{(\w+)}", path)}
        body = "1" if name == "putState" else None
        if "403" in operation["responses"]:
            server.ask(name, 403, "forbidden", body=body, headers=FOREIGN, **given)
            server.ask(name, 403, "forbidden", body=body, headers={"Host": "evil.example:3600"}, **given)
        if "class" in given:
            server.ask(name, 404, "not_found", body=body, **{**given, "class": "nothing"})
            server.ask(name, 400, "invalid_argument", body=body, **{**given, "class": "UPPER"})


def check_connections(server: Server, path_of_socket: str) -> None:
    wanted = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
              "Sec-WebSocket-Protocol": "orrery.v1"}
    server.ask("websocket", 101, headers=wanted)
    server.ask("websocket", 400, "invalid_argument", headers={**wanted, "Sec-WebSocket-Protocol": "chat"})
    server.ask("websocket", 426, "invalid_argument")
    held: List[socket.socket] = []
    try:
        for _ in range(64):
            held.append(socket.create_connection((server.ip, 3600)))
            held[-1].sendall(b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        for each in held:
            begin = each.recv(4096)
            if b"200 OK" not in begin or b"text/event-stream" not in begin:
                raise Wrong(f"no stream of events: {begin!r}")
        server.description.seen.add(("events", 200))
        server.ask("events", 429, "overloaded")
        for _ in range(256):
            held.append(socket.socket(socket.AF_UNIX))
            held[-1].connect(path_of_socket)
        server.until("all connections of the SDK protocol are taken",
                     lambda: b"\norrery_sdk_stream_connections 256\n" in server.send("GET", "/metrics", port=3602)[2])
        server.ask("websocket", 429, "overloaded", headers=wanted)
    finally:
        for each in held:
            each.close()


def check_isolated(server: Server) -> None:
    server.until("the node is isolated", lambda: server.send("GET", "/readyz", port=3602)[2].startswith(b"isolated"))
    server.ask("ready", 503)
    some = {"class": "counter", "key": "a", "method": "get"}
    for name, (_, path, operation, _) in server.description.operations.items():
        if "503" in operation["responses"] and path.startswith("/v1/"):
            server.ask(name, 503, "isolated", body="1" if name == "putState" else None, **{key: some[key] for key in re.findall(r"{(\w+)}", path)})


async def run(binary: str) -> None:
    description = Description(yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text()))
    description.check_itself()
    with tempfile.TemporaryDirectory(prefix="orrery-openapi-") as folder:
        log = pathlib.Path(folder) / "sidecar.log"
        async with RealSidecar(binary, log, classes=CLASSES) as sidecar:
            server = Server(description, sidecar.ip)
            server.until("the node is ready", lambda: server.send("GET", "/readyz", port=3602)[0] == 200)
            check_routes(server)
            check_processes(server)
            check_lists(server)
            check_refusals(server)
            check_connections(server, str(sidecar.socket))
        async with RealSidecar(binary, log, classes=CLASSES, absent=2) as sidecar:
            check_isolated(Server(description, sidecar.ip))
    for name, status in sorted(description.documented() - description.seen):
        raise Wrong(f"{name} was never answered with {status}: provoke it here, or take it out of the description")
    print(f"{len(description.operations)} operations, {len(description.documented())} answers: each came, and is as documented")


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    try:
        asyncio.run(run(sys.argv[1]))
    except Wrong as problem:
        print(f"FAIL: {problem}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
