#!/usr/bin/env python3
"""docs/semantics.md tells the truth: each test that it names exists, and there are as many named cases as it says."""
import re
import sys

from tidy_tree import ROOT, tracked_files

TABLE = "docs/semantics.md"
CASES_MIN = 300
NAMED = re.compile(r"`([a-z][a-z0-9_]*)\.([a-z][a-z0-9_]*)`")
DEFINED = re.compile(r"\bTEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)")
SUITES = re.compile(r"mesh/(kernel/semantics_\w+|process/supervision/(?!supervision\b)\w+)\.test\.cpp")


def tests_of(text):
    return {f"{suite}.{name}" for suite, name in DEFINED.findall(text)}


def violations(table, sources):
    """table: text of the document; sources: path -> text of every *.test.cpp. Yields what is wrong."""
    known = set().union(*(tests_of(text) for text in sources.values()), set())
    named = {f"{suite}.{name}" for suite, name in NAMED.findall(table) if "_" in suite + name}  # fields have none
    if not named:
        yield f"{TABLE}: names no tests"
    for missing in sorted(named - known):
        yield f"{TABLE}: there is no test {missing}"
    cases = sum(len(tests_of(text)) for path, text in sources.items() if SUITES.fullmatch(path))
    if cases < CASES_MIN:
        yield f"{TABLE}: the semantics suites have {cases} named cases; it says more than {CASES_MIN}"


def main():
    sources = {path: (ROOT / path).read_text(errors="replace") for path in tracked_files() if path.endswith(".test.cpp")}
    found = list(violations((ROOT / TABLE).read_text(), sources))
    for text in found:
        print(text)
    cases = sum(len(tests_of(text)) for path, text in sources.items() if SUITES.fullmatch(path))
    print(f"semantics: {cases} named cases, {len(found)} violation(s)")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
