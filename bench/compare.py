#!/usr/bin/env python3
"""./dev bench processes: Orrery's processes beside Erlang's, and CAF's actors where CAF is installed; in turns within one run, so that a machine that
drifts or has other work meets all of them.

Every round runs each system once. A row's figure is the median over the rounds of that round's p50 (and p99), and the ratio is the peer's by ours:
above 1, Orrery takes less. peers/README.md tells what each row does."""
import argparse
import collections
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import machine
import peers

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
began = time.monotonic()

# orrery, erlang, caf: the names of what each measures, None where it has no such operation. bar: of Orrery's figures in the row's unit.
Row = collections.namedtuple("Row", "title kind orrery erlang caf bar", defaults=(None, None, None))
ROWS = [
    Row("spawn and exit, seen by a monitor", "native", "kernel/spawn_exit_monitor", "spawn_exit_monitor", "spawn_exit_monitor", {"p50": 0.35}),
    Row("call, round trip", "native", "kernel/call", "call", "call", {"p50": 0.3}),
    Row("bare message, round trip", "native", "kernel/message_round_trip", "message_round_trip", "message_round_trip"),
    Row("one-way message", "native", "kernel/one_way", "one_way", "one_way", {"p50": 0.06}),
    Row("hop in a ring of 10,000", "native", "kernel/ring_hop", "ring_hop", "ring_hop", {"p50": 0.12}),
    Row("timer set and cancelled", "native", "kernel/timer_set_cancel", "timer_set_cancel", "timer_set", {"p50": 0.08}),
    Row("1 M processes alive, each to start", "native", "kernel/alive_create", "alive_create", "alive_create", {"p50": 0.5}),
    Row("1 M processes alive, memory of each", "native", "kernel/alive_bytes", "alive_bytes", "alive_bytes", {"p50": 500}),
    Row("killed, until its name answers", "native", "kernel/crash_recovery", "crash_recovery", None, {"p50": 1.5, "p99": 10}),
    Row("node to node, call", "native", "node/call_counter", "node_call", None, {"p50": 40, "p99": 90}),
    Row("node to node, one way", "native", "node/cast_counter", "node_one_way"),
    Row("node to node, call; awake", "native", "awake/call_counter", "awake_node_call", None, {"p50": 40, "p99": 90}),
    Row("spawn and exit, seen by a monitor", "lua", "lua/spawn_exit_monitor", "spawn_exit_monitor", "spawn_exit_monitor"),
    Row("call, round trip", "lua", "lua/call", "call", "call"),
    Row("bare message, round trip", "lua", "lua/message_round_trip", "message_round_trip", "message_round_trip"),
    Row("one-way message", "lua", "lua/one_way", "one_way", "one_way"),
    Row("hop in a ring of 10,000", "lua", "lua/ring_hop", "ring_hop", "ring_hop"),
    Row("timer set and cancelled", "lua", "lua/timer_set_cancel", "timer_set_cancel", "timer_set"),
    Row("1 M processes alive, each to start", "lua", "process/idle_create_lua", "alive_create", "alive_create"),
    Row("1 M processes alive, memory of each", "lua", "process/idle_memory_lua", "alive_bytes", "alive_bytes", {"p50": 500}),
    Row("killed, until its name answers", "lua", "process/crash_lua", "crash_recovery", None, {"p50": 1.5, "p99": 10}),
    Row("node to node, call", "lua", "node/call_lua", "node_call", None, {"p50": 40, "p99": 90}),
    Row("node to node, one way", "lua", "node/send_lua", "node_one_way"),
    Row("node to node, call; awake", "lua", "awake/call_lua", "awake_node_call", None, {"p50": 40, "p99": 90}),
]


def progress(text):
    print(f"  {time.monotonic() - began:6.1f} s  {text}", file=sys.stderr, flush=True)


def middle(rounds, name, figure):
    return statistics.median(each[name][figure] for each in rounds)


def figures(rounds, name):
    """p50 and p99 over the rounds; no p99 of what is measured once a round."""
    if name is None:
        return None
    once = all(each[name].get("count") == 1 for each in rounds)
    return {"p50": middle(rounds, name, "p50"), "p99": None if once else middle(rounds, name, "p99")}


def compare(ours, theirs):
    """ours: a dictionary of rows for each round; theirs: {peer: the same}. A row for each of ROWS that a peer has too. `peer` and `ratio` are of the
    first that has it; `peers` has all."""
    rows = []
    for row in ROWS:
        orrery = figures(ours, row.orrery)
        beside = {}
        for peer, rounds in theirs.items():
            found = figures(rounds, getattr(row, peer))
            if found:
                tail = found["p99"] / orrery["p99"] if found["p99"] is not None and orrery["p99"] is not None else None
                beside[peer] = {**found, "ratio": found["p50"] / orrery["p50"], "ratioP99": tail}
        if not beside:
            continue
        first = next(iter(beside.values()))
        within = None if row.bar is None else all((orrery[figure] or orrery["p50"]) <= bar for figure, bar in row.bar.items())
        rows.append({"name": row.title, "kind": row.kind, "unit": ours[0][row.orrery]["unit"], "orrery": orrery["p50"], "peer": first["p50"],
                     "ratio": first["ratio"], "orreryP99": orrery["p99"], "peers": beside, "bar": row.bar, "within": within})
    return rows


def number(value, width, digits=3):
    return f"{'-' if value is None else f'{value:.{digits}f}':>{width}}"


def bar_of(row):
    if row["bar"] is None:
        return ""
    return f"{' / '.join(f'{bar:g}' for bar in row['bar'].values())} {row['unit']}: {'within' if row['within'] else 'BEYOND'}"


def table(rows, titles):
    """titles: {peer: how it is called}."""
    head = "".join(f"  {title + ' p50':>20} {'p99':>10} {'ratio':>6} {'of p99':>6}" for title in titles.values())
    yield f"  {'':<6} {'':<36} {'Orrery p50':>12} {'p99':>9} {'':<5}{head}  bar"
    for row in rows:
        line = f"  {row['kind']:<6} {row['name']:<36} {number(row['orrery'], 12)} {number(row['orreryP99'], 9)} {row['unit']:<5}"
        for peer in titles:
            found = row["peers"].get(peer, {})
            line += (f"  {number(found.get('p50'), 20)} {number(found.get('p99'), 10)} {number(found.get('ratio'), 6, 1)} "
                     f"{number(found.get('ratioP99'), 6, 1)}")
        yield f"{line}  {bar_of(row)}"


def chosen(text, programs, error):
    """The peers of --vs; without it Erlang, and CAF where it is."""
    if text is None:
        return ["erlang"] + [name for name in ("caf",) if peers.PEERS[name].present(programs)]
    names = text.split(",")
    for name in names:
        if name not in peers.PEERS:
            error(f"--vs takes {', '.join(peers.PEERS)}, or several with commas between them, not '{name}'")
    if len(set(names)) != len(names):
        error("--vs names a peer twice")
    return names


def main():
    parser = argparse.ArgumentParser(prog="./dev bench processes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vs", metavar="PEER[,PEER]", help=f"beside what, of {', '.join(peers.PEERS)} (default: erlang, and caf where it is built)")
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
    names = chosen(options.vs, options.bin, parser.error)

    host = machine.describe()
    print("\n".join(machine.for_people(host)), flush=True)
    ours, theirs, loads = [], {name: [] for name in names}, []
    try:
        orrery = peers.Orrery(options.bin)
        beside = {name: peers.PEERS[name](options.bin) for name in names}
        for each in range(options.rounds):
            for system, rounds in [(orrery, ours)] + [(beside[name], theirs[name]) for name in names]:
                progress(f"round {each + 1} of {options.rounds}: {system.title} (load {os.getloadavg()[0]:.1f})")
                rounds.append(system.round())
                loads.append(round(os.getloadavg()[0], 2))
    except (RuntimeError, subprocess.CalledProcessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    host["loadAtEnd"] = machine.describe()["load"]
    host["loads"] = loads
    titles = {name: each.title for name, each in beside.items()}
    host["peers"] = titles
    rows = compare(ours, theirs)
    print()
    for line in table(rows, titles):
        print(line)
    print()
    for name, title in titles.items():
        ratios = [row["peers"][name]["ratio"] for row in rows if name in row["peers"]]
        print(f"{sum(1 for ratio in ratios if ratio > 1)} of {len(ratios)} rows take less than {title}")
    print(f"{sum(1 for row in rows if row['within'] is False)} beyond their bar; load {min(loads)} to {max(loads)}; {time.monotonic() - began:.0f} s")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"machine": host, "rows": rows}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
