"""What runs in the pods of test_members.py: a member of the group `members` that stands for `leader`, whenever there is a sidecar.

Nothing is hosted. Each task is a client process of its own, which ends with the connection and is opened anew.
"""
import asyncio
import os

import orrery

POD = os.environ["POD_NAME"]


async def member(client):
    async with client.process() as me:
        await me.join("members")
        async for _ in me:
            pass


async def lead(client):
    async with client.process() as me:
        try:
            await me.claim("leader", POD)
        except orrery.AlreadyExists:
            for holder in await client.lookup("leader"):
                await client.monitor(holder["pid"])
            await asyncio.sleep(0.05)  # its end is heard before everybody has heard
        else:
            async for _ in me:
                pass


async def again_and_again(what, client):
    while True:
        try:
            await what(client)
        except orrery.OrreryError as problem:
            print(f"{what.__name__}: {problem}", flush=True)
            await asyncio.sleep(0.2)


async def main():
    async with orrery.connect() as client:
        await asyncio.gather(again_and_again(member, client), again_and_again(lead, client))


asyncio.run(main())
