#!/usr/bin/env python3
"""Rules about the tree itself: files stay small, nothing is left for later unsaid, cores print nothing and have tests beside them."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINES_MAX = 500
LEFT_FOR_LATER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
CORE_FOLDERS = ("mesh/base", "mesh/wire", "mesh/pki", "mesh/kernel", "mesh/process", "mesh/membership", "mesh/node", "operator/plan")
PRINTS = re.compile(r"\b(std::)?(fprintf|printf|puts|fputs)\s*\(|std::(cout|cerr|clog)\b")
PRINTING_ALLOWED = ("mesh/base/assert.cpp",)
SOURCES = (".cpp", ".hpp", ".py", ".ts", ".cmake")


def tracked_files():
    """What git tracks, or every file outside of build/ where there is no git (a source archive)."""
    try:
        names = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"],
                               check=True, capture_output=True, text=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        names = [p.relative_to(ROOT).as_posix() for p in ROOT.rglob("*") if p.is_file()]
    return sorted(n for n in names if not n.startswith(("build/", ".git/")) and (ROOT / n).is_file())


def violations(files, read):
    """files: paths from the root; read(path) -> text."""
    tested_folders = {path.rsplit("/", 1)[0] for path in files if path.endswith(".test.cpp")}
    for path in files:
        if not path.endswith(SOURCES):
            continue
        lines = read(path).splitlines()
        if not path.endswith(".cmake") and len(lines) > LINES_MAX:
            yield f"{path}: {len(lines)} lines; split it, {LINES_MAX} is the most"
        if path.endswith(".hpp") and not any(line.startswith("#pragma once") for line in lines):
            yield f"{path}: no #pragma once"
        for number, line in enumerate(lines, 1):
            if LEFT_FOR_LATER.search(line) and not path.startswith("cmake/checks/"):
                yield f"{path}:{number}: do it, or say in docs what is missing: {line.strip()}"
            if path.startswith(CORE_FOLDERS) and path not in PRINTING_ALLOWED and PRINTS.search(line):
                yield f"{path}:{number}: a core prints nothing; count it, or report an event: {line.strip()}"
        folder = path.rsplit("/", 1)[0]
        if path.endswith(".cpp") and folder in CORE_FOLDERS and folder not in tested_folders:
            yield f"{path}: no *.test.cpp in {folder}"


def main():
    files = tracked_files()
    found = 0
    for text in violations(files, lambda path: (ROOT / path).read_text(errors="replace")):
        print(text)
        found += 1
    print(f"tree: {len(files)} files, {found} violation(s)")
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main())
