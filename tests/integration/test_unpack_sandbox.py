# SPDX-License-Identifier: MIT
"""molecule-unpack taken over: what a hole in a library could do, inside of its sandbox.

intruder.c is preloaded and tries it where libarchive would be (reader), and
where the directory is (keeper).
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.daemon import build_dir
from harness.tar import file, plugin
from harness.unpacker import WHO, Outcome, Yard, can_trace, is_sanitized, wait_for, yard

SANITIZED = is_sanitized()
WORKED, REFUSED = 42, 43
LANDLOCK_CREATE_RULESET, LANDLOCK_VERSION_FLAG = 444, 1


@pytest.fixture(params=WHO)
def place(request: pytest.FixtureRequest) -> Iterator[Yard]:
    with yard(WHO[request.param]) as made:
        yield made


def has_landlock() -> bool:
    return ctypes.CDLL(None).syscall(LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_VERSION_FLAG) >= 2


def intruder(place: Yard, wish: str = "", path: str = "") -> dict[str, str]:
    """The environment that brings it in."""
    module = place.root / "intruder.so"
    if not module.exists():
        shutil.copy(build_dir() / "tests" / "integration" / "libintruder.so", module)
        module.chmod(0o755)
    sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    return {"LD_PRELOAD": str(module), "INTRUDER": wish, "INTRUDER_PATH": path, "ASAN_OPTIONS": sanitizer}


def intrude(place: Yard, where: str, what: str, path: str = "/etc/shadow") -> Outcome:
    return place.run("unpack", "--name", "demo", archive=plugin(), env=intruder(place, f"{where}:{what}", path))


def test_an_intruder_without_a_wish_is_noticed(place: Yard) -> None:
    """Were it not loaded at all, some of what follows would pass."""
    assert intrude(place, "nobody", "open").done["files"] == 1
    place.clear()
    assert "signal" in intrude(place, "reader", "no such wish").failed["message"]


@pytest.mark.smoke
@pytest.mark.parametrize("what", ["open", "openat2", "openat2-from-staging", "upward"])
@pytest.mark.parametrize("path", ["/etc/shadow", "/etc/passwd"])
def test_what_reads_the_archive_can_open_nothing(place: Yard, what: str, path: str) -> None:
    failed = intrude(place, "reader", what, path).failed
    assert failed["message"].endswith(f"ended early, with status {REFUSED}")
    assert failed["kind"] == "internal" and place.is_empty()


@pytest.mark.parametrize("what", ["socket", "connect", "exec", "fork", "kill", "ptrace", "setuid", "memory",
                                  "mkdir-outside", "unlink-outside", "symlink", "link", "mknod"])
def test_what_reads_the_archive_is_ended_when_it_tries(place: Yard, what: str) -> None:
    failed = intrude(place, "reader", what).failed
    assert failed["message"] == "what reads the archive has tried what it must not, and was ended"
    assert failed["kind"] == "internal" and place.is_empty()
    assert (place.outside / "canary").read_text() == "alive\n"


@pytest.mark.skipif(SANITIZED, reason="a sanitizer maps terabytes: there is no limit")
@pytest.mark.parametrize("where", ["reader", "keeper"])
def test_memory_has_a_limit(place: Yard, where: str) -> None:
    outcome = intrude(place, where, "much-memory")
    assert outcome.status == REFUSED if where == "keeper" else f"status {REFUSED}" in outcome.failed["message"]


def test_what_writes_the_files_can_open_nothing_by_name(place: Yard) -> None:
    if not place.who.openat2 and not has_landlock():
        pytest.skip("this kernel has no Landlock, and the call is needed")
    assert intrude(place, "keeper", "open", "/etc/passwd").status == REFUSED


@pytest.mark.smoke
@pytest.mark.skipif(not has_landlock(), reason="this kernel has no Landlock")
@pytest.mark.parametrize("what", ["openat2", "openat2-from-staging", "upward", "mkdir-outside", "unlink-outside"])
def test_what_writes_the_files_gets_nowhere_else_with_landlock(place: Yard, what: str) -> None:
    assert intrude(place, "keeper", what, "/etc/passwd").status == REFUSED
    assert [path.name for path in place.outside.iterdir()] == ["canary"]


@pytest.mark.parametrize("what", ["socket", "connect", "exec", "fork", "kill", "ptrace", "setuid", "memory",
                                  "symlink", "link", "mknod"])
def test_what_writes_the_files_is_ended_when_it_tries(place: Yard, what: str) -> None:
    assert intrude(place, "keeper", what).status == -signal.SIGSYS


# ---- what the reader says, when it is no longer itself ----

ENTRY, DATA, PLUGIN, FAILED, END = range(5)
FILE, FOLDER, LINK = range(3)
NAME, VERSION, DESCRIPTION, SHA256, RUNTIME = range(5)
ERROR_INTEGRITY = 21


def frame(kind: int, payload: bytes = b"", what: int = 0, size: int = 0, length: int | None = None,
          mode: int = 0o644) -> bytes:
    """As in src/helper/frame.h."""
    length = len(payload) if length is None else length
    return struct.pack("=IHHIIQq", length, kind, what, mode, 0, size, 0) + payload


GOOD = frame(ENTRY, b"plugin.yaml", size=3) + frame(DATA, b"abc") + frame(PLUGIN, b"demo", NAME)
SENSELESS = "makes no sense"
EARLY = "has ended early"


def lie(place: Yard, said: bytes) -> Outcome:
    script = place.root / "lies"
    script.write_bytes(said)
    intruder(place)     # so that all is there before one looks
    place.before = place.look_outside()
    outcome = intrude(place, "reader", "lie", str(script))
    place.check_outside()
    return outcome


def test_the_intruder_speaks_the_readers_language(place: Yard) -> None:
    """But it cannot have read all, and so cannot end: what it says up to then is believed."""
    failed = lie(place, GOOD).failed
    assert EARLY in failed["message"] and place.is_empty()


@pytest.mark.parametrize(("said", "says", "kind"), [
    (frame(ENTRY, b"../evil", size=1), "leads upward", "integrity"),
    (frame(ENTRY, b"/etc/evil", size=1), "is absolute", "integrity"),
    (frame(ENTRY, b"a\0b", size=1), "control character", "integrity"),
    (frame(ENTRY, b"", size=1), "empty name", "integrity"),
    (frame(ENTRY, b"a" * 2000), "longer than 1024", "integrity"),
    (frame(ENTRY, b"a", size=1 << 40), "larger than 536870912 bytes", "too_large"),
    (frame(ENTRY, b"a", size=(1 << 64) - 1), "larger than 536870912 bytes", "too_large"),
    (frame(ENTRY, b"a", what=3), SENSELESS, "internal"), (frame(ENTRY, b"a", what=0xffff), SENSELESS, "internal"),
    (frame(DATA, b"x"), SENSELESS, "internal"),
    (frame(ENTRY, b"a", size=1) + frame(DATA, b"xx"), SENSELESS, "internal"),
    (frame(ENTRY, b"a", size=1) + frame(DATA), SENSELESS, "internal"),
    (frame(ENTRY, b"a", size=1) + frame(ENTRY, b"b"), SENSELESS, "internal"),
    (frame(ENTRY, b"a", size=1) + frame(PLUGIN, b"demo"), SENSELESS, "internal"),
    (frame(ENTRY, b"a", size=1) + frame(END), SENSELESS, "internal"),
    (frame(5), SENSELESS, "internal"), (frame(0xffff), SENSELESS, "internal"),
    (frame(DATA, b"", length=40_000), SENSELESS, "internal"),
    (frame(DATA, b"", length=0xffffffff), SENSELESS, "internal"),
    (frame(PLUGIN, b"n" * 65, NAME), SENSELESS, "internal"), (frame(PLUGIN, b"a\0b", NAME), SENSELESS, "internal"),
    (frame(PLUGIN, b"v" * 65, VERSION), SENSELESS, "internal"), (frame(PLUGIN, b"x", 5), SENSELESS, "internal"),
    (frame(PLUGIN, b"d" * 1025, DESCRIPTION), SENSELESS, "internal"),
    (frame(PLUGIN, b"r", RUNTIME) * 33, SENSELESS, "internal"),
    (frame(PLUGIN, b"0" * 65, SHA256), SENSELESS, "internal"),
    (frame(FAILED, b"no NUL", ERROR_INTEGRITY), SENSELESS, "internal"), (frame(FAILED, b"", 1), SENSELESS, "internal"),
    (frame(FAILED, b"a\0b", 999), SENSELESS, "internal"),
    (frame(FAILED, b"\x1b[2J\0\x1b]0;title\x07", ERROR_INTEGRITY), "?]0;title?", "integrity"),
    (b"x" * 100_000, SENSELESS, "internal"),
    (b"\0" * 31, EARLY, "internal"),
    (frame(DATA, b"x", length=5), EARLY, "internal"),
])
def test_the_reader_is_not_believed(place: Yard, said: bytes, says: str, kind: str) -> None:
    failed = lie(place, said).failed
    assert says in failed["message"] and failed["kind"] == kind
    assert failed["message"].isprintable() and failed["message"].isascii()
    assert place.is_empty()


def test_the_reader_cannot_say_that_all_was_read(place: Yard) -> None:
    """While there is more to come, the digest of it all is not known."""
    script = place.root / "lies"
    script.write_bytes(GOOD + frame(END))
    process = place.start("unpack", "--name", "demo", env=intruder(place, "reader:lie", str(script)))
    assert process.stdin and process.stdout
    process.stdin.write(plugin(file(b"a", os.urandom(100_000)))[:-50])
    process.stdin.flush()
    assert SENSELESS.encode() in process.stdout.readline()
    assert process.wait() == 1
    assert place.is_empty()
    process.stdin.close()
    process.stdout.close()


def status(pid: int) -> dict[str, str]:
    return dict(re.findall(r"^(\w+):\s+(.*)$", Path(f"/proc/{pid}/status").read_text(), re.M))


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def confined(place: Yard, pid: int) -> bool:
    """By a filter of its own, not only by those of the service and of these tests."""
    inherited = int(status(os.getpid())["Seccomp_filters"]) + (not place.who.openat2)
    return int(status(pid)["Seccomp_filters"]) == inherited + 1


def wait_for_all(place: Yard, keeper: int) -> list[int]:
    """What writes, what reads, and what flushes."""
    wait_for(lambda: confined(place, keeper) and [confined(place, pid) for pid in children(keeper)] == [True, True])
    return [keeper, *children(keeper)]


@pytest.mark.smoke
def test_all_are_confined_before_the_first_byte_comes(place: Yard) -> None:
    held = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(held, True)
    process = place.start("unpack", "--name", "demo")
    everyone = wait_for_all(place, process.pid)
    for pid in everyone:
        facts = status(pid)
        assert facts["NoNewPrivs"] == "1"
        assert {facts[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    if os.geteuid() == 0:
        for pid in everyone:
            limits = Path(f"/proc/{pid}/limits").read_text()
            assert re.search(r"Max core file size +0 +0 ", limits)
            assert re.search(r"Max processes +0 +0 ", limits)
            assert not Path(f"/proc/{pid}/environ").read_bytes().strip(b"\0")
        keeper, reader, flusher = ([os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
                                   for pid in everyone)
        assert len(reader) == 3 and sum(name.startswith("pipe:") for name in reader) == 3
        assert len(flusher) == 3 and sum(name.startswith("pipe:") for name in flusher) == 2
        assert all(name.startswith("pipe:") or name.startswith(str(place.staging)) for name in [*keeper, *flusher])
    os.close(held)
    assert place.finish(process, plugin()).done["files"] == 1


def test_without_its_reader_it_says_so_and_leaves_nothing(place: Yard) -> None:
    process = place.start("unpack", "--name", "demo")
    os.kill(wait_for_all(place, process.pid)[1], signal.SIGKILL)
    failed = place.finish(process, plugin(file(b"a", os.urandom(100_000)))).failed
    assert failed["message"] == f"what reads the archive was ended by signal {int(signal.SIGKILL)}"
    assert place.is_empty()


def test_without_what_flushes_it_takes_longer_only(place: Yard) -> None:
    process = place.start("unpack", "--name", "demo")
    os.kill(wait_for_all(place, process.pid)[2], signal.SIGKILL)
    archive = plugin(*(file(b"%d" % number, os.urandom(1 << 20)) for number in range(20)))
    assert place.finish(process, archive).done["files"] == 21


def test_nobody_is_left_when_it_is_done(place: Yard) -> None:
    process = place.start("unpack", "--name", "demo")
    others = wait_for_all(place, process.pid)[1:]
    assert place.finish(process, plugin()).done
    assert not any(Path(f"/proc/{pid}").exists() for pid in others)


def test_the_others_do_not_outlive_it(place: Yard) -> None:
    process = place.start("unpack", "--name", "demo")
    others = wait_for_all(place, process.pid)[1:]
    process.kill()
    assert place.finish(process).status == -signal.SIGKILL
    for pid in others:
        wait_for(lambda pid=pid: not Path(f"/proc/{pid}").exists() or status(pid)["State"].startswith("Z"))


def injecting(*faults: str) -> list[str]:
    return ["strace", "-f", "-qq", "-o", "/dev/null", *(f"--inject={fault}" for fault in faults)]


@pytest.mark.skipif(not can_trace(), reason="there is no strace, or none is allowed")
@pytest.mark.parametrize(("faults", "says"), [
    (["seccomp:error=ENOSYS", "prctl:error=EINVAL:when=3+"], "put up its filter of system calls"),
    (["prctl:error=EPERM:when=1"], "give up new privileges"),
    (["prctl:error=EPERM:when=2"], "close itself to others"),
    (["close_range:error=ENOSYS"], "close what it was given"),
    pytest.param(["prlimit64:error=EPERM"], "its limits",
                 marks=pytest.mark.skipif(SANITIZED, reason="a sanitizer asks for limits itself")),
])
def test_without_a_sandbox_nothing_is_unpacked(place: Yard, faults: list[str], says: str) -> None:
    failed = place.run("unpack", "--name", "demo", archive=plugin(), around=injecting(*faults)).failed
    assert says in failed["message"] and "unpacks nothing without a sandbox" in failed["message"]
    assert failed["kind"] == "internal" and place.is_empty()


@pytest.mark.skipif(not can_trace(), reason="there is no strace, or none is allowed")
def test_names_are_opened_at_once_or_part_by_part(place: Yard) -> None:
    """What the service is kept from is what these tests keep it from: its way is gone, here too."""
    trace = place.outside / "trace"
    around = ["strace", "-f", "-qq", "-o", str(trace), "--trace=openat,openat2"]
    archive = plugin(file(b"deep/er/file", b"x"))
    assert place.run("unpack", "--name", "demo", archive=archive, around=around).done["files"] == 2
    lines = trace.read_text().splitlines()
    calls = [line for line in lines if line.split()[0] == lines[0].split()[0]]      # of what writes
    # One that another process came between ends on a line of its own.
    whole = [call for call in calls if re.search(r" openat2\(| openat2 resumed>", call)
             and not call.endswith("<unfinished ...>")]
    # Names themselves are not seen: it is closed to others, be it by their own strace.
    parts = [call for call in calls if re.search(r" openat\(\d+, ", call)]
    assert len(whole) > 3, lines
    if place.who.openat2:
        assert not parts and not any("ENOSYS" in call for call in whole)
    else:
        assert all(call.endswith("= -1 ENOSYS (Function not implemented)") for call in whole)
        assert len(parts) > 3 and all("O_NOFOLLOW" in call for call in parts)
        assert sum("O_PATH" in call for call in parts) >= 2


@pytest.mark.skipif(not can_trace(), reason="there is no strace, or none is allowed")
@pytest.mark.parametrize("error", ["ENOSYS", "EOPNOTSUPP", "EPERM"])
def test_a_kernel_without_landlock_will_do(place: Yard, error: str) -> None:
    around = injecting(f"landlock_create_ruleset:error={error}")
    assert place.run("unpack", "--name", "demo", archive=plugin(), around=around).done["files"] == 1


@pytest.mark.skipif(not can_trace(), reason="there is no strace, or none is allowed")
def test_without_a_second_process_nothing_is_unpacked(place: Yard) -> None:
    around = injecting("clone,clone3,fork,vfork:error=EAGAIN")
    failed = place.run("unpack", "--name", "demo", archive=plugin(), around=around).failed
    assert "cannot start what reads the archive" in failed["message"] and failed["kind"] == "internal"
    assert place.is_empty()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
@pytest.mark.parametrize("options", ["size=256k", "nr_inodes=6"])
def test_a_full_disk_leaves_nothing(place: Yard, options: str) -> None:
    """Bytes and inodes: here a file, there a directory cannot be made."""
    mount = ["mount", "-t", "tmpfs", "-o", f"{options},mode=0777", "tmpfs", str(place.staging)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        archive = plugin(*(file(b"d%d/f" % number, os.urandom(70_000)) for number in range(5)))
        failed = place.run("unpack", "--name", "demo", archive=archive).failed
        assert failed["kind"] == "unavailable" and "No space left on device" in failed["message"]
        assert failed["entry"].startswith("d") and place.is_empty()
        assert place.run("unpack", "--name", "demo", archive=plugin()).done["files"] == 1
    finally:
        subprocess.run(["umount", str(place.staging)], check=True)
