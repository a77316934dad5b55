"""A small client of the SDK's HTTP interface (docs/protocol.md), on the standard library alone."""
import contextlib
import http.client
import json
import re
import socket
import urllib.parse


class Refused(Exception):
    """A problem document: .code and .status are for tests, the text is for people."""

    def __init__(self, status, problem):
        super().__init__(f"{status} {problem.get('code')}: {problem.get('detail')}")
        self.status, self.code, self.problem = status, problem.get("code"), problem


class Sidecar:
    """One sidecar's SDK server. connect(timeout) -> socket may be given where its address is not reachable as such."""

    def __init__(self, host, port, connect=None):
        self.host, self.port = host, port
        self.connect = connect or (lambda timeout: socket.create_connection((host, port), timeout))

    def request(self, method, path, body=None, headers=None, timeout=10):
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        connection.sock = self.connect(timeout)
        with contextlib.closing(connection):
            connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            text = answer.read()
        if answer.status >= 400:
            try:
                problem = json.loads(text)
            except ValueError:
                problem = {"code": None, "detail": text[:200].decode(errors="replace")}
            raise Refused(answer.status, problem)
        return json.loads(text) if text else None

    def events(self, timeout=30):
        """Yields (type, data) as they happen. The subscription stands when the first is None: nothing after that is missed."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        connection.sock = self.connect(timeout)
        with contextlib.closing(connection):
            connection.request("GET", "/v1/events", headers={"Accept": "text/event-stream"})
            answer = connection.getresponse()
            if answer.status != 200:
                raise Refused(answer.status, {"code": None, "detail": "no event stream"})
            yield None, None
            kind, data = None, []
            for raw in answer:
                line = raw.decode().rstrip("\r\n")
                if line.startswith("event:"):
                    kind = line[6:].strip()
                elif line.startswith("data:"):
                    data.append(line[5:].strip())
                elif not line and kind:
                    yield kind, json.loads("\n".join(data) or "null")
                    kind, data = None, []

    @staticmethod
    def path(name):
        process_class, key = name.split("/", 1)
        return f"/v1/processes/{process_class}/{urllib.parse.quote(key, safe='')}"

    def call(self, name, method, argument=None, timeout=10, **headers):
        return self.request("POST", f"{self.path(name)}/call/{method}", argument, headers, timeout)

    def cast(self, name, method, argument=None):
        return self.request("POST", f"{self.path(name)}/cast/{method}", argument)

    def inspect(self, name):
        return self.request("GET", self.path(name))

    def kill(self, name, reason="killed by a test"):
        return self.request("POST", f"{self.path(name)}/kill", {"reason": reason})

    def stop(self, name):
        return self.request("DELETE", self.path(name))

    def release(self, name):
        return self.request("POST", f"{self.path(name)}/release")

    def supervisor(self, process_class):
        """A class' supervisor on this node."""
        tree = self.request("GET", "/v1/tree?node=local")["nodes"][0]
        return next(s for s in tree["supervisors"] if s["class"] == process_class)

    def nodes(self):
        return self.request("GET", "/v1/nodes")["nodes"]

    def classes(self):
        return {c["name"]: c for c in self.request("GET", "/v1/classes")["classes"]}

    def owner(self, name):
        """The node that a name belongs to, running or not."""
        try:
            return self.inspect(name)["node"]
        except Refused as refused:
            named = re.search(r"owner is node (\S+)", refused.problem.get("detail") or "")
            if refused.status == 404 and ("node" in refused.problem or named):
                return refused.problem.get("node") or named.group(1)
            raise

    def up(self):
        """Names of the nodes that this one is connected to, itself included."""
        return sorted(n["name"] for n in self.nodes() if n["state"] in ("self", "up"))
