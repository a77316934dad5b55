"""The programs of members.py, beside a mock sidecar."""
import asyncio
import contextlib
import io
import pathlib
import re
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "conformance"))

import members  # noqa: E402
import mock  # noqa: E402
from members import orrery  # noqa: E402


class Members(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        folder = tempfile.TemporaryDirectory(prefix="orrery-")
        self.addCleanup(folder.cleanup)
        self.sidecar = await mock.Sidecar(f"{folder.name}/sdk.sock", [mock.ClassSpec("cart", "counter")]).__aenter__()
        self.addAsyncCleanup(self.sidecar.stop)
        self.client, self.other = await self.connect(), await self.connect()

    async def connect(self):
        client = await orrery.connect(self.sidecar.address).open()
        self.addAsyncCleanup(client.close)
        return client

    def enter(self, block):
        block.__enter__()
        self.addCleanup(block.__exit__, None, None, None)

    async def until(self, condition):
        for _ in range(2000):
            if condition():
                return
            await asyncio.sleep(0.005)
        raise AssertionError("did not come true")

    async def test_chat_hears_what_others_say(self):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            ada = asyncio.ensure_future(members.chat(self.client, "ada", []))
            await self.until(lambda: self.sidecar.mesh.kernel.groups)
            bob = asyncio.ensure_future(members.chat(self.other, "bob", ["hello"]))
            await self.until(lambda: said.getvalue().count("bob said hello\n") == 2)
        self.sidecar.cut()
        await asyncio.wait_for(asyncio.gather(ada, bob), 5)

    async def test_another_leads_when_the_leader_is_gone(self):
        led = []

        async def work():
            led.append(1)
            await asyncio.Event().wait()

        said = io.StringIO()
        self.enter(contextlib.redirect_stdout(said))
        first, second = (asyncio.ensure_future(members.lead(client, work)) for client in (self.client, self.other))
        await self.until(lambda: self.sidecar.mesh.kernel.monitors)
        self.assertEqual(len(led), 1)
        first.cancel()
        await self.until(lambda: len(led) == 2)
        self.assertEqual(said.getvalue().splitlines(), ["standing for leader/mail"] * 2 + ["leading", "leading no more", "leading"])
        second.cancel()
        await asyncio.wait({first, second})

    async def test_a_check_ends_with_its_cart(self):
        self.assertEqual(await members.check(self.client, lambda: asyncio.sleep(0, "checked")), "checked")
        checking = asyncio.ensure_future(members.check(self.client, lambda: asyncio.sleep(60)))
        await self.until(lambda: self.sidecar.mesh.kernel.links)
        await self.client.kill("cart/ada")
        self.assertEqual(await checking, "given up: killed")

    async def test_a_check_goes_on_where_its_cart_has_moved_to(self):
        begun = []

        async def work():
            begun.append(1)
            await asyncio.sleep(60 if len(begun) == 1 else 0)
            return "checked"

        checking = asyncio.ensure_future(members.check(self.client, work))
        await self.until(lambda: begun)
        for process in list(self.sidecar.connections[0].client_processes.values()):
            process.deliver({"kind": "exit", "from": "x@1.2.3", "reason": {"kind": "moved", "text": ""}})
        self.assertEqual(await asyncio.wait_for(checking, 5), "checked")
        self.assertEqual(len(begun), 2)

    async def test_says_how_it_is_used(self):
        for arguments in ((), ("sing",)):
            with self.assertRaisesRegex(SystemExit, r"usage: members.py chat \[NAME\] \| lead \| check"):
                await members.main(*arguments)


class ThePages(unittest.TestCase):
    def test_tell_the_names_that_are_taken(self):
        page = (pathlib.Path(__file__).resolve().parents[3] / "docs" / "sdk-python.md").read_text()
        section = page.partition("### Names that are taken")[2].partition("\n\n")[2].partition("\n\n")[2].partition("\n\n")[0]
        taken = {name for name in [*dir(orrery.Process), *orrery.Process.__annotations__] if not name.startswith("_")}
        self.assertEqual(set(re.findall("`(.+?)`", section)), taken)

    def test_show_these_programs(self):
        here = pathlib.Path(__file__).resolve()
        shown = (here.parent / "members.py").read_text()
        programs = shown[shown.index("async def chat"):shown.index("\n\nasync def main")].rstrip()
        self.assertIn(programs, (here.parents[3] / "docs" / "sdk-python.md").read_text())


if __name__ == "__main__":
    unittest.main()
