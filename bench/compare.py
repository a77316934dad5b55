#!/usr/bin/env python3
"""./dev bench processes: Orrery's processes beside Erlang's, in turns within one run, so that a machine that drifts or has other work meets both.

Every round runs each system once. A row's figure is the median over the rounds of that round's p50 (and p99), and the ratio is
the peer's by ours: above 1, Orrery takes less. peers/README.md tells what each row does."""
import argparse
import json
import os
import pathlib
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import time

import machine

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
ROUND_SECONDS_MAX = 180
began = time.monotonic()

# name of the row -> (Orrery's row, Erlang's row, kind, the bar of Orrery's p50 in the row's unit, or None)
ROWS = [
    ("spawn and exit, seen by a monitor", "kernel/spawn_exit_monitor", "spawn_exit_monitor", "native", 0.35),
    ("call, round trip", "kernel/call", "call", "native", 0.3),
    ("bare message, round trip", "kernel/message_round_trip", "message_round_trip", "native", None),
    ("one-way message", "kernel/one_way", "one_way", "native", 0.06),
    ("hop in a ring of 10,000", "kernel/ring_hop", "ring_hop", "native", 0.12),
    ("timer set and cancelled", "kernel/timer_set_cancel", "timer_set_cancel", "native", 0.08),
    ("1 M processes, each", "kernel/alive_create", "alive_create", "native", 0.5),
    ("1 M processes, memory of each", "kernel/alive_bytes", "alive_bytes", "native", 500),
    ("killed, until its name answers", "kernel/crash_recovery", "crash_recovery", "native", 1.5),
    ("node to node, round trip", "net/round_trip", "node_round_trip", "native", 40),
    ("node to node, one way", "net/one_way", "node_one_way", "native", None),
    ("call, round trip", "process/call_lua", "call", "lua", None),
    ("one-way message", "process/cast_lua", "one_way", "lua", None),
    ("killed, until its name answers", "process/crash_lua", "crash_recovery", "lua", 1.5),
    ("many processes, each", "process/idle_create_lua", "alive_create", "lua", None),
    ("many processes, memory of each", "process/idle_memory_lua", "alive_bytes", "lua", 500),
]


def progress(text):
    print(f"  {time.monotonic() - began:6.1f} s  {text}", file=sys.stderr, flush=True)


def lines_of(command, what, **options):
    """The JSON objects that a program prints, one a line; an error with its own words where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ROUND_SECONDS_MAX, **options)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{what} had not ended after {ROUND_SECONDS_MAX} s") from None
    if done.returncode:
        raise RuntimeError(f"{what} ended with status {done.returncode}: {(done.stderr or done.stdout).strip()[-500:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def orrery_round(programs):
    rows = {}
    for part in ("kernel", "processes", "net"):
        for each in lines_of([programs / "orrery-bench", "--json", part], f"orrery-bench {part}"):
            values = each["values"]
            if "rate" in values:  # a rate, as the time that one takes
                rows[each["name"]] = {"unit": "us", "p50": 1e6 / values["rate"], "p99": 1e6 / values["rate"]}
            else:
                middle = values.get("p50", values.get("resident"))
                rows[each["name"]] = {"unit": each["unit"], "p50": middle, "p99": values.get("p99", middle)}
    return rows


class Erlang:
    """One scheduler, as Orrery has one shard. Nodes find each other by a port, with no epmd left behind."""
    name = "erlang"

    def __init__(self, work):
        for program in ("erl", "erlc"):
            if shutil.which(program) is None:
                raise RuntimeError(f"there is no {program}; it is in Debian's package erlang-base")
        self.work = work
        work.mkdir(parents=True, exist_ok=True)
        subprocess.run(["erlc", "-o", work, HERE / "peers/peer_bench.erl"], check=True)
        release = subprocess.run(["erl", "-noshell", "-eval", 'io:put_chars(erlang:system_info(otp_release)), halt().'],
                                 capture_output=True, text=True, check=True).stdout
        self.title = f"Erlang/OTP {release.strip()}"

    def command(self, *more):
        return ["erl", "-noshell", "+S", "1:1", "+P", "4000000", "-pa", str(self.work), *more]

    def round(self):
        rows = lines_of(self.command("-s", "peer_bench", "local"), "Erlang")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        common = ["-start_epmd", "false", "-erl_epmd_port", port, "-setcookie", secrets.token_hex(16),
                  "-kernel", "inet_dist_use_interface", "{127,0,0,1}"]
        other = subprocess.Popen(self.command("-name", "other@127.0.0.1", *common), stdout=subprocess.DEVNULL,
                                 stdin=subprocess.DEVNULL)
        try:
            wait_for_port(int(port), other)
            rows += lines_of(self.command("-name", "driver@127.0.0.1", "-dist_listen", "false", *common, "-eval",
                                          "peer_bench:node('other@127.0.0.1')."), "Erlang's second node")
        finally:
            other.terminate()
            other.wait()
        return {each["name"]: each for each in rows}


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


PEERS = {"erlang": Erlang}


def middle(rounds, name, figure):
    return statistics.median(each[name][figure] for each in rounds)


def compare(ours, theirs):
    """ours, theirs: a dictionary of rows for each round. One row for each of ROWS."""
    rows = []
    for title, our_name, their_name, kind, bar in ROWS:
        orrery, peer = middle(ours, our_name, "p50"), middle(theirs, their_name, "p50")
        orrery_p99, peer_p99 = middle(ours, our_name, "p99"), middle(theirs, their_name, "p99")
        rows.append({"name": title, "kind": kind, "unit": ours[0][our_name]["unit"], "orrery": orrery, "peer": peer,
                     "ratio": peer / orrery, "p99": {"orrery": orrery_p99, "peer": peer_p99, "ratio": peer_p99 / orrery_p99},
                     "bar": bar, "within": None if bar is None else orrery <= bar})
    return rows


def table(rows, peer):
    yield f"  {'':<7} {'':<36} {'Orrery':>10} {peer:>14} {'ratio':>7}   {'p99':>8} {'p99':>10} {'ratio':>7}  bar"
    for row in rows:
        bar = "" if row["bar"] is None else f"{row['bar']:g} {row['unit']}: {'within' if row['within'] else 'BEYOND'}"
        tail = row["p99"]
        yield (f"  {row['kind']:<7} {row['name']:<36} {row['orrery']:>10.3f} {row['peer']:>11.3f} {row['unit']:<5} {row['ratio']:>4.1f}   "
               f"{tail['orrery']:>8.3f} {tail['peer']:>10.3f} {tail['ratio']:>7.1f}  {bar}")


def main():
    parser = argparse.ArgumentParser(prog="./dev bench processes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vs", choices=sorted(PEERS), default="erlang", help="beside what (default: erlang)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run, in turns (default: 3)")
    parser.add_argument("--json", metavar="FILE", help="write the machine and every row to FILE as well")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin", help="where the programs are (default: build/release/bin)")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds takes 1 or more")
    if not (options.bin / "orrery-bench").exists():
        parser.error(f"there is no orrery-bench in {options.bin}; ./dev build makes it")
    if options.json and not os.access(pathlib.Path(options.json).resolve().parent, os.W_OK):
        parser.error(f"{options.json} cannot be written")

    host = machine.describe()
    print("\n".join(machine.for_people(host)), flush=True)
    try:
        peer = PEERS[options.vs](options.bin.parent / "bench-peers")
        ours, theirs = [], []
        for each in range(options.rounds):
            progress(f"round {each + 1} of {options.rounds}: Orrery")
            ours.append(orrery_round(options.bin))
            progress(f"round {each + 1} of {options.rounds}: {peer.title}")
            theirs.append(peer.round())
    except (RuntimeError, subprocess.CalledProcessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    host["loadAtEnd"] = machine.describe()["load"]
    host["peer"] = peer.title
    rows = compare(ours, theirs)
    print()
    for line in table(rows, peer.title):
        print(line)
    beyond = [row for row in rows if row["within"] is False]
    print(f"\n{sum(1 for row in rows if row['ratio'] > 1)} of {len(rows)} rows take less than {peer.title}; {len(beyond)} beyond their bar; "
          f"load at the end {' '.join(map(str, host['loadAtEnd']))}; {time.monotonic() - began:.0f} s")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"machine": host, "rows": rows}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
