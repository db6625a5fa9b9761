# SPDX-License-Identifier: MIT
"""What the stories of plugins share."""

from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path

import pytest

from harness import RpcError
from harness.unpacker import wait_for


def install(daemon, name="demo", **params):
    return daemon.call("plugins.install", name=name, **params)


def refused(daemon, method, **params):
    with pytest.raises(RpcError) as caught:
        daemon.call(method, **params)
    return caught.value


def listed(daemon, **params):
    return {row["name"]: row for row in daemon.call("plugins.list", **params)["plugins"]}


def tree_of(daemon, scout, name="demo"):
    return daemon.place(scout) / name / "current" / "tree"


def versions(daemon, scout, name="demo"):
    folder = daemon.place(scout) / name / "versions"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def content(tree):
    """All that is in a tree: path, type, mode, bytes."""
    found = {}
    for path in sorted(tree.rglob("*")):
        info = path.lstat()
        found[path.relative_to(tree).as_posix()] = (
            info.st_mode, path.read_bytes() if path.is_file() else b"")
    return found


def helpers(pid):
    """The process ids of a process's children."""
    return [int(word) for word in
            Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def born(pid):
    """The same, when there is one: the daemon goes on while it is being born."""
    wait_for(lambda: helpers(pid))
    return helpers(pid)


def add(tar, name, data, **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    tar.addfile(info, io.BytesIO(data))


def serve(platform, scout, data, **rule):
    """The next downloads get these bytes."""
    head = (f"HTTP/1.1 200 OK\r\nContent-Type: application/gzip\r\nContent-Length: {len(data)}"
            "\r\nConnection: close\r\n\r\n").encode()
    return platform.dev.fault("download", scout, **rule,
                              raw_base64=base64.b64encode(head + data).decode())
