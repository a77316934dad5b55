"""An app that hosts the class `basket`, on the standard library alone: what runs in the pods of test_app_hosted.py.

It speaks the SDK protocol (docs/sdk-protocol.md) in JSON, one connection, and dials again whenever that ends. Methods: add (a number), total,
boom (raises), slow (answers after so many seconds; others go on meanwhile). At SIGUSR1 it finishes what it has in hand and leaves, as an app that has
fallen ill; at SIGUSR2 it is back.
"""
import json
import os
import signal
import socket
import struct
import sys
import threading
import time


class Connection:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.writing = threading.Lock()

    def send(self, message):
        payload = json.dumps(message).encode()
        with self.writing:
            self.socket.sendall(struct.pack(">I", len(payload)) + payload)

    def exactly(self, count):
        parts = []
        while count:
            part = self.socket.recv(count)
            if not part:
                raise ConnectionError("the sidecar closed the connection")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def receive(self):
        return json.loads(self.exactly(*struct.unpack(">I", self.exactly(4))))


def handle(work):
    """One callback: what its `done` holds."""
    if work["callback"] == "init":
        return {"state": {"sum": 0, "adds": 0}}
    state, argument = work["state"], work.get("argument")
    match work["method"]:
        case "add":
            state = {"sum": state["sum"] + argument, "adds": state["adds"] + 1}
            return {"state": state, "reply": state["sum"]}
        case "total":
            return {"reply": state["sum"]}
        case "slow":
            time.sleep(argument)
            return {"reply": "done"}
        case "boom":
            raise KeyError("boom")


def work_on(connection, work):
    try:
        done = handle(work)
    except Exception as error:  # a crash of this process, and of no other
        done = {"crash": {"text": f"{type(error).__name__}: {error}"}}
    connection.send({"type": "done", "work": work["work"], **done})


ill = threading.Event()
signal.signal(signal.SIGUSR2, lambda *_: ill.clear())


def serve(path):
    connection = Connection(path)

    def drain(number, _):  # it finishes what it has in hand and takes no more: what is being handled when an app just ends is lost
        if number == signal.SIGUSR1:
            ill.set()
        threading.Thread(target=connection.send, args=({"type": "drain", "id": 2},)).start()

    signal.signal(signal.SIGTERM, drain)
    signal.signal(signal.SIGUSR1, drain)
    connection.send({"type": "hello", "version": 1, "client": "basket/1"})
    welcome = connection.receive()
    assert welcome["type"] == "welcome", welcome
    connection.send({"type": "register", "id": 1, "class": "basket", "calls": ["add", "total", "slow", "boom"], "callbacks": ["init"]})
    while True:
        message = connection.receive()
        if message["type"] == "work":
            if message.get("method") == "slow":
                threading.Thread(target=work_on, args=(connection, message), daemon=True).start()
            else:
                work_on(connection, message)
        elif message["type"] == "ping":
            connection.send({"type": "pong", "n": message["n"]})
        else:
            print(message, flush=True)
        if message.get("id") == 2:
            if not ill.is_set():
                sys.exit(0)
            connection.socket.close()
            return
        if message["type"] == "goodbye":
            return


while True:
    while ill.is_set():
        time.sleep(0.05)
    try:
        serve(os.environ["ORRERY_SOCKET"])
    except OSError as error:
        print(f"dial again: {error}", flush=True)
    time.sleep(0.1)
