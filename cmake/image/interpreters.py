"""What the images for apps hold: an interpreter of this machine's packages with its standard library, and Orrery's SDK for it.

Each function returns (program, {path in the image: file here}, shared objects among them), or says in a SystemExit what is missing.
"""
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PYTHON = pathlib.Path("/usr/bin/python3")  # Debian's own
NODE = pathlib.Path("/usr/bin/node")
NOT_AT_RUN_TIME = {"__pycache__", "test", "idlelib", "lib2to3", "ensurepip", "distutils", "tkinter", "turtledemo", "pydoc_data", "venv"}


def tree(folder, to, wanted=lambda path: True):
    """path in the image -> file here, of every file below a folder that is wanted (by its path from there)."""
    return {f"{to}/{path.relative_to(folder)}": path for path in sorted(folder.rglob("*"))
            if path.is_file() and wanted(path.relative_to(folder))}


def python():
    if not PYTHON.exists():
        raise SystemExit(f"oci_image: no {PYTHON} (Debian: apt-get install python3)")
    asked = subprocess.run([PYTHON, "-I", "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"], check=True, capture_output=True, text=True)
    library = pathlib.Path(asked.stdout.strip())
    needed = lambda path: not NOT_AT_RUN_TIME & set(path.parts) and not path.parts[0].startswith("config-")
    files = tree(library, str(library).lstrip("/"), needed)
    shared = [file for path, file in files.items() if path.endswith(".so")]
    files.update(tree(ROOT / "sdk/python/src/orrery", "usr/lib/python3/dist-packages/orrery", lambda path: "__pycache__" not in path.parts))
    return PYTHON, files, shared


def node():
    package = ROOT / "sdk/typescript"
    if not NODE.exists():
        raise SystemExit(f"oci_image: no {NODE}; node 20 or newer is needed, which Debian 12 has not")
    if not (package / "dist/src/index.js").exists():
        raise SystemExit(f"oci_image: {package} is not built; sdk/typescript/build.sh does that")
    code = tree(package / "dist/src", "node_modules/@orrery/sdk/dist/src", lambda path: path.suffix in (".js", ".ts") and path.parts[0] != "conformance")
    return NODE, {"node_modules/@orrery/sdk/package.json": package / "package.json", **code}, []


IMAGES = {"orrery-python": python, "orrery-node": node}
