#!/usr/bin/env python3
"""The package itself: a wheel of pure Python that works where nothing else is installed, and a source archive that makes the same."""
import pathlib
import subprocess
import sys
import tempfile
import venv
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
NOT_RUN = 77
CHECK = "import orrery, orrery.sync, orrery.testing; print(orrery.__version__)"


def build(source: pathlib.Path, out: pathlib.Path) -> pathlib.Path:
    """Through the PEP 517 hooks, as pip does, without its network."""
    program = f"import os; os.chdir({str(source)!r}); from setuptools import build_meta as b; print(b.build_wheel({str(out)!r})); print(b.build_sdist({str(out)!r}))"
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    (wheel,) = out.glob("*.whl")
    return wheel


def main() -> int:
    try:
        import setuptools
        import wheel
    except ImportError as problem:
        print(f"skipped: {problem}; Debian has it as python3-setuptools and python3-wheel")
        return NOT_RUN
    del setuptools, wheel
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        subprocess.run(["cp", "-r", HERE / "src", HERE / "pyproject.toml", HERE / "README.md", work], check=True)
        made = build(work, work / "out")
        assert made.name.endswith("-py3-none-any.whl"), made
        names = zipfile.ZipFile(made).namelist()
        assert "orrery/py.typed" in names and "orrery/testing/__init__.py" in names, names
        assert all(name.startswith("orrery") for name in names), names
        environment = work / "venv"
        venv.create(environment, with_pip=False)
        (site,) = environment.glob("lib/python*/site-packages")
        zipfile.ZipFile(made).extractall(site)
        said = subprocess.run([environment / "bin" / "python", "-I", "-c", CHECK], check=True, capture_output=True, text=True).stdout
        assert said.strip() in made.name, said
        (archive,) = (work / "out").glob("*.tar.gz")
        print(f"{made.name} and {archive.name} are built, and the wheel works by itself")
    return 0


if __name__ == "__main__":
    sys.exit(main())
