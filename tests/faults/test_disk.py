# SPDX-License-Identifier: MIT
"""Disks that are full or may not be written, tokens that are no files, logs that nobody takes."""

from __future__ import annotations

import array
import ctypes
import fcntl
import os
import re
import socket
import stat
import subprocess
import termios
import time
from pathlib import Path

import pytest

from harness import QUIET, RpcError, build_dir, tar
from harness.unpacker import Who, Yard, wait_for
from wire import Wire, is_answered, rss_kib, wait_until

URL = "http://localhost:9/a2a"
FLUSHER_BYTES = 8 << 20     # after so many the helper begins to bring them to the disk


# ---- a token that is no file of ours ----

def make(kind, path, token):
    """What is in the place of the token's file; what else there is then."""
    elsewhere = path.with_name("elsewhere")
    if kind == "a link":
        elsewhere.write_text(token)
        elsewhere.chmod(0o600)
        path.symlink_to(elsewhere.name)
    elif kind == "a pipe":
        os.mkfifo(path, 0o600)
    elif kind == "a directory":
        path.mkdir(mode=0o700)
    elif kind == "a second name":
        elsewhere.write_text(token)
        elsewhere.chmod(0o600)
        path.hardlink_to(elsewhere)
    elif kind == "1 GiB":
        path.touch(0o600)
        os.truncate(path, 1 << 30)
    elif kind == "a device":
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
        path.chmod(0o600)
    elif kind == "somebody else's":
        path.write_text(token)
        path.chmod(0o600)
        os.chown(path, 65534, 65534)


KINDS = {"a link": "symbolic link", "a pipe": "not a regular file", "a directory": "directory",
         "a second name": "names", "1 GiB": "more than", "a device": "not a regular file",
         "a socket": "No such device|not a regular file", "somebody else's": "belongs to user 65534"}
each_kind = pytest.mark.parametrize("kind, why", KINDS.items(), ids=KINDS)


@pytest.mark.fast
@each_kind
def test_what_is_no_token_file_is_refused(platform, daemon, kind, why):
    if kind in ("a device", "somebody else's") and os.geteuid() != 0:
        pytest.skip("only root can make one")
    scout = platform.create("scout")
    path = daemon.etc / "strange.token"
    make(kind, path, scout.token)
    daemon.add(scout, token_file=path)
    began = time.monotonic()
    daemon.start(ready=False)
    if kind in ("a second name", "1 GiB", "somebody else's"):
        # Seen when it is opened; the others when the configuration is read.
        daemon.wait_log("is ready")
        said = daemon.wait_state("scout", "auth_lost")["last_error"]
    else:
        assert daemon.wait_exit() == 78
        said, why = daemon.log, "is no regular file"
    assert time.monotonic() - began < 5, "it has waited for something"
    assert re.search(f"strange.token.*({why})", said), said


@pytest.mark.fast
@pytest.mark.dev_platform
@each_kind
def test_what_is_no_token_file_of_the_state_directory_is_left_alone(platform, daemon, kind, why):
    """Nor is it a reason to register: there may be a token in it for all we know."""
    if kind in ("a device", "somebody else's") and os.geteuid() != 0:
        pytest.skip("only root can make one")
    scout = platform.create("scout", token=False)
    daemon.add(scout, reported_url=URL, **QUIET)
    tokens = daemon.state / "tokens"
    tokens.mkdir(mode=0o700, parents=True)
    daemon.state.chmod(0o700)
    make(kind, daemon.token_path(scout), "x" * 43)
    before = [(path.name, path.lstat().st_mode, path.lstat().st_size)
              for path in sorted(tokens.iterdir())]
    daemon.start()
    status = daemon.wait_state("scout", "auth_lost")
    assert re.search(why, status["last_error"]), status["last_error"]
    assert rss_kib(daemon.pid) < 256 * 1024
    assert platform.dev.requests(scout, endpoint="register") == []
    assert [(path.name, path.lstat().st_mode, path.lstat().st_size)
            for path in sorted(tokens.iterdir())] == before
    # The harness looks at files that it can read.
    for path in sorted(tokens.iterdir(), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    assert daemon.refresh("scout")["state"] == "online"


# ---- a disk that is full, or not to be written ----

def in_its_own_mounts(script):
    """To put before a command; "$S" is the state directory."""
    return ["unshare", "--mount", "sh", "-ec", f'{script}; exec "$@"', "sh"]


@pytest.mark.fast
@pytest.mark.usefixtures("as_root")
def test_a_state_directory_that_cannot_be_written(platform, daemon):
    scout = platform.create("scout")
    daemon.add(scout, **QUIET)
    daemon.state.mkdir(mode=0o700)
    daemon.start(ready=False, before=in_its_own_mounts(
        f"mount --bind '{daemon.state}' '{daemon.state}';"
        f"mount -o remount,ro,bind '{daemon.state}'"))
    assert daemon.wait_exit() in (1, 78)
    assert str(daemon.state) in daemon.log and "Read-only file system" in daemon.log


@pytest.mark.fast
@pytest.mark.usefixtures("as_root")
def test_a_disk_that_becomes_full(platform, daemon):
    """The token is the old one while it is, and can be changed as soon as there is room."""
    scout = platform.create("scout")
    daemon.add(scout, **QUIET)
    daemon.state.mkdir(mode=0o700)
    daemon.start(before=in_its_own_mounts(
        f"mount -t tmpfs -o size=64k,mode=0700 none '{daemon.state}'"))
    daemon.wait_state("scout", "online")
    inside = Path(f"/proc/{daemon.pid}/root{daemon.state}")

    def kept():
        found = list((inside / "tokens").glob("*@*"))
        daemon.canaries.update(path.read_text().strip() for path in found)
        return [path.read_text().strip() for path in found]

    daemon.call("token.rotate", workspace="scout")
    [first] = kept()
    filler = inside / "filler"
    with pytest.raises(OSError):
        with open(filler, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    with pytest.raises(RpcError) as caught:
        daemon.call("token.rotate", workspace="scout")
    assert "No space left on device" in caught.value.text
    assert kept() == [first] and platform.accepts(scout, first)
    assert {path.name for path in inside.iterdir()} <= {"lock", "tokens", "filler", "workspaces.d"}
    with pytest.raises(RpcError):
        other = platform.create("other")
        daemon.call("workspace.join", platform_url=platform.url, workspace_id=other.id,
                    name="other", token=other.token)
    assert len(daemon.call("workspace.list")["workspaces"]) == 1
    assert daemon.refresh("scout")["state"] == "online"

    filler.unlink()
    daemon.call("token.rotate", workspace="scout")
    [second] = kept()
    assert second != first and platform.accepts(scout, second)


@pytest.mark.fast
@pytest.mark.usefixtures("as_root")
def test_a_disk_that_becomes_full_promises_nothing(platform, daemon):
    """What cannot be journaled is refused, and said so until there is room; all else goes on."""
    scout, other = platform.create("scout"), platform.create("other")
    daemon.add(scout, **QUIET)
    daemon.state.mkdir(mode=0o700)
    daemon.start(before=in_its_own_mounts(
        f"mount -t tmpfs -o size=512k,mode=0700 none '{daemon.state}'"))
    daemon.wait_state("scout", "online")
    inside = Path(f"/proc/{daemon.pid}/root{daemon.state}")

    def create(task):
        return daemon.call("delegation.create", workspace="scout", to=other.id, task=task,
                           idempotency_key=task[:20])

    def warnings():
        return [row["text"] for row in daemon.call("daemon.status")["warnings"]
                if row["code"] == "store_unavailable"]

    create("with room")
    with open(inside / "filler", "wb", buffering=0) as file:
        with pytest.raises(OSError):
            while True:
                file.write(bytes(4096))
    # What the log has is written over first.
    with pytest.raises(RpcError) as caught:
        for number in range(100):
            create(f"{number:03d}" + "x" * 20000)
    assert caught.value.kind == "unavailable"
    assert "No space left on device" in caught.value.text
    taken = len(daemon.call("delegation.list", workspace="scout", limit=500)["delegations"])
    with pytest.raises(RpcError):
        create("y" * 20000)
    [text] = warnings()
    assert "No space left on device" in text
    assert daemon.refresh("scout")["state"] == "online"
    assert len(daemon.call("delegation.list", workspace="scout", limit=500)["delegations"]) == taken

    (inside / "filler").unlink()
    assert create("y" * 20000)["duplicate"] is False
    assert create("with room")["duplicate"] is True
    wait_until(lambda: not warnings(), "the warning is gone")
    assert not list(inside.glob("*corrupt*"))


# ---- a disk that fails ----

CLONE_NEWNS = 0x20000
libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def own_mounts(as_root):
    """What this thread and its children mount is gone with the test."""
    home, cwd = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC), os.getcwd()
    root = os.open("/", os.O_PATH | os.O_CLOEXEC)
    if libc.unshare(CLONE_NEWNS) < 0:
        pytest.skip("there cannot be a mount namespace here")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    yield
    assert libc.setns(home, CLONE_NEWNS) == 0
    # That leads to the namespace's own root, which is not ours below a chroot.
    os.fchdir(root)
    os.chroot(".")
    os.chdir(cwd)
    os.close(home)
    os.close(root)


def sleeps_without_work(pid):
    """Blocked in reading a pipe in which there is nothing."""
    queued = array.array("i", [0])
    try:
        pipe = os.open(f"/proc/{pid}/fd/0", os.O_RDONLY | os.O_NONBLOCK)
        fcntl.ioctl(pipe, termios.FIONREAD, queued)
        os.close(pipe)
        return queued[0] == 0 and "pipe" in Path(f"/proc/{pid}/wchan").read_text()
    except FileNotFoundError:
        return False    # it has ended


@pytest.mark.fast
def test_what_the_disk_has_lost_while_it_was_unpacked_is_not_called_done(tmp_path, own_mounts):
    """Errors of the disk come when it is written to, long after the files were, and once."""
    (tmp_path / "below").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "none", tmp_path / "below"], check=True)
    disk, filler = tmp_path / "below/disk", tmp_path / "below/filler"
    disk.touch()
    os.truncate(disk, 200 << 20)    # of which there are but 40
    subprocess.run(["mkfs.ext2", "-q", disk], check=True)
    place = Yard(tmp_path / "yard", Who())
    place.root.mkdir()
    if subprocess.run(["mount", "-o", "loop", disk, place.root]).returncode:
        pytest.skip("a file cannot be mounted here")
    place.lay_out()
    os.sync()
    with pytest.raises(OSError), open(filler, "wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))

    large = os.urandom(2 * FLUSHER_BYTES + (1 << 20))
    archive = tar.plugin(tar.file(b"large", large), tar.file(b"small", os.urandom(1 << 18)))
    end = len(archive) - (1 << 17)
    process = place.start("unpack", "--name", "demo")
    process.stdin.write(archive[:end])
    process.stdin.flush()
    wait_for(lambda: any(path.stat().st_size == len(large)
                         for path in place.staging.rglob("large")))
    flusher = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[1]
    # Should the helper end before that, what it says is looked at all the same.
    wait_for(lambda: process.poll() is not None or sleeps_without_work(flusher))
    # From now on nothing fails any more.
    filler.unlink()
    failed = place.finish(process, archive[end:]).failed
    assert failed["kind"] == "unavailable"
    assert re.match("the plugin's files cannot be brought to the disk: ", failed["message"])
    assert place.is_empty()
    assert place.unpack(archive).done["files"] == 3
    assert (place.tree / "large").read_bytes() == large


# ---- a log that nobody takes ----

def runs_with(daemon, **how):
    return subprocess.Popen([build_dir() / "src/molecule-agentd", "--config",
                             daemon.etc / "agentd.conf"], stdin=subprocess.DEVNULL, **how)


def serves_and_counts(daemon, process):
    wait_until(lambda: is_answered(daemon.socket), "it listens")
    with Wire(daemon.socket) as wire:
        for number in range(50):
            wire.send(b'{"jsonrpc":"2.0","id":%d,"method":"daemon.reload"}' % number)
            assert wire.message()["id"] == number
        wire.send(b'{"jsonrpc":"2.0","id":1,"method":"daemon.metrics"}')
        text = wire.message()["result"]["text"]
    [lost] = [line for line in text.splitlines() if line.startswith("molecule_log_lost_total")]
    process.terminate()
    assert process.wait(20) == 0
    return int(lost.split()[1])


@pytest.mark.fast
def test_whoever_read_its_log_has_gone(daemon):
    reader, writer = os.pipe()
    process = runs_with(daemon, env=daemon.env, stderr=writer)
    os.close(writer)
    os.close(reader)
    assert serves_and_counts(daemon, process) > 0


@pytest.mark.fast
def test_it_has_no_standard_error(daemon):
    process = runs_with(daemon, env=daemon.env, preexec_fn=lambda: os.close(2))
    serves_and_counts(daemon, process)


@pytest.mark.fast
@pytest.mark.usefixtures("as_root")
def test_the_journal_is_not_there(daemon):
    """Its standard error is the journal's, which does not listen any more."""
    with open(daemon.dir / "stream", "wb") as stream:
        found = os.fstat(stream.fileno())
        process = subprocess.Popen(
            [*in_its_own_mounts("test ! -d /run/systemd/journal ||"
                                " mount -t tmpfs none /run/systemd/journal"),
             build_dir() / "src/molecule-agentd", "--config", daemon.etc / "agentd.conf"],
            env={**daemon.env, "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"},
            stdin=subprocess.DEVNULL, stderr=stream)
        lost = serves_and_counts(daemon, process)
    # What the journal did not take is lost and counted, or in its stream all the same.
    assert lost > 0 or (daemon.dir / "stream").read_text()
