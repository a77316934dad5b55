#!/usr/bin/env python3
"""An image archive is complete, minimal, non-root and the same each time."""
import gzip
import io
import json
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import unittest

import interpreters
import oci_image

PROGRAM = pathlib.Path("/bin/true")  # stands for one of ours: any dynamically linked program will do


def unpack(data):
    """(index, manifest, config, {path: TarInfo}) of an archive."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        blobs = {m.name: tar.extractfile(m).read() for m in tar.getmembers()}
    at = lambda descriptor: blobs["blobs/sha256/" + descriptor["digest"].removeprefix("sha256:")]
    index = json.loads(blobs["index.json"])
    manifest = json.loads(at(index["manifests"][0]))
    files = {}
    for layer in manifest["layers"]:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(at(layer)))) as tar:
            files.update({m.name: m for m in tar.getmembers()})
    return index, manifest, json.loads(at(manifest["config"])), files


class OciImage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.data, cls.tag, _ = oci_image.pack("orrery-sidecar", [PROGRAM], "dev")
        cls.index, cls.manifest, cls.config, cls.files = unpack(cls.data)

    def test_the_same_input_gives_the_same_bytes(self):
        self.assertEqual(oci_image.pack("orrery-sidecar", [PROGRAM], "dev")[0], self.data)

    def test_it_is_tagged_for_containerd_and_docker(self):
        annotations = self.index["manifests"][0]["annotations"]
        self.assertEqual(annotations["io.containerd.image.name"], "localhost/orrery-sidecar:dev")
        with tarfile.open(fileobj=io.BytesIO(self.data)) as tar:
            self.assertEqual(json.load(tar.extractfile("manifest.json"))[0]["RepoTags"], ["localhost/orrery-sidecar:dev"])

    def test_it_does_not_run_as_root(self):
        self.assertEqual(self.config["config"]["User"], "65532:65532")

    def test_every_layer_is_the_one_that_the_configuration_names(self):
        self.assertEqual(len(self.config["rootfs"]["diff_ids"]), len(self.manifest["layers"]))

    def test_it_holds_the_program_its_libraries_and_the_loader(self):
        self.assertIn(f"usr/bin/{PROGRAM.name}", self.files)
        self.assertTrue(any("ld-linux" in name or "ld-" in name for name in self.files), self.files.keys())
        for path in oci_image.libraries(PROGRAM):
            self.assertIn(path, self.files)

    def test_it_holds_nothing_else(self):
        outside = [n for n in self.files if not n.startswith(("usr", "lib", "etc", "tmp"))]
        self.assertEqual(outside, [])
        self.assertNotIn("bin/sh", self.files)

    def test_everything_belongs_to_root_and_only_tmp_can_be_written(self):
        for name, info in self.files.items():
            self.assertEqual((info.uid, info.gid, info.mtime), (0, 0, 0), name)
            self.assertEqual(info.mode & 0o002, 0o002 if name == "tmp" else 0, name)

    def test_a_program_with_a_missing_library_is_refused_by_name(self):
        listed = oci_image.subprocess.run
        oci_image.subprocess.run = lambda *a, **k: subprocess.CompletedProcess(a, 0, "\tlibnosuch.so.1 => not found\n", "")
        try:
            with self.assertRaisesRegex(SystemExit, "libnosuch.so.1"):
                oci_image.libraries(PROGRAM)
        finally:
            oci_image.subprocess.run = listed

    def test_the_program_runs_in_the_tree_alone(self):
        if subprocess.run(["chroot", "/", "/bin/true"], capture_output=True).returncode:
            self.skipTest("chroot needs root")
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder).chmod(0o755)  # mkdtemp makes it for its owner alone
            oci_image.write_tree(pathlib.Path(folder), [PROGRAM])
            done = subprocess.run(["chroot", "--userspec=65532:65532", folder, f"/usr/bin/{PROGRAM.name}"], capture_output=True)
            self.assertEqual(done.returncode, 0, done.stderr)


class Interpreters(unittest.TestCase):
    def test_the_python_image_runs_the_sdk_in_its_tree_alone(self):
        if subprocess.run(["chroot", "/", "/bin/true"], capture_output=True).returncode:
            self.skipTest("chroot needs root")
        program, files, shared = interpreters.python()
        self.assertTrue(shared)
        _, _, _, packed = unpack(oci_image.pack("orrery-python", [program], "dev", files, shared)[0])
        self.assertLessEqual(set(files), set(packed))
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            root.chmod(0o755)
            base, own = oci_image.contents([program], shared)
            for path, data in {**{p: d for p, (d, _) in {**base, **own}.items()}, **{p: f.read_bytes() for p, f in files.items()}}.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_bytes(data)
                (root / path).chmod(0o755)
            code = "import orrery, asyncio, ssl, sqlite3, ctypes, http.server, json; print(orrery.__version__)"
            done = subprocess.run([shutil.which("chroot"), "--userspec=65532:65532", folder, "/usr/bin/python3", "-c", code], capture_output=True, text=True,
                                  env={"PATH": "/usr/bin"})
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_the_node_image_holds_the_package_where_every_app_finds_it(self):
        try:
            program, files, _ = interpreters.node()
        except SystemExit as missing:
            self.skipTest(str(missing))
        self.assertEqual(program.name, "node")
        self.assertIn("node_modules/@orrery/sdk/package.json", files)
        self.assertIn("node_modules/@orrery/sdk/dist/src/index.js", files)
        self.assertFalse([path for path in files if "conformance" in path])


if __name__ == "__main__":
    unittest.main()
