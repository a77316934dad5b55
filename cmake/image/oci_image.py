#!/usr/bin/env python3
"""Packs programs into OCI image archives from scratch: oci_image.py --bin DIR --out DIR, or --interpreter NAME --out DIR

An image holds the stripped programs, the shared libraries that they load (as ldd finds them, the loader included), a passwd with a
non-root user, and /tmp; nothing else. No daemon, no registry, no root. The same input gives the same bytes: entries are
sorted, owned by root and dated 1970. The archive is an OCI layout that also carries Docker's manifest.json, so that containerd, podman,
kind and docker load it.
"""
import argparse
import gzip
import hashlib
import io
import json
import pathlib
import platform
import re
import subprocess
import sys
import tarfile
import tempfile

import interpreters

IMAGES = {  # image name -> its programs, the first of which it runs
    "orrery-operator": ["orrery-operator"],
    "orrery-sidecar": ["orrery-sidecar", "orrery"],
}
USER = 65532  # nonroot, as distroless images have it
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le", "s390x": "s390x"}
EPOCH = "1970-01-01T00:00:00Z"

ETC = {
    "etc/passwd": f"root:x:0:0:root:/:/sbin/nologin\nnonroot:x:{USER}:{USER}:nonroot:/tmp:/sbin/nologin\n",
    "etc/group": f"root:x:0:\nnonroot:x:{USER}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",  # without it glibc asks DNS before /etc/hosts
}


def libraries(program):
    """Paths in the image -> files here, of every shared object that the program loads."""
    listed = subprocess.run(["ldd", str(program)], check=True, capture_output=True, text=True).stdout
    if missing := re.findall(r"(\S+) => not found", listed):
        raise SystemExit(f"oci_image: {program} needs {', '.join(missing)}, which this machine does not have")
    paths = re.findall(r"(/\S+) \(0x", listed)
    return {path.lstrip("/"): pathlib.Path(path).resolve() for path in paths}


def stripped(program):
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run(["strip", "--strip-all", "-o", file.name, str(program)], check=True)
        return pathlib.Path(file.name).read_bytes()


def layer(files, folders=()):
    """One gzipped layer. files: path -> (bytes, mode); folders: path -> mode. Returns (bytes, digest of the tar inside)."""
    entries = {path: (None, mode) for path, mode in dict(folders).items()}
    for path in files:  # every parent once, before its children
        for parent in pathlib.PurePosixPath(path).parents:
            if str(parent) != ".":
                entries.setdefault(str(parent), (None, 0o755))
    entries.update(files)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(entries):
            data, mode = entries[path]
            info = tarfile.TarInfo(path)
            info.mode = mode
            if data is None:
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            else:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return gzip.compress(raw.getvalue(), compresslevel=6, mtime=0), "sha256:" + hashlib.sha256(raw.getvalue()).hexdigest()


def contents(programs, shared=()):
    """What is in an image, as path -> (bytes, mode): (libraries and /etc, programs). `shared`: what the programs load when they run."""
    loaded = {}
    for program in [*programs, *shared]:
        loaded.update(libraries(program))
    base = {path: (file.read_bytes(), 0o755) for path, file in loaded.items()}
    base.update({path: (text.encode(), 0o644) for path, text in ETC.items()})
    own = {f"usr/bin/{program.name}": (stripped(program), 0o755) for program in programs}
    return base, own


def write_tree(folder, programs):
    """The image's root file system as a folder, for `COPY --from` in the Dockerfile."""
    base, own = contents(programs)
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    (folder / "tmp").chmod(0o1777)
    for path, (data, mode) in {**base, **own}.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        file.chmod(mode)


def pack(name, programs, version, files=None, shared=()):
    """The archive of one image, as bytes, its tag, and the size of what is in it. `files`: more of them, path in the image -> file here."""
    base, own = contents(programs, shared)
    more = {path: (file.read_bytes(), 0o644) for path, file in (files or {}).items()}
    parts = {"shared libraries": layer(base, {"tmp": 0o1777}), "programs": layer(own), **({"library and SDK": layer(more)} if more else {})}
    layers = list(parts.values())

    blobs = {}

    def blob(data):
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"digest": "sha256:" + digest, "size": len(data)}

    config = json.dumps({
        "created": EPOCH, "os": "linux", "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "config": {
            "User": f"{USER}:{USER}", "Env": ["PATH=/usr/bin"], "WorkingDir": "/", "Entrypoint": [f"/usr/bin/{programs[0].name}"],
            "Labels": {"org.opencontainers.image.title": name, "org.opencontainers.image.licenses": "Apache-2.0",
                       "org.opencontainers.image.version": version},
        },
        "rootfs": {"type": "layers", "diff_ids": [diff for _, diff in layers]},
        "history": [{"created": EPOCH, "created_by": each} for each in parts],
    }, sort_keys=True).encode()
    config_blob = blob(config)
    layer_blobs = [blob(data) for data, _ in layers]
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config_blob},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **b} for b in layer_blobs],
    }, sort_keys=True).encode()
    tag = f"localhost/{name}:{version}"
    index = {"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json", **blob(manifest),
        "annotations": {"io.containerd.image.name": tag, "org.opencontainers.image.ref.name": tag}}]}
    path_of = lambda b: "blobs/sha256/" + b["digest"].removeprefix("sha256:")
    docker = [{"Config": path_of(config_blob), "RepoTags": [tag], "Layers": [path_of(b) for b in layer_blobs]}]

    members = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index, sort_keys=True).encode(),
               "manifest.json": json.dumps(docker, sort_keys=True).encode()}
    members.update({f"blobs/sha256/{digest}": data for digest, data in blobs.items()})
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, data in sorted(members.items()):
            info = tarfile.TarInfo(path)
            info.mode, info.size = 0o644, len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue(), tag, sum(len(data) for data, _ in [*base.values(), *own.values(), *more.values()])


def write(out, name, packed):
    data, tag, unpacked = packed
    target = out / f"{name}.tar"
    target.write_bytes(data)
    print(f"    {target}  {tag}  {len(data) / 1e6:.1f} MB, unpacked {unpacked / 1e6:.1f} MB")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = arguments.add_mutually_exclusive_group(required=True)
    what.add_argument("--bin", type=pathlib.Path, help="folder with the programs")
    what.add_argument("--interpreter", choices=sorted(interpreters.IMAGES), help="the image of that name for apps, instead of the programs'")
    arguments.add_argument("--out", type=pathlib.Path, required=True, help="folder for NAME.tar")
    arguments.add_argument("--version", default="dev", help="tag (default: dev)")
    arguments.add_argument("--trees", action="store_true", help="write folders NAME/ with the root file systems instead of archives")
    options = arguments.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if name := options.interpreter:
        program, files, shared = interpreters.IMAGES[name]()
        write(options.out, name, pack(name, [program], options.version, files, shared))
        return 0
    for name, programs in IMAGES.items():
        files = [options.bin / program for program in programs]
        if missing := [str(file) for file in files if not file.is_file()]:
            raise SystemExit(f"oci_image: no {', '.join(missing)}; build first")
        if options.trees:
            write_tree(options.out / name, files)
            continue
        write(options.out, name, pack(name, files, options.version))
    return 0


if __name__ == "__main__":
    sys.exit(main())
