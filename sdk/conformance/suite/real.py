"""A real sidecar for the cases: a mesh of one on loopback, with the classes of classes.yaml and a certificate of its own."""
from __future__ import annotations

import asyncio
import os
import pathlib
import signal
import subprocess
import tempfile
from typing import Any, Optional

from .expect import Unexpected

CLASSES = pathlib.Path(__file__).resolve().parents[1] / "classes.yaml"
NODE, UID = "conformance-0", "uid-conformance-0"


class RealSidecar:
    """``async with RealSidecar(binary, log, over) as sidecar``: ``sidecar.address`` answers, and ``sidecar.http``; afterwards nothing is left.

    ``classes``: a ``classes:`` list of config.yaml; by default that of the cases. ``absent``: so many more nodes are in its list of peers,
    and none of them is there.
    """

    def __init__(self, binary: str, log: pathlib.Path, over: str = "unix", classes: str = "", absent: int = 0) -> None:
        self._binary = binary
        self._log = log
        self._over = over
        self._classes = classes or CLASSES.read_text()
        self._absent = absent
        self._folder = tempfile.TemporaryDirectory(prefix="orrery-real-")
        self._process: Optional[asyncio.subprocess.Process] = None
        self.socket = pathlib.Path(self._folder.name) / "sdk.sock"
        number = os.getpid() % 16384  # an address that no other test of now uses
        self._ip = f"127.{200 + number // 250 % 50}.{1 + number % 250}.1"

    @property
    def address(self) -> str:
        return {"unix": f"unix:{self.socket}", "tcp": f"tcp:{self._ip}:3603", "ws": f"ws://{self._ip}:3600"}[self._over]

    @property
    def ip(self) -> str:
        """Where it listens: 3600 HTTP, 3602 admin, 3603 the SDK protocol."""
        return self._ip

    @property
    def tcp(self) -> str:
        return f"{self._ip}:3603"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def http(self) -> str:
        return f"http://{self._ip}:3600"

    async def __aenter__(self) -> "RealSidecar":
        folder = pathlib.Path(self._folder.name)
        make_certificates(folder / "tls")
        (folder / "genesis.yaml").write_text("meshID: 11111111-2222-3333-4444-555555555555\nmembers: []\n")
        peers = [f'{{name: {NODE}, uid: {UID}, address: "{self._ip}:3601"}}']
        peers += [f'{{name: absent-{n}, uid: uid-absent-{n}, address: "{self._ip}:{3700 + n}"}}' for n in range(self._absent)]
        (folder / "config.yaml").write_text(
            f"mesh: {{name: conformance, namespace: default}}\ndiscovery: {{mode: static, peers: [{', '.join(peers)}]}}\n{self._classes}")
        self._log.write_bytes(b"")
        await self._start()
        return self

    async def restart(self) -> None:
        """Ends it with SIGKILL and starts another in its place."""
        await self._stop()
        self.socket.unlink(missing_ok=True)
        await self._start()

    async def _start(self) -> None:
        folder = pathlib.Path(self._folder.name)
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                self._binary, "--config", str(folder / "config.yaml"), "--genesis", str(folder / "genesis.yaml"), "--tls", str(folder / "tls"),
                "--sdk", f"{self._ip}:3600", "--sdk-socket", str(self.socket), "--sdk-stream", f"{self._ip}:3603", "--listen", self._ip, "--pod-name", NODE, "--pod-uid", UID,
                "--termination-log", str(folder / "termination-log"), stdout=log, stderr=log)
        try:
            await self._until_it_answers()
        except BaseException:
            await self.__aexit__()
            raise

    async def _until_it_answers(self) -> None:
        assert self._process is not None
        for _ in range(600):
            if self._process.returncode is not None:
                break
            try:
                _, writer = await asyncio.open_unix_connection(str(self.socket))
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return
        raise Unexpected(f"{self._binary} did not start; its log is {self._log}")

    async def __aexit__(self, *ignored: Any) -> None:
        await self._stop()
        self._folder.cleanup()

    async def _stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()


def make_certificates(folder: pathlib.Path) -> None:
    """A CA, and a certificate that names the node as docs/architecture.md says."""
    folder.mkdir()

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", "/CN=conformance",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", *curve, "-keyout", "tls.key", "-out", "tls.csr", "-subj", f"/CN={NODE}")
    (folder / "extensions").write_text(
        f"subjectAltName=URI:orrery://default/conformance/{NODE}\nextendedKeyUsage=clientAuth,serverAuth\nkeyUsage=critical,digitalSignature\n"
        "basicConstraints=critical,CA:FALSE\n")
    openssl("x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", "tls.crt", "-days", "1", "-extfile", "extensions")
