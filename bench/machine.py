"""What a number was measured on: without it the number says little."""
import datetime
import os
import pathlib
import platform
import re
import subprocess


def first_match(path, pattern):
    try:
        found = re.search(pattern, pathlib.Path(path).read_text(), re.MULTILINE)
    except OSError:
        return None
    return found.group(1).strip() if found else None


def output(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, cwd=pathlib.Path(__file__).parent)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def describe():
    compiler = output("c++", "--version")
    changed = output("git", "status", "--porcelain", "--untracked-files=no")
    commit = output("git", "rev-parse", "--short=12", "HEAD")
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "cpu": first_match("/proc/cpuinfo", r"^model name\s*:\s*(.*)$") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "virtual": output("systemd-detect-virt") or ("yes" if first_match("/proc/cpuinfo", r"^flags.*\b(hypervisor)\b") else "no"),
        "memoryMB": int(first_match("/proc/meminfo", r"^MemTotal:\s*(\d+)") or 0) // 1024,
        "system": first_match("/etc/os-release", r'^PRETTY_NAME="?(.*?)"?$') or platform.system(),
        "kernel": platform.release(),
        "compiler": compiler.splitlines()[0] if compiler else "unknown",
        "commit": (commit or "unknown") + (" and changes" if changed else ""),
        "load": [round(each, 2) for each in os.getloadavg()],
    }


def for_people(machine):
    load = machine["load"][0]
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memoryMB']} MB"
        + ("" if machine["virtual"] == "no" else ", virtual"),
        f"{machine['system']}, kernel {machine['kernel']}, {machine['compiler']}",
        f"{machine['date']}, commit {machine['commit']}, load {' '.join(map(str, machine['load']))}",
    ]
    if load > 0.5 * machine["cores"]:
        lines.append("THE MACHINE IS BUSY: tails are of its other work, and times that cross processes are too long. Medians and cpu hold best.")
    return lines
