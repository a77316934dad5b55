#!/usr/bin/env python3
"""./dev bench: measures, and says how far the numbers are from their budgets. README.md beside it tells how to read them."""
import argparse
import json
import pathlib
import subprocess
import sys
import time

import machine
from rows import Rows, table

ROOT = pathlib.Path(__file__).resolve().parents[1]
MICRO_SECONDS_MAX = 120
began = time.monotonic()


def progress(text):
    print(f"  {time.monotonic() - began:6.1f} s  {text}", file=sys.stderr, flush=True)


def measure_parts(rows, programs):
    """Processes, connections and the floor, by orrery-bench."""
    progress("processes, connections and the floor, each in one program")
    done = subprocess.run([programs / "orrery-bench", "--json"], capture_output=True, text=True, timeout=MICRO_SECONDS_MAX)
    for line in done.stdout.splitlines():
        row = json.loads(line)
        rows.add(row["name"], row["unit"], row["values"], row["what"])
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or f"orrery-bench ended with status {done.returncode}")


def measure_programs(rows, programs):
    from programs import Programs
    Programs(rows, programs, progress).measure()


def measure_sdks(rows, programs):
    import asyncio

    from sdks import measure_sdk
    asyncio.run(measure_sdk(rows, programs, progress))


PARTS = {"parts": measure_parts, "programs": measure_programs, "sdk": measure_sdks}
PROGRAMS = {
    "parts": ("orrery-bench",),
    "programs": ("orrery-bench", "orrery-local", "orrery-operator", "orrery-sidecar", "orrery"),
    "sdk": ("orrery-bench", "orrery-sdk-bench", "orrery-sidecar")}


def paint(text, good):
    if not sys.stdout.isatty():
        return text
    return f"\033[{32 if good else 33}m{text}\033[0m"


def main():
    parser = argparse.ArgumentParser(prog="./dev bench --", description=__doc__)
    parser.add_argument("--only", choices=sorted(PARTS), help="parts: inside one program; programs: a mesh on the embedded cluster; sdk: the SDKs against one sidecar")
    parser.add_argument("--json", metavar="FILE", help="write every row, with the machine, to FILE as well")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin", help="where the programs are (default: build/release/bin)")
    options = parser.parse_args()

    wanted = [options.only] if options.only else list(PARTS)
    needed = {name for part in wanted for name in PROGRAMS[part]}
    absent = [name for name in sorted(needed) if not (options.bin / name).exists()]
    if absent:
        parser.error(f"there is no {', '.join(absent)} in {options.bin}; ./dev build makes them")
    host = machine.describe()
    print("\n".join(machine.for_people(host)), flush=True)

    rows, failures = Rows(), {}
    for part in wanted:
        try:
            PARTS[part](rows, options.bin)
        except KeyboardInterrupt:
            return 130
        except Exception as error:  # what was measured before is still worth showing, and writing
            failures[part] = f"{type(error).__name__}: {error}"
    host["loadAtEnd"] = machine.describe()["load"]

    print()
    for line in table(rows, paint):
        print(line)
    print(f"\n{len(rows.within())} of {len(rows.within()) + len(rows.beyond())} budgeted measurements are within their budgets; "
          f"load at the end {' '.join(map(str, host['loadAtEnd']))}; {time.monotonic() - began:.0f} s")
    for row in rows.beyond():
        figures = ", ".join(f"{figure} {ratio:.1f} times" for figure, ratio in row["ratio"].items() if ratio > 1)
        print(f"  beyond: {row['name']}: {figures} the budget")
    if not failures and not options.only and rows.missing():
        failures["budgets"] = f"nothing was measured for {', '.join(rows.missing())}"
    if options.json:
        document = {"machine": host, "rows": rows.all, "failures": failures}
        pathlib.Path(options.json).write_text(json.dumps(document, indent=2) + "\n")
    for part, why in failures.items():
        print(f"bench: {part} failed: {why}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
