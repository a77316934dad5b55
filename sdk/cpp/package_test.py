#!/usr/bin/env python3
"""The library builds without the rest of the repository, installs, and a project finds it with find_package."""
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(str(word) for word in command)}\n{done.stdout}{done.stderr}")


def main():
    with tempfile.TemporaryDirectory(prefix="orrery-app-") as folder:
        built, prefix, examples = (pathlib.Path(folder) / name for name in ("build", "prefix", "examples"))
        run("cmake", "-S", HERE, "-B", built, "-DCMAKE_BUILD_TYPE=Debug")
        run("cmake", "--build", built)
        run("cmake", "--install", built, "--prefix", prefix, "--component", "sdk")
        run("cmake", "-S", HERE / "examples", "-B", examples, "-DCMAKE_BUILD_TYPE=Debug", f"-DCMAKE_PREFIX_PATH={prefix}")
        run("cmake", "--build", examples)
        assert all((examples / name).exists() for name in ("cart", "kitchen", "leader", "linked", "room"))
        headers = {path.relative_to(prefix / "include/orrery").as_posix() for path in (prefix / "include").rglob("*.hpp")}
        assert headers == {"app.hpp", "app/client.hpp", "app/client_process.hpp", "app/context.hpp", "app/documents.hpp", "app/error.hpp",
                           "app/messages.hpp", "app/metrics.hpp", "app/process_class.hpp", "app/testing.hpp"}, headers
    print("built, installed, found and used")


if __name__ == "__main__":
    main()
