# SPDX-License-Identifier: MIT
"""What the loop's thread does itself while plugins come and go: nothing that waits for a disk, and
no work that grows with the plugin."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import QUIET, Daemon, Platform

from strace import Strace

pytestmark = [pytest.mark.fast, pytest.mark.dev_platform, pytest.mark.plain, pytest.mark.usefixtures("strace")]

WAITS = {"fsync", "fdatasync", "syncfs", "sync", "sync_file_range", "msync", "flock", "fallocate"}
#: Of these a turn may do a few, whatever the plugin.
CHANGES = {"mkdir", "mkdirat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "link",
           "linkat", "symlink", "symlinkat", "fchmod", "fchmodat", "utimensat", "getdents64"}
FILES, FOLDERS = 300, 20


def files(version: str) -> dict[str, bytes]:
    return {f"folder-{i % FOLDERS}/file-{i}": f"{version} {i}\n".encode() for i in range(FILES)}


@pytest.fixture
def scout(platform: Platform, daemon: Daemon) -> Iterator[object]:
    scout = platform.create("scout")
    daemon.configure(daemon={"log_level": "debug"})
    daemon.add(scout, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    yield scout


def test_the_loop_leaves_disks_and_trees_to_others(
        platform: Platform, daemon: Daemon, scout: object, tmp_path: Path) -> None:
    """Installed, installed anew twice, so that the first is removed, verified, rolled back, removed."""
    with Strace(tmp_path / "trace", pid=daemon.pid, follow=False) as strace:
        for version in "123":
            platform.publish("demo", files(version), version=version)
            assert daemon.call("plugins.install", name="demo")["files"] >= FILES
        daemon.wait_log("removed demo/versions/")
        assert daemon.call("plugins.verify", name="demo")["ok"]
        daemon.call("plugins.rollback", name="demo")
        daemon.call("plugins.remove", name="demo")
        daemon.wait_log(r"removed \.trash-")
    seen = collections.Counter(call.name for call in strace.calls())
    assert seen["mkdirat"] >= 3, seen
    assert not WAITS & set(seen), seen
    assert sum(seen[name] for name in CHANGES) < FOLDERS * 2, seen
    assert not any("folder-" in call.rest for call in strace.calls() if call.name in CHANGES)
