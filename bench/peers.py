"""What Orrery's processes are measured beside: how each is built and run. A round returns {row: {"unit", "p50", "p99", "count"}}."""
import contextlib
import json
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROUND_SECONDS_MAX = 300


def lines_of(command, what, **options):
    """The JSON objects that a program prints, one a line; an error with its own words where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ROUND_SECONDS_MAX, **options)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{what} had not ended after {ROUND_SECONDS_MAX} s") from None
    if done.returncode:
        raise RuntimeError(f"{what} ended with status {done.returncode}: {(done.stderr or done.stdout).strip()[-500:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@contextlib.contextmanager
def awake():
    """Keeps every processor from sleeping, with loops that run only where nothing else wants to: what is measured is what a system does, and not
    how long this machine's processors take to wake, which on a virtual one is more than all the rest of a round trip."""
    idler = "import os\nos.sched_setaffinity(0, [{}])\nos.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile True: pass"
    loops = [subprocess.Popen([sys.executable, "-c", idler.format(each)]) for each in sorted(os.sched_getaffinity(0))]
    try:
        time.sleep(0.3)
        yield
    finally:
        for each in loops:
            each.kill()
            each.wait()


class Orrery:
    title = "Orrery"

    def __init__(self, programs):
        self.program = programs / "orrery-bench"

    def round(self):
        rows = {}
        for part in ("kernel", "processes", "lua", "nodes"):
            rows |= self.part(part)
        with awake():
            rows |= {name.replace("node/", "awake/"): each for name, each in self.part("nodes").items()}
        return rows

    def part(self, which):
        rows = {}
        for each in lines_of([self.program, "--json", which], f"orrery-bench {which}"):
            values = each["values"]
            middle = values.get("p50", values.get("resident"))
            rows[each["name"]] = {"unit": each["unit"], "p50": middle, "p99": values.get("p99", middle), "count": int(values.get("count", 1))}
        return rows


class Erlang:
    """One scheduler, as Orrery has one shard. Nodes find each other by a port, with no epmd left behind."""

    def __init__(self, programs):
        for program in ("erl", "erlc"):
            if shutil.which(program) is None:
                raise RuntimeError(f"there is no {program}; it is in Debian's package erlang-base")
        self.work = programs.parent / "bench-peers"
        self.work.mkdir(parents=True, exist_ok=True)
        subprocess.run(["erlc", "-o", self.work, HERE / "peers/peer_bench.erl"], check=True)
        told = subprocess.run(["erl", "-noshell", "-eval", 'io:format("~s ~s", [erlang:system_info(otp_release), '
                               'erlang:system_info(emu_flavor)]), halt().'], capture_output=True, text=True, check=True).stdout.split()
        self.title = f"Erlang/OTP {told[0]}"
        if told[1] != "jit":
            self.title += f" ({told[1]})"

    @staticmethod
    def present(_programs):
        return shutil.which("erl") is not None and shutil.which("erlc") is not None

    def command(self, *more):
        return ["erl", "-noshell", "+S", "1:1", "+P", "4000000", "-pa", str(self.work), *more]

    def round(self):
        rows = lines_of(self.command("-s", "peer_bench", "local"), "Erlang") + self.between_nodes()
        with awake():
            rows += [{**each, "name": "awake_" + each["name"]} for each in self.between_nodes()]
        return {each["name"]: each for each in rows}

    def between_nodes(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        common = ["-start_epmd", "false", "-erl_epmd_port", port, "-setcookie", secrets.token_hex(16),
                  "-kernel", "inet_dist_use_interface", "{127,0,0,1}"]
        other = subprocess.Popen(self.command("-name", "other@127.0.0.1", *common), stdout=subprocess.DEVNULL,
                                 stdin=subprocess.DEVNULL)
        try:
            wait_for_port(int(port), other)
            return lines_of(self.command("-name", "driver@127.0.0.1", "-dist_listen", "false", *common, "-eval",
                                         "peer_bench:node('other@127.0.0.1')."), "Erlang's second node")
        finally:
            other.terminate()
            other.wait()


class Caf:
    """One worker thread. bench/peers/CMakeLists.txt builds it where CAF is installed."""

    def __init__(self, programs):
        self.program = programs / "orrery-peer-caf"
        if not self.program.exists():
            raise RuntimeError(f"there is no {self.program}; './dev bench processes --vs caf' builds it, with Debian's package libcaf-dev")
        self.title = "CAF 0.17"

    @staticmethod
    def present(programs):
        return (programs / "orrery-peer-caf").exists()

    def round(self):
        return {each["name"]: each for each in lines_of([self.program], "CAF")}


def wait_for_port(port, process, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"Erlang's node ended with status {process.returncode} before it listened")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"Erlang's node did not listen within {seconds} s")


PEERS = {"erlang": Erlang, "caf": Caf}
