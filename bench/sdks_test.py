#!/usr/bin/env python3
"""That ./dev bench sdk runs: every language, every transport, with few calls. What it measures so is no measurement."""
import asyncio
import pathlib
import shutil
import sys

import rows
import sdks

PROGRAMS = pathlib.Path(sys.argv[1])

COMPILED = sdks.HERE.parent / "sdk/typescript/dist/.made"

if shutil.which("node") is None or not COMPILED.exists():
    print("skipped: node of 20 or newer is not installed, or sdk/typescript is not built: its own test says which")
    sys.exit(77)
sdks.CALLS = {1: 100, 64: 128}
table = rows.Rows()
asyncio.run(sdks.measure_sdk(table, PROGRAMS, lambda text: print(text, flush=True)))
names = {row["name"] for row in table.all}
wanted = {f"sdk/{language}_{transport}_{callers}" for language in sdks.TITLES for transport in sdks.TRANSPORTS for callers in sdks.CALLS}
wanted |= {f"sdk/hosted_{language}_from_cpp_1" for language in sdks.TITLES} | {"sdk/added_python", "sdk/added_node"}
assert wanted <= names, f"nothing was measured for {sorted(wanted - names)}"
assert all(row["values"]["p50"] > 0 for row in table.all), "a time of nothing"
