#!/usr/bin/env python3
"""The package itself: a wheel of pure Python that pip installs and that works where nothing else is, and a source archive that makes the same."""
import os
import pathlib
import runpy
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = HERE / "src" / "orrery"
NOT_RUN = 77
CHECK = """
import importlib, importlib.metadata, pathlib, sys
folder, version, *modules = sys.argv[1:]
sys.path.insert(0, folder)
for name in modules:
    found = pathlib.Path(importlib.import_module(name).__file__)
    assert pathlib.Path(folder) in found.parents, f"{name} comes from {found}"
import orrery
assert all(hasattr(orrery, name) for name in orrery.__all__)
assert orrery.__version__ == version, orrery.__version__
assert importlib.metadata.version("orrery") == version, importlib.metadata.version("orrery")
assert pathlib.Path(orrery.__file__).with_name("py.typed").is_file(), "no py.typed, so type checkers pass it over"
"""


def run(*command: object, **options: object) -> "subprocess.CompletedProcess[str]":
    """Raises with what it printed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)  # type: ignore[call-overload]
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def build(kind: str, source: pathlib.Path, out: pathlib.Path) -> pathlib.Path:
    """A ``wheel`` or an ``sdist`` through the PEP 517 hooks, as pip does, without its network."""
    out.mkdir()
    run(sys.executable, "-c", f"from setuptools import build_meta; build_meta.build_{kind}({str(out)!r})", cwd=source)
    (made,) = out.iterdir()
    return made


def contents(wheel: pathlib.Path) -> "dict[str, bytes]":
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def unpacked(archive: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    with tarfile.open(archive) as files:
        files.extractall(folder)
    (source,) = folder.iterdir()
    return source


def sources() -> "dict[str, bytes]":
    """What the tree has of the package, as named in a wheel."""
    return {str(path.relative_to(HERE / "src")): path.read_bytes() for path in PACKAGE.rglob("*") if path.suffix == ".py" or path.name == "py.typed"}


def modules() -> "list[str]":
    """All of them, ``orrery.testing`` and ``orrery._cbor`` alike."""
    names = [name[:-len(".py")].replace("/", ".") for name in sources() if name.endswith(".py")]
    return sorted(name[:-len(".__init__")] if name.endswith(".__init__") else name for name in names)


def pip(work: pathlib.Path) -> "tuple[list[str], str]":
    """How to call it: this Python's own, else that of an environment; or why there is none."""
    own = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, text=True)
    if own.returncode == 0:
        return [sys.executable, "-m", "pip"], ""
    made = subprocess.run([sys.executable, "-m", "venv", work / "with-pip"], capture_output=True, text=True)
    if made.returncode == 0:
        return [str(work / "with-pip" / "bin" / "python"), "-m", "pip"], ""
    return [], f"no pip ({own.stderr.strip()}), and no environment with one ({(made.stdout + made.stderr).strip()}); Debian has it as python3-venv"


def main() -> int:
    try:
        import setuptools
        import wheel
    except ImportError as problem:
        print(f"skipped: {problem}; Debian has it as python3-setuptools and python3-wheel")
        return NOT_RUN
    del setuptools, wheel
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder).resolve()
        tree = work / "tree"
        shutil.copytree(HERE, tree, ignore=shutil.ignore_patterns("__pycache__", "build", "dist", "*.egg-info"))
        made = build("wheel", tree, work / "wheel")
        assert made.name.endswith("-py3-none-any.whl"), made
        inside = contents(made)
        assert all(name.startswith("orrery") for name in inside), sorted(inside)
        packed = {name: data for name, data in inside.items() if name.startswith("orrery/")}
        assert packed == sources(), f"in the wheel or in the tree only, or not the same: {differing(packed, sources())}"

        archive = build("sdist", tree, work / "sdist")
        again = build("wheel", unpacked(archive, work / "unpacked"), work / "wheel-of-sdist")
        assert again.name == made.name, again
        assert contents(again) == inside, f"the wheel of {archive.name} is not that of the tree: {differing(contents(again), inside)}"

        version = runpy.run_path(str(PACKAGE / "_version.py"))["__version__"]
        assert made.name == f"orrery-{version}-py3-none-any.whl", made
        installed = work / "installed"
        command, why_not = pip(work)
        if command:
            run(*command, "--isolated", "install", "--no-index", "--no-deps", "--disable-pip-version-check", "--target", installed, again, cwd=work)
        else:
            zipfile.ZipFile(again).extractall(installed)
        venv.create(work / "bare", with_pip=False)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        run(work / "bare" / "bin" / "python", "-I", "-c", CHECK, installed, version, *modules(), cwd="/", env=environment)
        if why_not:
            print(f"skipped: {made.name} is not installed: {why_not}. It works where it is only unpacked, and {archive.name} makes the same")
            return NOT_RUN
        print(f"{archive.name} makes the same {made.name} as the tree; pip has installed it, and its {len(modules())} modules work by themselves")
    return 0


def differing(some: "dict[str, bytes]", others: "dict[str, bytes]") -> "list[str]":
    return sorted(name for name in some.keys() | others.keys() if some.get(name) != others.get(name))


if __name__ == "__main__":
    sys.exit(main())
