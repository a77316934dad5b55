"""A live mesh from outside: against an HTTP server that answers as a sidecar does, and a program that plays `orrery attach`."""
import gc
import http.server
import json
import os
import pathlib
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import unittest
import urllib.parse

from context import orrery
from orrery._http import Http

NODE = {"name": "demo-1", "state": "self", "processes": 2, "rttSeconds": None, "version": "0.1.0", "address": "10.0.0.1:3601"}
STATES = {"a": {"items": ["pen"]}, "b/c d": {"items": []}, "e": {"items": ["ink", "pen"]}}


def process(key, **more):
    return {"class": "cart", "key": key, "node": "demo-1", "state": "running", "mailbox": 0, "handled": 3, "restarts": 1, "ageSeconds": 3700.5,
            "lastExit": {"reason": "<b>error</b>", "agoSeconds": 1}, **more}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *ignored):
        pass

    def answer(self, document, status=200):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_one(self):
        server = self.server
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server.asked.append((self.command, path, dict(urllib.parse.parse_qsl(query)), body, self.headers.get("Orrery-Timeout")))
        server.peers.add(self.client_address)
        if server.drops:
            server.drops -= 1
            self.close_connection = True
            return
        if path == "/v1/events":
            return self.stream()
        refused = {"code": "not_found", "detail": "no such process", "effect": "not_executed"}
        named = path.removeprefix("/v1/processes/cart/") if path.startswith("/v1/processes/cart/") else ""
        key, _, rest = named.partition("/")
        key = urllib.parse.unquote(key)
        if path == "/v1/processes":
            rows = [process("a"), process("b/c d"), process("ended"), process("e"), {"class": "cart", "key": "z", "state": "given up"}]
            return self.answer({"processes": rows, "unreachable": ["demo-3"], "truncated": True})
        if path in server.documents:
            return self.answer(server.documents[path])
        if rest == "state":
            return self.answer(STATES[key]) if key in STATES else self.answer(refused, 404)
        if rest.startswith("call/"):
            return self.answer({"method": urllib.parse.unquote(rest[5:]), "argument": json.loads(body)})
        if rest.startswith("cast/"):
            return self.answer({}, 202)
        if rest in ("", "kill") and named:
            return self.answer(process(key) if self.command == "GET" else {"done": True})
        if path == "/v1/processes/odd/x":
            return self.answer(b"<html>", 502)
        return self.answer(refused, 404)

    do_GET = do_POST = do_DELETE = handle_one

    def stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for text in self.server.streams.pop(0):
            self.wfile.write(text.encode())
            self.wfile.flush()


class Sidecar(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked, self.peers, self.drops, self.streams = [], set(), 0, []
        self.documents = {
            "/v1/nodes": {"nodes": [NODE]},
            "/v1/classes": {"classes": [{"name": "cart", "behaviour": "app", "version": 3, "supervision": {"strategy": "OneForOne"}, "error": None}]},
            "/v1/tree": {"nodes": [{"node": "demo-1", "supervisors": [{"path": "root/cart", "children": 3}]},
                                   {"node": "demo-2", "supervisors": [{"path": "root/cart", "children": 1}]}]},
            "/v1/top": {"processes": [process("a", memoryBytes=4096, messagesPerSecond=1.25)]},
            "/v1/crashes": {"crashes": [process("a", agoSeconds=0.5, decision="restarted", reason="error: x\ny",
                                                message={"kind": "call", "method": "add", "argument": 5})]},
        }
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class MeshCase(unittest.TestCase):
    def setUp(self):
        self.sidecar = Sidecar()
        self.addCleanup(self.sidecar.server_close)
        self.addCleanup(self.sidecar.shutdown)
        self.mesh = orrery.attach(sidecar=self.sidecar.url)
        self.addCleanup(self.mesh.close)

    def refusal(self, kind, asking):
        with self.assertRaises(kind) as caught:
            asking()
        return caught.exception


class Looking(MeshCase):
    def test_lists_are_plain_data(self):
        self.assertEqual(self.mesh.nodes(), [NODE])
        self.assertEqual(self.mesh.classes()[0]["name"], "cart")
        self.assertEqual([(s["node"], s["children"]) for s in self.mesh.tree()], [("demo-1", 3), ("demo-2", 1)])
        self.assertEqual(self.mesh.top(by="memory", limit=5)[0]["memoryBytes"], 4096)
        self.assertEqual(self.sidecar.asked[-1][2], {"by": "memory", "limit": "5"})
        self.assertEqual(self.mesh.crashes(name="cart/a")[0]["decision"], "restarted")
        self.assertEqual(self.sidecar.asked[-1][2], {"class": "cart", "key": "a", "limit": "20"})
        listed = self.mesh.processes("cart", limit=7)
        self.assertEqual(self.sidecar.asked[-1][2], {"class": "cart", "limit": "7"})
        self.assertEqual((len(listed), listed.unreachable, listed.truncated), (5, ["demo-3"], True))

    def test_lists_show_themselves_as_text(self):
        lines = str(self.mesh.processes()).splitlines()
        self.assertTrue(lines[0].startswith("NAME        NODE"), lines[0])
        self.assertIn("1h1m", lines[1])
        self.assertEqual(lines[-2:], ["(there are more; ask with a greater limit)", "(demo-3 did not answer)"])
        self.assertEqual(repr(self.mesh.nodes()), str(self.mesh.nodes()))
        self.assertIn("call add 5  error: x y", str(self.mesh.crashes()))
        self.sidecar.documents["/v1/nodes"] = {"nodes": []}
        self.assertIn("(no nodes)", str(self.mesh.nodes()))

    def test_lists_show_themselves_in_notebooks_and_nothing_in_them_is_markup(self):
        shown = self.mesh.processes()._repr_html_()
        self.assertIn("<td style=\"text-align: left\">cart/b/c d</td>", shown)
        self.assertIn("&lt;b&gt;error&lt;/b&gt;", shown)
        self.assertNotIn("<b>", shown)
        self.assertIn("<p>(demo-3 did not answer)</p>", shown)
        self.assertEqual(shown.count("<tr>"), 6)

    def test_a_long_list_is_shown_in_part(self):
        self.sidecar.documents["/v1/nodes"] = {"nodes": [NODE] * 250}
        nodes = self.mesh.nodes()
        self.assertEqual(len(nodes), 250)
        self.assertIn("(50 more nodes are not shown)", str(nodes))
        self.assertEqual(nodes._repr_html_().count("<tr>"), 201)

    def test_documents_of_any_shape_can_be_shown(self):
        for odd in ({}, {"name": 5, "rttSeconds": [1]}, {"supervision": None, "message": "x", "lastExit": None, "ageSeconds": "y"}):
            for path, what in (("nodes", "nodes"), ("classes", "classes"), ("top", "processes"), ("crashes", "crashes")):
                self.sidecar.documents[f"/v1/{path}"] = {what: [odd]}
                self.assertTrue(getattr(self.mesh, path)()._repr_html_())

    def test_one_process_and_its_state(self):
        self.assertEqual(self.mesh.inspect("cart/b/c d")["key"], "b/c d")
        self.assertEqual(self.mesh.state("cart/a"), {"items": ["pen"]})
        self.assertEqual(self.mesh.state(orrery.Name("cart", "b/c d")), {"items": []})

    def test_a_query_is_names_and_states_of_those_that_run(self):
        self.assertEqual(dict(self.mesh.query("cart")), {f"cart/{key}": state for key, state in STATES.items()})
        found = list(self.mesh.query("cart", where=lambda state: state["items"]))
        self.assertEqual([each.name for each in found], ["cart/a", "cart/e"])
        self.assertEqual(found[1].state, {"items": ["ink", "pen"]})
        self.assertEqual([name for name, _ in self.mesh.query("cart", where=lambda state: state["items"], limit=1)], ["cart/a"])
        self.refusal(orrery.InvalidArgument, lambda: self.mesh.query("cart", limit=0))

    def test_a_query_looks_no_further_than_to_its_limit(self):
        self.assertEqual(len(self.mesh.query("cart", limit=2, where=lambda state: True)), 2)
        self.assertEqual([path for _, path, *_ in self.sidecar.asked if path.endswith("/state")],
                         ["/v1/processes/cart/a/state", "/v1/processes/cart/b%2Fc%20d/state"])

    def test_a_query_shows_what_it_found(self):
        found = self.mesh.query("cart")
        lines = repr(found).splitlines()
        self.assertEqual(lines[:2], ["NAME        STATE", 'cart/a      {"items": ["pen"]}'])
        self.assertEqual(lines[-1], "(demo-3 did not answer)")
        self.assertIn("<td style=\"text-align: left\">cart/b/c d</td>", found._repr_html_())
        self.assertIn("(no processes)", repr(self.mesh.query("cart", where=lambda state: False)))

    def test_top_of_nothing_says_where_to_look(self):
        self.sidecar.documents["/v1/top"] = {"processes": []}
        self.assertIn("(of mailbox no process has any now; top('memory') lists them all)", str(self.mesh.top()))
        self.assertIn("(no processes)", str(self.mesh.top("memory")))


class Acting(MeshCase):
    def test_calls_have_an_argument_a_reply_and_a_time(self):
        self.assertEqual(self.mesh.call("cart/b/c d", "add/x", {"item": "ü"}, timeout=0.25), {"method": "add/x", "argument": {"item": "ü"}})
        method, path, _, body, limit = self.sidecar.asked[-1]
        self.assertEqual((method, path, limit), ("POST", "/v1/processes/cart/b%2Fc%20d/call/add%2Fx", "250ms"))
        self.assertIsNone(self.mesh.call("cart/a", "get")["argument"])
        self.assertIsNone(self.sidecar.asked[-1][4])

    def test_casts_kills_and_stops(self):
        self.assertIsNone(self.mesh.cast("cart/a", "add", 1))
        self.mesh.kill("cart/a", "to see")
        self.assertEqual(json.loads(self.sidecar.asked[-1][3]), {"reason": "to see"})
        self.mesh.stop("cart/a")
        self.assertEqual([(method, path) for method, path, *_ in self.sidecar.asked],
                         [("POST", "/v1/processes/cart/a/cast/add"), ("POST", "/v1/processes/cart/a/kill"), ("DELETE", "/v1/processes/cart/a")])

    def test_what_cannot_be_sent_is_refused_before_it_is(self):
        for asking in (lambda: self.mesh.call("cart", "get"), lambda: self.mesh.call("cart/a", ""), lambda: self.mesh.call("cart/a", "x", {1, 2}),
                       lambda: self.mesh.call("cart/a", "x", float("nan"))):
            self.assertEqual(self.refusal(orrery.InvalidArgument, asking).effect, orrery.NOT_EXECUTED)
        self.assertEqual(self.sidecar.asked, [])


class Failing(MeshCase):
    def test_refusals_are_the_sdks_errors(self):
        problem = self.refusal(orrery.NotFound, lambda: self.mesh.state("cart/none"))
        self.assertEqual((problem.code, problem.text, problem.effect), ("not_found", "no such process", orrery.NOT_EXECUTED))

    def test_who_is_no_sidecar_is_quoted(self):
        self.assertIn("HTTP 502 from something that is no sidecar: <html>", str(self.refusal(orrery.ProtocolError, lambda: self.mesh.inspect("odd/x"))))

    def test_a_sidecar_that_is_not_there_was_asked_nothing(self):
        problem = self.refusal(orrery.Unavailable, lambda: orrery.attach(sidecar="http://127.0.0.1:1").call("cart/a", "add"))
        self.assertEqual(problem.effect, orrery.NOT_EXECUTED)
        self.assertIn("cannot reach http://127.0.0.1:1", problem.text)

    def test_a_lost_answer_says_what_is_known(self):
        self.sidecar.drops = 2
        self.assertEqual(self.refusal(orrery.Unavailable, lambda: self.mesh.call("cart/a", "add")).effect, orrery.UNKNOWN)
        self.assertEqual(self.refusal(orrery.Unavailable, lambda: self.mesh.state("cart/a")).effect, orrery.NOT_EXECUTED)

    def test_an_answer_that_is_late_is_not_waited_for(self):
        silent = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(silent.close)
        slow = Http(f"http://127.0.0.1:{silent.getsockname()[1]}")
        self.assertEqual(self.refusal(orrery.DeadlineExceeded, lambda: slow.ask("POST", "/", b"", timeout=0.05)).effect, orrery.UNKNOWN)

    def test_connections_are_kept_and_a_broken_one_is_read_through_anew(self):
        for _ in range(5):
            self.mesh.nodes()
        self.assertEqual(len(self.sidecar.peers), 1)
        self.sidecar.drops = 1
        self.assertEqual(self.mesh.nodes(), [NODE])
        self.assertEqual(len(self.sidecar.peers), 2)

    def test_what_is_closed_asks_nothing(self):
        self.mesh.close()
        self.mesh.close()
        self.assertEqual(self.refusal(orrery.Unavailable, self.mesh.nodes).effect, orrery.NOT_EXECUTED)
        self.assertIn("closed", repr(self.mesh))

    def test_urls_that_are_none_are_refused(self):
        for url in ("", "127.0.0.1:3600", "https://x", "http://", "http://x:0", "http://x:y", "http://x/path"):
            with self.subTest(url):
                self.assertIn("http://HOST:PORT", self.refusal(orrery.InvalidArgument, lambda: orrery.attach(sidecar=url)).text)


class Events(MeshCase):
    def test_events_are_followed_also_where_the_connection_breaks(self):
        self.sidecar.streams = [[":\n\n", 'event: node_up\ndata: {"peer": "a"}\n\nevent: x', '\ndata: {"n": 1}\n\n'], ['event: x\ndata: {"n": 2}\n\n'], []]
        events = self.mesh.events()
        self.assertEqual([next(events) for _ in range(4)], [orrery.Event("node_up", {"peer": "a"}), orrery.Event("x", {"n": 1}),
                                                            orrery.Event("resubscribed"), orrery.Event("x", {"n": 2})])
        events.close()

    def test_only_what_was_asked_for_and_what_was_missed(self):
        for types in (["x"], [["x"]], [{"x"}], ["x", "y"], [["x", "y"]]):
            self.sidecar.streams = [['event: node_up\ndata: {}\n\nevent: dropped\ndata: {"count": 3}\n\nevent: x\ndata: {}\n\n']]
            events = self.mesh.events(*types)
            self.assertEqual([next(events).type, next(events).type], ["dropped", "x"])
            events.close()

    def test_a_type_is_a_text(self):
        for types in ([5], [["x", 5]], [b"x"]):
            with self.assertRaises(TypeError):
                self.mesh.events(*types)
        self.assertEqual(self.sidecar.asked, [])

    def test_a_closed_mesh_ends_them_with_an_error(self):
        self.sidecar.streams = [[]]
        events = self.mesh.events()
        self.mesh.close()
        self.refusal(orrery.Unavailable, lambda: next(events))


class Attaching(unittest.TestCase):
    """`orrery attach` is a script here: what it is asked for is in the file beside it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="orrery-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.sidecar = Sidecar()
        self.addCleanup(self.sidecar.server_close)
        self.addCleanup(self.sidecar.shutdown)

    def program(self, body):
        path = self.folder / "orrery"
        path.write_text(f"#!{sys.executable}\nimport json, os, signal, sys, time\n"
                        f"open({str(self.folder / 'asked')!r}, 'w').write(json.dumps([os.getpid(), sys.argv[1:]]))\n" + textwrap.dedent(body))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    def attached(self, **options):
        where = json.dumps({"url": self.sidecar.url, "pod": "demo-1", "mesh": "demo", "namespace": "shop"})
        program = self.program(f"""
            print({where!r}, flush=True)
            print("orrery: demo-1 is gone; going on through demo-2", file=sys.stderr, flush=True)
            time.sleep(60)""")
        return orrery.attach(mesh="demo", program=program, **options)

    def child(self):
        return json.loads((self.folder / "asked").read_text())

    @staticmethod
    def alive(pid):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True

    def test_a_mesh_is_reached_through_it_and_closing_leaves_nothing(self):
        with self.assertLogs("orrery.attach", "INFO") as logged:
            with self.attached(namespace="shop", kubeconfig=self.folder / "config", context="here") as mesh:
                self.assertEqual(mesh.nodes(), [NODE])
                self.assertEqual(mesh.url, self.sidecar.url)
                self.assertIn("demo in shop", repr(mesh))
                pid, asked = self.child()
                self.assertEqual(asked, ["attach", "-o", "json", "--mesh=demo", "--namespace=shop", f"--kubeconfig={self.folder}/config", "--context=here"])
                self.assertTrue(self.alive(pid))
                deadline = time.monotonic() + 10
                while not logged.output and time.monotonic() < deadline:
                    time.sleep(0.01)
        self.assertFalse(self.alive(pid))
        self.assertTrue(any("going on through demo-2" in line for line in logged.output), logged.output)
        self.assertFalse([thread for thread in threading.enumerate() if thread.name == "orrery-attach"])
        mesh.close()

    def test_one_that_is_dropped_ends_its_child(self):
        mesh = self.attached()
        pid, _ = self.child()
        del mesh
        gc.collect()
        self.assertFalse(self.alive(pid))

    def test_a_program_that_ends_without_closing_ends_its_child(self):
        where = json.dumps({"url": self.sidecar.url, "pod": "p", "mesh": "demo", "namespace": "shop"})
        program = self.program(f"print({where!r}, flush=True)\ntime.sleep(60)")
        code = f"import orrery; kept = orrery.attach(mesh='demo', program={program!r}); kept.nodes()"
        path = os.pathsep.join(sys.path[:2])
        subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": path}, timeout=30)
        self.assertFalse(self.alive(self.child()[0]))

    def test_a_fork_does_not_end_its_parents_child(self):
        mesh = self.attached()
        fork = os.fork()
        if fork == 0:
            mesh.close()
            os._exit(0)
        os.waitpid(fork, 0)
        self.assertTrue(self.alive(self.child()[0]))
        self.assertEqual(mesh.nodes(), [NODE])
        mesh.close()

    def test_what_it_refuses_is_an_error_with_its_code(self):
        refusing = self.program("""print("orrery: forbidden: may not list pods", file=sys.stderr); sys.exit(4)""")
        with self.assertRaises(orrery.Forbidden) as caught:
            orrery.attach(mesh="demo", program=refusing)
        self.assertEqual((caught.exception.text, caught.exception.effect), ("may not list pods", orrery.NOT_EXECUTED))
        with self.assertRaises(orrery.Unavailable) as caught:
            orrery.attach(mesh="demo", program=self.program("sys.exit('what?')"))
        self.assertIn("status 1: what?", caught.exception.text)

    def test_a_program_that_is_not_there_or_says_something_else_is_explained(self):
        with self.assertRaises(orrery.Unavailable) as caught:
            orrery.attach(mesh="demo", program="/nowhere/orrery")
        self.assertIn("program=", caught.exception.text)
        with self.assertRaises(orrery.ProtocolError):
            orrery.attach(mesh="demo", program=self.program("print('hello'); time.sleep(60)"))
        self.assertFalse(self.alive(self.child()[0]))

    def test_one_that_says_nothing_is_not_waited_for(self):
        with self.assertRaises(orrery.DeadlineExceeded):
            orrery.attach(mesh="demo", program=self.program("time.sleep(60)"), timeout=0.5)

    def test_one_that_ended_is_named_by_the_next_request(self):
        mesh = self.attached()
        pid, _ = self.child()
        os.kill(pid, signal.SIGKILL)
        self.sidecar.shutdown()
        self.sidecar.server_close()
        deadline = time.monotonic() + 10
        while mesh._attached.ended is None and time.monotonic() < deadline:
            time.sleep(0.01)
        with self.assertRaises(orrery.Unavailable) as caught:
            mesh.nodes()
        self.assertIn("'orrery attach' has ended", caught.exception.text)
        mesh.close()

    def test_without_a_mesh_it_is_the_sidecar_of_the_environment(self):
        before = os.environ.pop("ORRERY_SIDECAR", None)
        try:
            with self.assertRaises(orrery.InvalidArgument):
                orrery.attach()
            os.environ["ORRERY_SIDECAR"] = self.sidecar.url
            self.assertEqual(orrery.attach().nodes(), [NODE])
        finally:
            os.environ.pop("ORRERY_SIDECAR", None)
            if before is not None:
                os.environ["ORRERY_SIDECAR"] = before


if __name__ == "__main__":
    unittest.main()
