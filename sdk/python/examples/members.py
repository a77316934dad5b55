"""Processes of a program's own: `python3 members.py chat [NAME] | lead | check` where a sidecar is."""
import asyncio
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "src"))  # not needed where orrery is installed

import orrery  # noqa: E402


async def chat(client, name, lines):
    """A chat room is a group: who has joined hears what anybody says."""
    async with client.process() as me:
        await me.join("chat/lobby")
        for line in lines:
            await me.publish("chat/lobby", "said", {"who": name, "line": line})
        async for message in me:                     # until the connection ends
            if isinstance(message, orrery.PlainMessage) and message.word == "said":
                print(message.argument["who"], "said", message.argument["line"], flush=True)


async def lead(client, work):
    """One of all programs does the work; when it ends, however it does, another takes over."""
    print("standing for leader/mail", flush=True)

    async def leading():                             # cancelled when the key or the connection is lost, and called anew when it leads again
        print("leading", flush=True)
        try:
            return await work()
        finally:
            print("leading no more", flush=True)

    return await client.lead("leader/mail", leading)


async def check(client, work):
    """A task and a process that end together: neither is of use without the other."""
    while True:
        await client.start("cart/ada")               # a link does not start it
        try:
            return await client.link("cart/ada", work)
        except orrery.ExitSignal as signal:          # the cart has ended, and so the work was cancelled
            if signal.reason.kind != "moved":        # else it lives on at another node: link anew
                return f"given up: {signal.reason.kind}"


async def main(what="", name="somebody"):
    if what not in ("chat", "lead", "check"):
        raise SystemExit("usage: members.py chat [NAME] | lead | check")
    async with orrery.connect() as client:
        if what == "chat":
            await chat(client, name, ["hello"])
        elif what == "lead":
            await lead(client, lambda: asyncio.sleep(60))
        else:
            print(await check(client, lambda: asyncio.sleep(5, "checked")))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
