#!/usr/bin/env python3
"""Runs random programs over processes on Erlang and on Orrery, and finds where what the processes saw differs.

The first program that differs is made as small as it can be, and printed. README.md tells the language and what is compared.
"""
import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import programs  # noqa: E402
import traces  # noqa: E402

SKIPPED = 77          # CTest: not run
AT_ONCE = 1000        # programs per Erlang VM and Orrery process
SHRINK_ROUNDS = 60
EXAMPLES = 5          # of programs that differ, named


class Runner:
    """Both sides. REQUIRES: erl and erlc; `orrery` is the program orrery-differential."""

    def __init__(self, orrery, folder):
        self.orrery, self.folder = orrery, pathlib.Path(folder)
        self.seconds = {"Erlang": 0.0, "Orrery": 0.0}
        subprocess.run(["erlc", "-o", str(folder), str(HERE / "differential.erl")], check=True)

    def run(self, numbered):
        """numbered: {number: steps}. Returns ({number: events}, {number: events}): Erlang's and Orrery's."""
        given, theirs = self.folder / "programs", self.folder / "erlang"
        given.write_text("".join(f"program {number}\n" + "".join(step + "\n" for step in steps) + "end\n" for number, steps in numbered.items()))
        begun = time.monotonic()
        subprocess.run(["erl", "+S", "1:1", "-noinput", "-pa", str(self.folder), "-run", "differential", "main", str(given), str(theirs)],
                       check=True, timeout=300)
        between = time.monotonic()
        ours = subprocess.run([self.orrery, str(given)], check=True, timeout=300, capture_output=True, text=True).stdout
        self.seconds["Erlang"] += between - begun
        self.seconds["Orrery"] += time.monotonic() - between
        return traces.parse(theirs.read_text()), traces.parse(ours)

    def differences(self, numbered):
        """{number: the first difference}, of those that have one; and those in which timing decides."""
        theirs, ours = self.run(numbered)
        if set(theirs) != set(numbered) or set(ours) != set(numbered):
            sys.exit(f"differential: not every program was run ({len(numbered)} given, Erlang ran {len(theirs)}, Orrery {len(ours)})")
        found, open_to_timing = {}, {}
        for number, steps in numbered.items():
            differs = traces.difference(steps, theirs[number], ours[number])
            if differs is None:
                continue
            timing = traces.undecided(steps, differs[0], theirs[number], ours[number])
            (open_to_timing if timing else found)[number] = differs[1]
        return found, open_to_timing


def shrink(steps, differing):
    """The program without the steps and parts of steps that the difference does not need. `differing({number: steps})` says which of
    several candidates differ."""
    for _ in range(SHRINK_ROUNDS):
        candidates = [steps[:at] + steps[at + size:] for size in (len(steps) // 2, 1) if size for at in range(0, len(steps) - size + 1)]
        for at, step in enumerate(steps):
            parts = step.split(" ; ")
            candidates += [steps[:at] + [" ; ".join(parts[:i] + parts[i + 1:])] + steps[at + 1:] for i in range(len(parts)) if len(parts) > 1]
        still = differing(dict(enumerate(candidates)))
        smaller = [candidates[number] for number in sorted(still)]
        if not smaller:
            return steps
        steps = min(smaller, key=lambda each: sum(len(step) for step in each))
    return steps


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=3000, help="how many (default 3000)")
    parser.add_argument("--seed", default="1", help="of the first program; the same seed makes the same programs (default 1)")
    parser.add_argument("--bin", default="build/release/bin", help="where orrery-differential is")
    parser.add_argument("--if-present", action="store_true", help="where there is no Erlang, say so and exit with 77")
    given = parser.parse_args()
    if given.programs < 1:
        parser.error("--programs: 1 or more")
    orrery = pathlib.Path(given.bin) / "orrery-differential"
    if not orrery.exists():
        parser.error(f"--bin: there is no {orrery}; build it with ./dev build orrery-differential")
    if not (shutil.which("erl") and shutil.which("erlc")):
        print("differential: skipped, there is no Erlang here (erl, erlc); './dev test differential' installs Debian's erlang-base")
        return SKIPPED if given.if_present else 2
    with tempfile.TemporaryDirectory(prefix="orrery-differential-") as folder:
        return compare(Runner(str(orrery), folder), given.programs, given.seed)


def compare(runner, count, seed):
    differing, timing, kinds = {}, {}, {}
    for first in range(0, count, AT_ONCE):
        batch = {number: programs.generate(seed, number) for number in range(first, min(first + AT_ONCE, count))}
        found, open_to_timing = runner.differences(batch)
        differing.update(found)
        timing.update(open_to_timing)
        for part in (part for steps in batch.values() for step in steps for part in step.split(" ; ")):
            kinds[part.split()[0]] = kinds.get(part.split()[0], 0) + 1
    print(f"{count} programs of seed {seed}, {sum(kinds.values())} operations "
          f"({', '.join(f'{kind} {number}' for kind, number in sorted(kinds.items()))})")
    print(f"Erlang took {runner.seconds['Erlang']:.1f} s, Orrery {runner.seconds['Orrery']:.1f} s, their start included")
    print(f"{len(differing)} differ; {len(timing)} more where two ends meet in one supervisor, and timing decides")
    if not differing and len(timing) > timing_max(count):
        print(f"That timing decides is rare: at most {timing_max(count)} of {count} are taken for it. They begin with:")
        differing = timing
    if not differing:
        return 0
    for number in sorted(differing)[:EXAMPLES]:
        print(f"  program {number}: {differing[number]}")
    first = min(differing)
    which = 0 if differing is not timing else 1
    smallest = shrink(programs.generate(seed, first), lambda candidates: runner.differences(candidates)[which])
    print(f"\nThe first, program {first}, as small as it gets (a file of these lines between 'program 0' and 'end' is what both sides run):\n")
    print("\n".join("  " + step for step in smallest))
    print("\n" + str(runner.differences({0: smallest})[which].get(0, "(it no longer differs: it is not deterministic)")))
    return 1


def timing_max(count):
    """What a seed in a hundred goes over, as measured: two programs in a thousand, and chance."""
    return 3 + count // 200


if __name__ == "__main__":
    sys.exit(main())
