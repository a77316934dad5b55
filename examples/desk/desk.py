"""The desk: thousands of workers, each a process that reads one document, wherever the mesh has room for it.

A run is a number of documents. One pod at a time holds the turn and hands them out; what was read is booked in a ledger under the document's
number, so whatever is done twice counts once, and whoever has the turn next goes on with what the ledger has not.
"""
import asyncio
import os

import invoices
import orrery

POD, MACHINE = os.environ.get("POD_NAME", "here"), os.environ.get("NODE_NAME", "this machine")
SHARDS = 16
AT_ONCE = 64
TURN_SECONDS = 3
TRIES = 3


class Worker(orrery.Process):
    class_name = "worker"

    def init(self, key):
        self.state = None  # what it has read

    @orrery.call
    def read(self, *, text):  # a plain function: it runs in a thread, and what it raises ends this worker alone
        if self.state is None:
            self.state = {"fields": invoices.extract(text), "machine": MACHINE}
        return self.state


async def read_here(client, name, text):
    return {"fields": await asyncio.to_thread(invoices.extract, text), "machine": MACHINE}


async def read_anywhere(client, name, text):
    return await client.call(f"worker/{name}", "read", {"text": text}, timeout=30)


READ = {"here": read_here, "mesh": read_anywhere}


class Ledger:
    """What was read, in the sidecars: some built-in documents of {number: entry}, out of reach of the app's crashes."""

    def __init__(self, client):
        self.client = client

    def shard(self, run, number):
        return f"ledger/{run['id']}-{number % SHARDS}"

    async def book(self, run, number, entry):
        await self.client.call(self.shard(run, number), "put", {"key": str(number), "value": entry})

    async def entries(self, run):
        """{number: {"cents", "machine"} or {"unreadable"}} of all that is booked."""
        shards = await asyncio.gather(*(self.client.call(self.shard(run, number), "get") for number in range(SHARDS)))
        return {int(number): entry for shard in shards for number, entry in shard.items()}

    async def start(self, run):
        await self.client.call("ledger/runs", "put", {"key": "current", "value": run})

    async def run(self):
        """{"id", "documents", "where"} of the run that was started last, or None."""
        return await self.client.call("ledger/runs", "get", "current")


async def do_one(client, ledger, run, number):
    """Reads a document and books it; asks again after a crash, until it is read or given up."""
    text, tries = invoices.generate(number), 0
    while True:
        try:
            read = await READ[run["where"]](client, f"{run['id']}-{number}", text)
            return await ledger.book(run, number, {"cents": read["fields"]["cents"], "machine": read["machine"]})
        except orrery.GivenUp as problem:  # its supervisor has seen it crash once too often
            return await ledger.book(run, number, {"unreadable": problem.text})
        except invoices.Unreadable as problem:  # the same without a supervisor
            tries += 1
            if tries == TRIES:
                return await ledger.book(run, number, {"unreadable": str(problem)})
        except orrery.OrreryError:  # it crashed, or its app or pod went away: nobody knows how far it came, and it does not matter
            await asyncio.sleep(0.1)


async def hand_out(client):
    """What the run lacks, some at once, over and over."""
    ledger = Ledger(client)
    while True:
        run = await ledger.run()
        booked = await ledger.entries(run) if run else {}
        waiting = iter([number for number in range(run["documents"] if run else 0) if number not in booked])

        async def hand():
            for number in waiting:
                await do_one(client, ledger, run, number)
                if await superseded(ledger, run, number):
                    return

        await together([hand() for _ in range(AT_ONCE)])
        await asyncio.sleep(0.2)


async def together(doings):
    """Until all are done. When one fails, or this is cancelled, all others have ended before anybody hears of it: nothing goes on beside what comes next."""
    tasks = [asyncio.ensure_future(doing) for doing in doings]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def superseded(ledger, run, number):
    return number % 50 == 0 and await ledger.run() != run


async def take_turns(client):
    """One pod at a time hands out; when it dies, its turn ends after some seconds, and another goes on."""
    owner = f"{POD}-{os.getpid()}"
    while True:
        try:
            turn = await client.call("turn/desk", "acquire", {"owner": owner, "ttlSeconds": TURN_SECONDS, "waitSeconds": 30}, timeout=40)
            if turn["acquired"]:
                await while_held(client, owner, hand_out(client))
        except orrery.OrreryError:
            await asyncio.sleep(0.2)


async def while_held(client, owner, doing):
    task = asyncio.ensure_future(doing)
    try:
        while not task.done():
            await client.call("turn/desk", "renew", {"owner": owner, "ttlSeconds": TURN_SECONDS}, timeout=TURN_SECONDS / 2)
            await asyncio.wait({task}, timeout=TURN_SECONDS / 3)
        task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})


async def progress(client):
    """How far the run is, and where each worker lives: what the page shows."""
    ledger = Ledger(client)
    run = await ledger.run()
    if run is None:
        return {"run": None}
    booked = await ledger.entries(run)
    living = await client.processes("worker", limit=5000) if run["where"] == "mesh" else {"processes": []}
    prefix = f"{run['id']}-"
    return {
        "run": run, "booked": len(booked), "cents": sum(entry.get("cents", 0) for entry in booked.values()),
        "unreadable": {number: entry["unreadable"] for number, entry in sorted(booked.items()) if "unreadable" in entry},
        "machines": {number: entry["machine"] for number, entry in booked.items() if "machine" in entry},
        "workers": {p["key"].removeprefix(prefix): p["node"] for p in living["processes"] if p["key"].startswith(prefix)},
    }
