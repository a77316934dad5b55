#!/usr/bin/env python3
"""./dev bench soak: one sidecar with a million idle processes, 50,000 messages and 1,000 crashes a second, and what a call to a process that has nothing to do with
any of it takes meanwhile. On the embedded cluster; the load comes from processes in Lua, so that no client is what is measured. Ends with status 3 where a bar of
soak_bars.py is not kept, 1 where it could not be measured."""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.request

import machine
import soak_bars
from programs import QuickCluster, ROOT, megabytes

import clusters  # noqa: E402  (programs.py put e2e on the path)
from mesh import Mesh, class_document  # noqa: E402
from waiting import eventually  # noqa: E402

NAMESPACE = "orrery-soak"
ROUND_CALLS = 20_000
WORKERS, TICK, BURST = 55, 0.01, 10        # 55 processes, 100 times a second, 10 messages each: timers are late by a little, so 50,000 a second and some
CRASHERS, CRASH_EVERY = 110, 0.1
RESTARTS = {"intensity": 100_000, "period": "1s"}
BEYOND = 3                                 # exit status
began = time.monotonic()

MAKER = """
local c = {call = {}, info = {}}
function c.init(key) return {made = 0, wanted = 0} end
function c.call.make(state, wanted) state.wanted = wanted orrery.send_after(0.001, "more") end
function c.call.made(state) return state.made end
function c.info.more(state)
  for _ = 1, math.min(1000, state.wanted - state.made) do
    state.made = state.made + 1
    orrery.cast("idle/" .. state.made, "reset", nil)
  end
  if state.made < state.wanted then orrery.send_after(0.002, "more") end
end
return c
"""
WORKER = f"""
local c = {{call = {{}}, cast = {{}}, info = {{}}}}
function c.init(key) return {{heard = 0}} end
function c.call.start(state) orrery.send_after(orrery.random() * {TICK}, "tick") end
function c.call.heard(state) return state.heard end
function c.cast.word(state) state.heard = state.heard + 1 end
function c.info.tick(state)
  orrery.send_after({TICK}, "tick")
  for _ = 1, {BURST} do orrery.cast("worker/" .. orrery.random({WORKERS}), "word", 1) end
end
return c
"""
CRASHER = f"""
local c = {{call = {{}}, info = {{}}}}
function c.init(key) orrery.send_after(orrery.random() * {2 * CRASH_EVERY}, "tick") return {{}} end
function c.call.start(state) return true end
function c.info.tick(state) error("as it should") end
return c
"""


def progress(text):
    print(f"  {time.monotonic() - began:6.1f} s  {text}", file=sys.stderr, flush=True)


def load():
    return round(os.getloadavg()[0], 1)


def metric(address, name):
    """The sum of a metric's series on a node's admin port."""
    with urllib.request.urlopen(f"http://{address}:3602/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))


class Soak:
    def __init__(self, programs, options):
        self.programs, self.options = programs, options
        self.cluster = QuickCluster(ROOT / "build/bench/soak", programs)
        self.mesh = Mesh(self.cluster, NAMESPACE, "soak")

    def run(self):
        progress("starting the embedded cluster, the operator and one pod")
        self.cluster.start()
        try:
            clusters.install(self.cluster)
            self.cluster.kubectl("create", "namespace", NAMESPACE)
            eventually(lambda: self.cluster.items("serviceaccounts", NAMESPACE), 20, "the namespace has its service account")
            self.mesh.create(replicas=1)
            self.pod = self.mesh.wait_meshed(1)[0]
            self.address = self.pod["status"]["podIP"]
            self.sidecar = self.mesh.sidecar(self.pod)
            self.pid = self.cluster.pids("orrery-sidecar", self.pod)[0]
            return self.measure()
        finally:
            self.cluster.stop()

    def define(self):
        lua = lambda script: {"lua": {"script": script}}
        for name, behaviour in {"idle": {"builtin": "counter"}, "probe": {"builtin": "counter"}, "maker": lua(MAKER), "worker": lua(WORKER),
                                "crasher": lua(CRASHER)}.items():
            self.cluster.apply(class_document(name, self.mesh.name, behaviour=behaviour, supervision=RESTARTS), NAMESPACE)
        eventually(lambda: {"idle", "probe", "maker", "worker", "crasher"} <= set(self.sidecar.classes()), 20, "the node knows the classes")

    def measure(self):
        self.define()
        quiet = {**self.probe(), "load": load()}
        progress(f"quiet: a call takes {quiet['p50']:.0f} us (p50), {quiet['p99']:.0f} us (p99); load {quiet['load']}")
        progress(f"making {self.options.idle:,} idle processes")
        self.sidecar.call("maker/one", "make", self.options.idle)
        eventually(lambda: self.sidecar.call("maker/one", "made") == self.options.idle, 300, "they are made", every=1)
        progress("starting the messages and the crashes")
        for number in range(1, WORKERS + 1):
            self.sidecar.call(f"worker/{number}", "start")
        for number in range(CRASHERS):
            self.sidecar.call(f"crasher/{number}", "start")
        time.sleep(5)
        memory, counted, rounds, loads = [megabytes(self.pid)["rss"]], [self.counted()], [], [load()]
        start = time.monotonic()
        while time.monotonic() - start < self.options.seconds:
            rounds.append(self.probe())
            memory.append(megabytes(self.pid)["rss"])
            loads.append(load())
        seconds = time.monotonic() - start
        counted.append(self.counted())
        return {"quiet": quiet, "loads": loads, "wanted": self.options.idle + WORKERS + CRASHERS, "seconds": seconds, "calls": ROUND_CALLS * len(rounds),
                "p50": sorted(r["p50"] for r in rounds)[len(rounds) // 2], "p99": max(r["p99"] for r in rounds),
                "messagesPerSecond": (counted[1]["messages"] - counted[0]["messages"]) / seconds,
                "crashesPerSecond": (counted[1]["crashes"] - counted[0]["crashes"]) / seconds,
                "processes": int(metric(self.address, "orrery_processes")), "memoryMB": memory}

    def counted(self):
        heard = sum(self.sidecar.call(f"worker/{number}", "heard") for number in range(1, WORKERS + 1))
        return {"messages": heard, "crashes": metric(self.address, "orrery_process_restarts_total")}

    def probe(self):
        """Calls one after the other, from outside; p50 and p99 in us."""
        done = subprocess.run([self.programs / "orrery-bench", "--json", "sdk", "--host", self.sidecar.host, "--process", "probe/one", "--method", "get",
                               "--calls", str(ROUND_CALLS)], capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError(done.stderr.strip() or "orrery-bench failed")
        return json.loads(done.stdout.splitlines()[0])["values"]


def main():
    parser = argparse.ArgumentParser(prog="./dev bench soak", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="how long to measure (default: 60)")
    parser.add_argument("--idle", type=int, default=1_000_000, help="idle processes (default: 1000000)")
    parser.add_argument("--json", metavar="FILE", help="write the figures, with the machine, to FILE as well")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin", help="where the programs are (default: build/release/bin)")
    options = parser.parse_args()
    if options.json and not os.access(pathlib.Path(options.json).resolve().parent, os.W_OK):
        parser.error(f"{options.json} cannot be written")
    host = machine.describe()
    print("\n".join(machine.for_people(host)), flush=True)
    try:
        found = Soak(options.bin, options).run()
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        print(f"bench: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    memory, loads = found["memoryMB"], found["loads"]
    at_load = f"load {min(loads)} to {max(loads)}"
    print(f"\n  {found['processes']:,} processes, {found['messagesPerSecond']:,.0f} messages and {found['crashesPerSecond']:,.0f} crashes a second, for {found['seconds']:.0f} s; {at_load}")
    print(f"  {found['calls']:,} calls of an uninvolved process by HTTP: p50 {found['p50']:.0f} us; p99 of the worst {ROUND_CALLS:,}: {found['p99']:.0f} us (before the load: {found['quiet']['p99']:.0f} us, "
          f"load {found['quiet']['load']}); bar {soak_bars.P99_MAX} us")
    print(f"  resident memory {memory[0]:.0f} MB at first, {memory[-1]:.0f} MB at the end ({memory[-1] / memory[0]:.2f} times), {max(memory):.0f} MB at most")
    beyond = soak_bars.beyond(found)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"machine": host, **found, "beyond": beyond}, indent=2) + "\n")
    for each in beyond:
        print(f"  BEYOND: {each}")
    print("  within its bars" if not beyond else f"  {len(beyond)} bars are not kept")
    return BEYOND if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
