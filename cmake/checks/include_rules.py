#!/usr/bin/env python3
"""Who may include whom: the table of docs/architecture.md, checked on every source file.

A room is a folder. A file may include its own room's headers and those of the rooms named below, nothing else of ours. Core
rooms may moreover not include what would give them threads, clocks, sockets, files or entropy.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

CORE = {"mesh/base", "mesh/wire", "mesh/kernel", "mesh/process", "mesh/membership", "mesh/node", "mesh/sdk"}

MAY_INCLUDE = {
    "mesh/base": set(),
    "mesh/wire": {"mesh/base"},
    "mesh/pki": {"mesh/base"},
    "mesh/kernel": {"mesh/base", "mesh/wire"},
    "mesh/process": {"mesh/base", "mesh/wire", "mesh/kernel"},
    "mesh/membership": {"mesh/base", "mesh/wire"},
    "mesh/node": {"mesh/base", "mesh/wire", "mesh/kernel", "mesh/process", "mesh/membership"},
    "mesh/sdk": {"mesh/base", "mesh/wire", "mesh/kernel", "mesh/process", "mesh/node"},
    "mesh/net": {"mesh/base", "mesh/wire", "mesh/pki"},
    "mesh/sim": {"mesh/base", "mesh/wire", "mesh/kernel", "mesh/process", "mesh/membership", "mesh/node"},
    "kube": {"mesh/base"},
    "kube/local": {"mesh/base", "kube"},
    "shell": {"mesh/base"},
    "sidecar": {"shell", "mesh/base", "mesh/wire", "mesh/pki", "mesh/kernel", "mesh/process", "mesh/membership", "mesh/node", "mesh/sdk", "mesh/net", "kube"},
    "operator": {"shell", "mesh/base", "mesh/pki", "mesh/kernel", "mesh/process", "kube"},
    "cli": {"mesh/base", "kube"},
}
# A benchmark drives any room from outside, as a test does.
MAY_INCLUDE["bench"] = set().union(*MAY_INCLUDE.values()) | {"mesh/sim", "kube/local", "sidecar"}

# The pure part of the operator: (desired, observed, now) -> actions.
PURE_FOLDERS = CORE | {"operator/plan"}

SHELL_ONLY = [
    (r"boost/(asio|beast)\b|(cpprest|pplx)/", "the network is the shells' business"),
    (r"openssl/", "TLS and keys belong to mesh/pki and mesh/net"),
    (r"(spdlog|prometheus)/", "cores return effects; the edge logs and counts"),
    (r"(thread|mutex|shared_mutex|condition_variable|future|semaphore|latch|barrier|stop_token)$", "cores are single-threaded"),
    (r"(fstream|filesystem|cstdio|stdio\.h|iostream)$", "cores touch no files"),
    (r"(random|sys/random\.h)$", "randomness comes seeded, from mesh/base/random.hpp"),
    (r"(ctime|time\.h|sys/time\.h)$", "time is an argument of step()"),
    (r"(unistd\.h|fcntl\.h|sys/socket\.h|netdb\.h|poll\.h|sys/epoll\.h|csignal|signal\.h)$", "cores make no system calls"),
]
FORBIDDEN_WORDS = [
    (r"\b(steady_clock|system_clock|high_resolution_clock|utc_clock|file_clock)::now\b", "reads a clock"),
    (r"\bstd::random_device\b", "draws entropy"),
    (r"\bstd::(jthread|thread|mutex|atomic)\b", "is for threads; cores have one"),
    (r"\bstd::uniform_(int|real)_distribution\b", "differs between standard libraries: same seed, other bytes"),
    (r"\bstd::(getenv|time|rand)\s*\(", "asks the outside world"),
]
# The seams where a core room is allowed one of the above, each with its reason.
ALLOWED = {
    ("mesh/base/assert.cpp", "cstdio"),  # a failed assertion says so on stderr before it aborts
    ("mesh/wire/value.hpp", "std::atomic"),  # shells hand values between their threads; copies share one count
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
COMMENT = re.compile(r'//[^\n]*|/\*.*?\*/', re.DOTALL)


def room_of(path):
    """The room that a path from the repository's root belongs to: the longest folder that is one."""
    folders = [str(parent) for parent in pathlib.PurePosixPath(path).parents]
    return next((folder for folder in folders if folder in MAY_INCLUDE), None)


def is_pure(path):
    return any(str(parent) in PURE_FOLDERS for parent in pathlib.PurePosixPath(path).parents)


def violations(path, text):
    """Every broken rule in one file, as (line number, what, what would be right)."""
    room = room_of(path)
    if room is None:
        return
    is_test = path.endswith(".test.cpp") or path.endswith(".test.hpp")
    for match in INCLUDE.finditer(text):
        line = text.count("\n", 0, match.start(2)) + 1
        header = match.group(2)
        if match.group(1) == '"':
            other = room_of(header)
            if other is None:
                yield line, f'"{header}" is not a path from the repository\'s root', 'write "ROOM/header.hpp"'
            elif other != room and other not in MAY_INCLUDE[room] and not is_test:
                allowed = ", ".join(sorted(MAY_INCLUDE[room])) or "nothing of ours"
                yield line, f'{room} may not include {other} ("{header}")', f"it may include: {allowed}"
        elif is_pure(path) and not is_test:
            for pattern, why in SHELL_ONLY:
                if re.match(pattern, header) and (path, header) not in ALLOWED:
                    yield line, f"a core may not include <{header}>", why
    if is_pure(path) and not is_test:
        code = COMMENT.sub(lambda m: "\n" * m.group(0).count("\n"), text)
        for pattern, why in FORBIDDEN_WORDS:
            for match in re.finditer(pattern, code):
                if (path, match.group(0)) in ALLOWED:
                    continue
                yield code.count("\n", 0, match.start()) + 1, f"a core may not use {match.group(0)}", f"it {why}"


def main():
    files = [p for folder in sorted({room.split("/")[0] for room in MAY_INCLUDE}) for p in (ROOT / folder).rglob("*")]
    files = [p for p in files if p.suffix in (".cpp", ".hpp")]
    found = 0
    for file in sorted(files):
        path = file.relative_to(ROOT).as_posix()
        for line, what, right in violations(path, file.read_text()):
            print(f"{path}:{line}: {what}; {right}")
            found += 1
    print(f"include rules: {len(files)} files, {found} violation(s)")
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main())
