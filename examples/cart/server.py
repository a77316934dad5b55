"""The cart service: HTTP for customers on port 8080, and the carts of this pod's share, in one program.

    GET    /carts/KEY                       what is in it
    POST   /carts/KEY/items                 {"item": "tea", "count": 2}
    DELETE /carts/KEY/items/ITEM
    POST   /carts/KEY/checkout
    GET    /orders    GET /mail             how many orders and reminders there are

Every pod answers for every cart. Header Idempotency-Key: the same key again changes nothing and gets the same answer, whatever happened
to the first one. Without it the service makes one for as long as it tries itself.
"""
import http.server
import json
import os
import threading
import time
import urllib.parse
import uuid

import orrery
import orrery.sync
from cart import Cart

PORT = int(os.environ.get("PORT", "8080"))
TRY_SECONDS = 10
STATUS = {"invalid_argument": 400, "not_found": 404, "conflict": 409}


def ask(client, name, method, argument=None):
    """Calls until there is an answer. What may have been executed is asked again too: a cart knows the requests that it has answered."""
    deadline = time.monotonic() + TRY_SECONDS
    effect = orrery.NOT_EXECUTED
    while True:
        try:
            return client.call(name, method, argument, timeout=max(0.1, deadline - time.monotonic()))
        except orrery.OrreryError as error:
            if error.code in STATUS:
                raise
            if error.effect == orrery.UNKNOWN:
                effect = orrery.UNKNOWN
            if time.monotonic() > deadline:
                error.effect = effect
                raise
        time.sleep(0.05)


class Handler(http.server.BaseHTTPRequestHandler):
    client: orrery.sync.Client

    def route(self):
        """(process, method, argument) of the request, or None."""
        path = [urllib.parse.unquote(part) for part in self.path.strip("/").split("/")]
        request = self.headers.get("Idempotency-Key") or uuid.uuid4().hex
        match [self.command, *path]:
            case ["GET", "carts", key]:
                return f"cart/{key}", "total", None
            case ["POST", "carts", key, "items"]:
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "null")
                if not isinstance(body, dict) or not {"item"} <= set(body) <= {"item", "count"}:
                    raise ValueError('the body is {"item": NAME, "count": HOW MANY}')
                return f"cart/{key}", "add", {"request": request, **body}
            case ["DELETE", "carts", key, "items", item]:
                return f"cart/{key}", "remove", {"request": request, "item": item}
            case ["POST", "carts", key, "checkout"]:
                return f"cart/{key}", "checkout", {"request": request}
            case ["GET", "orders"]:
                return "orders/main", "stats", None
            case ["GET", "mail"]:
                return "mail/outbox", "stats", None
        return None

    def serve(self):
        if self.path == "/healthz":
            return self.answer(200, "ok")
        try:
            route = self.route()
        except ValueError as error:
            return self.answer(400, {"error": str(error)})
        if route is None:
            return self.answer(404, {"error": f"no {self.command} {self.path} here", "there is": __doc__.splitlines()[2:7]})
        try:
            self.answer(200, ask(self.client, *route))
        except orrery.OrreryError as error:
            self.answer(STATUS.get(error.code, 503), {"error": error.text, "code": error.code, "effect": error.effect})

    do_GET = do_POST = do_DELETE = serve

    def answer(self, status, value):
        data = json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def main():
    with orrery.sync.connect(timeout=None) as Handler.client:
        # The pod's own address, not every one: on the embedded cluster all pods share a machine.
        server = http.server.ThreadingHTTPServer((os.environ.get("POD_IP", ""), PORT), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        orrery.run(Cart, app="cart 1")  # until SIGTERM; what is at work is finished first
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    main()
