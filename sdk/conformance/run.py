#!/usr/bin/env python3
"""The conformance suite: one list of cases, every SDK. `./dev test conformance` runs it; see README.md beside this file."""
from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from dataclasses import replace
from typing import Dict, List, NamedTuple, Optional, Tuple

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from suite.case import Case, load  # noqa: E402
from suite.driver import Driver, DriverGone  # noqa: E402
from suite.expect import Unexpected  # noqa: E402
from suite.real import RealSidecar  # noqa: E402
from suite.run_case import DoesNotApply, run_case  # noqa: E402

PROGRAMS = ("client", "app", "app2")
SDKS = ("python", "typescript", "cpp", "http")
HOSTING_BESIDE_HTTP = "python"  #: whose programs host what is called by HTTP
TRANSPORTS = {"unix": SDKS, "tcp": ("python", "typescript", "cpp"), "ws": ("typescript",)}  #: and which SDKs have them
NOTHING_RAN = 77  #: CTest and ./dev read it as: skipped


class At(NamedTuple):
    """Where a real sidecar is; empty for the mock."""

    socket: str
    http: str
    real: Optional[RealSidecar] = None  #: which was started for this run


def command_of(sdk: str, cpp_driver: str) -> "Tuple[List[str], str]":
    """How to start the SDK's driver, or why it cannot be."""
    if sdk == "python":
        return [sys.executable, str(HERE.parent / "python" / "conformance" / "driver.py")], ""
    if sdk == "cpp":
        return ([cpp_driver], "") if os.access(cpp_driver, os.X_OK) else ([], f"{cpp_driver} is not built (./dev build orrery-cpp-driver)")
    if sdk == "http":
        return [sys.executable, str(HERE / "http_driver.py")], ""
    node = shutil.which("node")
    if node is None:
        return [], "node is not installed"
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0] or 0) < 20:
        return [], f"node is {version}; 20 or newer is needed"
    driver = HERE.parent / "typescript" / "dist" / "src" / "conformance" / "driver.js"
    if not driver.exists():
        return [], f"{driver.relative_to(HERE.parent)} is not built (sdk/typescript/build.sh)"
    return [node, "--enable-source-maps", str(driver)], ""


def logs() -> pathlib.Path:
    folder = pathlib.Path(os.environ.get("ORRERY_CONFORMANCE_LOGS", HERE.parents[1] / "build" / "conformance"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def run_sdk(sdk: str, cases: List[Case], at: At, cpp_driver: str, report: xml.Element) -> int:
    command, why_not = command_of(sdk, cpp_driver)
    if sdk == "http" and not at.http:
        why_not = "the mock has no HTTP; run with --binary, or with --sidecar and --http"
    if why_not:
        print(f"skip  every case for {sdk}: {why_not}")
        for case in cases:
            record(report, sdk, case, 0, skipped=why_not)
        return 0
    drivers: Dict[str, Driver] = {}
    for name in PROGRAMS:
        log = logs() / f"{sdk}-{name}.log"
        log.write_bytes(b"")
        drivers[name] = Driver(command if sdk != "http" or name == "client" else command_of(HOSTING_BESIDE_HTTP, cpp_driver)[0], log)
    failed = 0
    try:
        for case in cases:
            failed += await run_one(sdk, case, drivers, at, report)
    finally:
        await asyncio.gather(*(driver.stop() for driver in drivers.values()))
    return failed


async def run_one(sdk: str, case: Case, drivers: Dict[str, Driver], at: At, report: xml.Element) -> int:
    if at.socket and case.needs_the_mock:
        print(f"skip  {sdk:<11} {case.name}: a real sidecar does not fail on demand")
        record(report, sdk, case, 0, skipped="needs the mock sidecar")
        return 0
    if at.socket and at.real is None and case.restarts_the_sidecar:
        print(f"skip  {sdk:<11} {case.name}: the sidecar was not started for this run, so it is not restarted")
        record(report, sdk, case, 0, skipped="the sidecar was not started for this run")
        return 0
    if sdk == "http" and case.not_by_http:
        print(f"skip  {sdk:<11} {case.name}: {case.not_by_http}")
        record(report, sdk, case, 0, skipped=case.not_by_http)
        return 0
    started = time.monotonic()
    problem: Optional[str] = None
    note = ""
    try:
        note = await run_case(case, drivers, at.socket, at.http if sdk == "http" else "", at.real)
    except DoesNotApply as reason:
        print(f"skip  {sdk:<11} {case.name}: {reason}")
        record(report, sdk, case, 0, skipped=str(reason))
        return 0
    except (Unexpected, DriverGone, asyncio.TimeoutError) as unexpected:
        problem = str(unexpected) or "did not end in time"
    seconds = time.monotonic() - started
    print(f"{'FAIL' if problem else 'ok  '}  {sdk:<11} {case.name} ({seconds * 1000:.0f} ms){': ' if problem or note else ''}{problem or note}", flush=True)
    record(report, sdk, case, seconds, failed=problem)
    return 1 if problem else 0


def record(report: xml.Element, sdk: str, case: Case, seconds: float, failed: Optional[str] = None, skipped: Optional[str] = None) -> None:
    entry = xml.SubElement(report, "testcase", classname=f"conformance.{sdk}", name=case.name, time=f"{seconds:.3f}")
    if failed:
        xml.SubElement(entry, "failure", message=failed)
    if skipped:
        xml.SubElement(entry, "skipped", message=skipped)


async def run_all(options: argparse.Namespace) -> int:
    cases = [case for case in load() if options.case in case.name]
    if not cases:
        print(f"no case has {options.case!r} in its name")
        return 2
    if options.quick:
        cases = [replace(case, steps=[{**step, "count": step["count"] // 20} if "hammer" in step else step for step in case.steps]) for case in cases]
    if options.list:
        for case in cases:
            print(f"{case.name}{' (mock)' if case.needs_the_mock else ''}")
        return 0
    report = xml.Element("testsuite", name="conformance")
    failed = 0
    async with contextlib.AsyncExitStack() as stack:
        at = At(options.sidecar, options.http)
        if options.binary:
            sidecar = await stack.enter_async_context(RealSidecar(options.binary, logs() / "sidecar.log", options.over))
            at = At(sidecar.address, sidecar.http, sidecar)
        for sdk in options.sdk.split(","):
            if sdk not in TRANSPORTS[options.over]:
                print(f"skip  every case for {sdk}: it does not speak {options.over}")
                continue
            failed += await run_sdk(sdk, cases, at, options.cpp_driver, report)
    entries = list(report)
    skipped = sum(entry.find("skipped") is not None for entry in entries)
    report.set("tests", str(len(entries)))
    report.set("failures", str(failed))
    report.set("skipped", str(skipped))
    if options.junit:
        xml.ElementTree(report).write(options.junit, encoding="utf-8", xml_declaration=True)
    print(f"{len(entries) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    if skipped == len(entries):
        return NOTHING_RAN
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs the conformance cases against the SDKs.")
    parser.add_argument("--sdk", default=",".join(SDKS), help="which, separated by commas (default: %(default)s)")
    parser.add_argument("--case", default="", help="only cases with this in their name")
    parser.add_argument("--sidecar", default="", help="the socket of a real sidecar that has the classes of classes.yaml, instead of the mock")
    parser.add_argument("--http", default="", help="its HTTP interface, as http://127.0.0.1:3600, for the cases of http")
    parser.add_argument("--binary", default="", help="path of orrery-sidecar: start a real one for this run")
    parser.add_argument("--over", default="unix", choices=TRANSPORTS, help="how SDKs reach the sidecar of --binary (default: %(default)s)")
    parser.add_argument("--cpp-driver", default=str(HERE.parents[1] / "build/release/bin/orrery-cpp-driver"), help="the C++ SDK's program (default: %(default)s)")
    parser.add_argument("--junit", default="", help="write results to this file")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the calls where there are thousands")
    parser.add_argument("--list", action="store_true", help="names of the cases")
    options = parser.parse_args()
    unknown = [sdk for sdk in options.sdk.split(",") if sdk not in SDKS]
    if unknown:
        parser.error(f"no SDK {unknown[0]!r}; there are {', '.join(SDKS)}")
    if options.over != "unix" and not options.binary:
        parser.error("--over is for --binary: the mock sidecar has a Unix socket only")
    return asyncio.run(run_all(options))


if __name__ == "__main__":
    sys.exit(main())
