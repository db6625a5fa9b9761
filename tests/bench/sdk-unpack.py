#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Unpacks a plugin as the platform's Python SDK does, and says how many milliseconds it took.

    sdk-unpack.py ARCHIVE FOLDER

The whole archive in memory, every member's place looked up before it is
extracted, links left out; then, for the manifest, every file read and hashed.
"""

import hashlib
import io
import json
import sys
import tarfile
import time
from pathlib import Path


def unpack(body: bytes, target: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as tar:
        root = target.resolve()
        for member in tar.getmembers():
            place = (target / member.name).resolve()
            if not place.is_relative_to(root):
                raise ValueError(member.name)
            if member.issym() or member.islnk():
                continue
            tar.extract(member, target, set_attrs=True)


def manifest(target: Path) -> str:
    entries = sorted([path.relative_to(target).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()]
                     for path in target.rglob("*") if path.is_file() and path.name != "plugin.yaml")
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()


def main() -> None:
    archive, target = Path(sys.argv[1]), Path(sys.argv[2])
    began = time.monotonic()
    unpack(archive.read_bytes(), target)
    middle = time.monotonic()
    manifest(target)
    print(json.dumps({"unpack_ms": 1000 * (middle - began), "ms": 1000 * (time.monotonic() - began)}))


if __name__ == "__main__":
    main()
