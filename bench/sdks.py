"""./dev bench sdk: what the SDKs cost, against a sidecar of its own on this machine. README.md tells what the rows are."""
import asyncio
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "sdk/conformance"))

from suite.real import RealSidecar  # noqa: E402

CALLS = {1: 5000, 64: 20_000}
WARM_UP = 500  # of each part, however many callers it has
SECONDS_MAX = 120
CLASSES = "classes:\n  - {name: counter, behaviour: {builtin: counter}}\n  - {name: echo, behaviour: {app: {}}}\n"
TRANSPORTS = ("socket", "tcp", "http")
TITLES = {"cpp": "C++", "python": "Python", "node": "Node"}


class Languages:
    """How each language's part is started: cpp, python and node."""

    def __init__(self, programs, sidecar):
        self.programs, self.sidecar = programs, sidecar
        self.scripts = {"python": [sys.executable, HERE / "sdk_python.py"], "node": ["node", HERE / "sdk_node.mjs"]}

    def address(self, transport):
        return {"socket": self.sidecar.address, "tcp": f"tcp:{self.sidecar.tcp}", "http": self.sidecar.http}[transport]

    def call(self, language, transport, process, method, callers):
        options = ["--process", process, "--method", method, "--callers", callers, "--calls", CALLS[callers]]
        if language != "cpp":
            return [*self.scripts[language], "call", self.address(transport), *options]
        if transport == "http":
            host, port = self.sidecar.http.removeprefix("http://").split(":")
            return [self.programs / "orrery-bench", "--json", "sdk", "--host", host, "--port", port, *options]
        return [self.programs / "orrery-sdk-bench", "call", *self.where(transport), *options]

    def where(self, transport):
        return ["--socket", self.sidecar.socket] if transport == "socket" else ["--socket", "/nowhere", "--tcp", self.sidecar.tcp]

    def host(self, language):
        if language == "cpp":
            return [self.programs / "orrery-sdk-bench", "host", *self.where("socket")]
        return [*self.scripts[language], "host", self.address("socket")]

    def floor(self, language):
        return [*self.scripts[language], "floor", self.sidecar.socket]


def words(command):
    return [str(word) for word in command]


def run(command):
    done = subprocess.run(words(command), capture_output=True, text=True, timeout=SECONDS_MAX)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words(command))} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])["values"]


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(languages, command, calls):
    """The command's figures, and the sidecar's processor time for each call. It counts in hundredths of a second, so not of few calls."""
    before = cpu_seconds(languages.sidecar.pid)
    values = run(command)
    values["sidecar_cpu"] = (cpu_seconds(languages.sidecar.pid) - before) * 1e6 / (calls + WARM_UP)
    return values


@contextlib.contextmanager
def hosting(command):
    host = subprocess.Popen(words(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        if host.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{' '.join(words(command))} does not host: {host.stderr.read()[-500:]}")
        yield
    finally:
        host.stdin.close()
        try:
            host.wait(20)
        except subprocess.TimeoutExpired:
            host.kill()
            host.wait()


def measure(rows, languages, progress):
    for language in TITLES:
        for transport in TRANSPORTS:
            for callers, calls in CALLS.items():
                progress(f"a built-in class called from {TITLES[language]} by {transport}, {callers} at once (load {os.getloadavg()[0]:.1f})")
                values = measured(languages, languages.call(language, transport, "counter/bench", "get", callers), calls)
                rows.add(f"sdk/{language}_{transport}_{callers}", "us", values, f"counter get, called from {TITLES[language]} by {transport}, {callers} at once")
    for language in TITLES:
        floor = None if language == "cpp" else run(languages.floor(language))
        if floor:
            rows.add(f"sdk/floor_{language}", "us", floor, f"100 bytes there and back between two {TITLES[language]} programs over a Unix socket, no sidecar")
        for caller in dict.fromkeys(("cpp", language)):
            for callers, calls in CALLS.items():
                progress(f"hosted in {TITLES[language]}, called from {TITLES[caller]}, {callers} at once (load {os.getloadavg()[0]:.1f})")
                with hosting(languages.host(language)):
                    values = measured(languages, languages.call(caller, "socket", "echo/bench", "echo", callers), calls)
                rows.add(f"sdk/hosted_{language}_from_{caller}_{callers}", "us", values,
                         f"a process hosted in {TITLES[language]}, called from {TITLES[caller]} over the Unix socket, {callers} at once")
                if floor and caller == language and callers == 1:
                    rows.add(f"sdk/added_{language}", "us", {"p50": values["p50"] - floor["p50"]},
                             f"of the hosted call from {TITLES[language]} to {TITLES[language]}, what is not that language's own round trip")


async def measure_sdk(rows, programs, progress):
    if shutil.which("node") is None:
        raise RuntimeError("node is not installed")
    with tempfile.TemporaryDirectory(prefix="orrery-bench-") as folder:
        async with RealSidecar(str(programs / "orrery-sidecar"), pathlib.Path(folder) / "log", classes=CLASSES) as sidecar:
            await asyncio.to_thread(measure, rows, Languages(programs, sidecar), progress)
