"""The desk's program: workers of this pod's share, a hand for handing out, and a page at port 8080.

    GET  /            progress, and the map of workers
    GET  /progress    the same as JSON
    POST /run         {"documents": 2000, "where": "mesh"}; where: mesh or here
"""
import asyncio
import http.server
import json
import os
import pathlib
import threading
import uuid

import desk
import orrery

PAGE = pathlib.Path(__file__).with_name("page.html")
DOCUMENTS_MAX = 10000


def run_of(body):
    run = json.loads(body or "null")
    if not isinstance(run, dict) or set(run) - {"documents", "where"}:
        raise ValueError('the body is {"documents": HOW MANY, "where": "mesh" or "here"}')
    documents, where = run.get("documents", 2000), run.get("where", "mesh")
    if not isinstance(documents, int) or not 1 <= documents <= DOCUMENTS_MAX:
        raise ValueError(f"documents is a whole number from 1 to {DOCUMENTS_MAX}, not {documents!r}")
    if where not in desk.READ:
        raise ValueError(f"where is mesh or here, not {where!r}")
    return {"id": uuid.uuid4().hex[:8], "documents": documents, "where": where}


def handler(client, loop):
    def wait(doing):
        return asyncio.run_coroutine_threadsafe(doing, loop).result(20)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            match self.path:
                case "/":
                    self.answer(200, PAGE.read_bytes(), "text/html; charset=utf-8")
                case "/healthz":
                    self.answer(200, {"ok": True})
                case "/progress":
                    self.ask(desk.progress(client))
                case _:
                    self.answer(404, {"error": f"no {self.path} here; there are /, /progress and /run"})

        def do_POST(self):
            if self.path != "/run":
                return self.answer(404, {"error": f"no {self.path} here to post to; there is /run"})
            try:
                run = run_of(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            except ValueError as error:
                return self.answer(400, {"error": str(error)})
            self.ask(self.start(run))

        async def start(self, run):
            await desk.Ledger(client).start(run)
            return run

        def ask(self, doing):
            try:
                self.answer(200, wait(doing))
            except orrery.OrreryError as error:
                self.answer(503, {"error": error.text, "code": error.code, "effect": error.effect})

        def answer(self, status, value, kind="application/json"):
            data = value if isinstance(value, bytes) else json.dumps(value).encode() + b"\n"
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    return Handler


async def main():
    async with orrery.connect(timeout=None) as client:
        # The pod's own address, not every one: on the embedded cluster all pods share a machine.
        server = http.server.ThreadingHTTPServer((os.environ.get("POD_IP", ""), 8080), handler(client, asyncio.get_running_loop()))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        handing = asyncio.ensure_future(desk.take_turns(client))
        await orrery.serve(desk.Worker, client=client, app="desk 1")  # until SIGTERM
        handing.cancel()
        await asyncio.wait({handing})


if __name__ == "__main__":
    asyncio.run(main())
