#!/usr/bin/env python3
"""./dev fuzz: runs libFuzzer's targets one after the other, on the inputs that are kept in the tree (x.corpus beside x.fuzz.cpp) and on what earlier
runs of this checkout found."""
import argparse
import hashlib
import pathlib
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import corpus  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
INPUT_SECONDS_MAX = 60         # of one input: a hang is a finding; on the wall, so a busy machine must not look like one
MEMORY_MB_MAX = 1024           # of the whole program
INPUT_BYTES_MAX = 4096
KEPT_BYTES_MAX = 512           # of an input that --minimise keeps: what only longer ones reach is found again


def targets():
    """{name: its x.fuzz.cpp}"""
    found = {path.name.removesuffix(".fuzz.cpp"): path for folder in ("mesh", "sidecar", "shell", "kube", "operator", "cli")
             for path in (ROOT / folder).rglob("*.fuzz.cpp")}
    return dict(sorted(found.items()))


class Target:
    def __init__(self, name, source, options):
        self.name, self.program = name, options.bin / name
        self.kept_file = source.with_name(f"{name}.corpus")
        dictionary = source.with_name(f"{name}.dict")
        self.flags = [f"-timeout={INPUT_SECONDS_MAX}", f"-rss_limit_mb={MEMORY_MB_MAX}", f"-max_len={INPUT_BYTES_MAX}"]
        if dictionary.exists():
            self.flags.append(f"-dict={dictionary}")
        self.work = options.work / name
        self.found = self.work / "found"
        self.findings = options.work.parent / "findings"

    def kept(self):
        return corpus.parse(self.kept_file.read_text()) if self.kept_file.exists() else []

    def unpacked(self, inputs, folder):
        """`folder` with a file for each input and nothing else."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for data in inputs:
            (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)
        return folder

    def fuzz(self, seconds):
        """Figures of one run; `findings`: files with the inputs that failed."""
        self.found.mkdir(parents=True, exist_ok=True)
        self.findings.mkdir(parents=True, exist_ok=True)
        kept = self.unpacked([data for _, data in self.kept()], self.work / "kept")
        before = set(self.findings.iterdir())
        log = self.work / "log"
        with log.open("w") as out:
            status = subprocess.run([self.program, *self.flags, f"-max_total_time={seconds}", "-print_final_stats=1",
                                     f"-artifact_prefix={self.findings}/{self.name}-", self.found, kept],
                                    stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL).returncode
        text = log.read_text(errors="replace")
        coverage = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", text)
        executed = re.findall(r"^#(\d+)\s", text, re.MULTILINE)
        if not coverage and status == 0:
            raise RuntimeError(f"{self.name} did nothing: {text[-300:]}")
        return {"executions": int(executed[-1]) if executed else 0, "edges": int(coverage[-1][0]) if coverage else 0,
                "features": int(coverage[-1][1]) if coverage else 0, "status": status, "log": log,
                "findings": sorted(set(self.findings.iterdir()) - before)}

    def minimise(self):
        """Rewrites the kept inputs: the named ones, and the fewest that reach the same code. Returns how many, and their bytes."""
        inputs = self.kept()
        named = [(name, data) for name, data in inputs if name]
        base = self.unpacked([data for _, data in named], self.work / "named")
        known = self.unpacked([data for name, data in inputs if not name], self.work / "kept")
        self.found.mkdir(parents=True, exist_ok=True)
        short = self.unpacked([data for data in (each.read_bytes() for each in self.found.iterdir()) if len(data) <= KEPT_BYTES_MAX],
                              self.work / "short")
        subprocess.run([self.program, *self.flags, "-set_cover_merge=1", "-use_counters=0", base, known, short], check=True, capture_output=True,
                       stdin=subprocess.DEVNULL)
        chosen = named + [(None, each.read_bytes()) for each in base.iterdir()]
        text = corpus.format(chosen)
        self.kept_file.write_text(text)
        return len(corpus.parse(text)), len(text)


def main():
    known = targets()
    parser = argparse.ArgumentParser(prog="./dev fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="*", help=f"of {', '.join(known)} (default: all)")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: 60)")
    parser.add_argument("--minimise", action="store_true", help="afterwards, keep in the tree the fewest inputs that reach what is reached now")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/fuzz/fuzzers", help="where the programs are (default: build/fuzz/fuzzers)")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build/fuzz/corpora", help="where found inputs stay (default: build/fuzz/corpora)")
    options = parser.parse_args()
    unknown = [name for name in options.target if name not in known]
    if unknown:
        parser.error(f"no target '{unknown[0]}'; there are: {', '.join(known)}")
    if options.seconds < 0:
        parser.error("--seconds takes 0 or more")
    options.work = options.work.resolve()
    failed = 0
    for name in options.target or known:
        target = Target(name, known[name], options)
        if options.seconds:
            start = time.monotonic()
            done = target.fuzz(options.seconds)
            took = max(time.monotonic() - start, 0.001)
            print(f"  {name:<14} {done['executions']:>12,} executions  {done['executions'] / took:>8,.0f}/s  {done['edges']:>6,} edges  "
                  f"{done['features']:>7,} features  {len(done['findings'])} findings", flush=True)
            for each in done["findings"]:
                print(f"    {each}: run it again with {target.program} {each}; what it said is in {done['log']}")
                print(f"    as a line of {target.kept_file.relative_to(ROOT)}: {corpus.to_line(each.read_bytes())[:2000]}")
            if done["status"] and not done["findings"]:
                print(f"    ended with status {done['status']}; the log is {done['log']}")
            failed += 1 if done["status"] else 0
        if options.minimise:
            count, size = target.minimise()
            print(f"  {name:<14} keeps {count} inputs, {size:,} bytes")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
