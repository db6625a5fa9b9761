# SPDX-License-Identifier: MIT
"""molecule-unpack by itself, in a directory of its own with something beside it to harm.

    yard/staging        what it is given
    yard/outside        what it must not touch: there is a canary in it

It runs as root, as a user, and as a service that systemd keeps from openat2()
(RestrictSUIDSGID=); only root can choose.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import hashlib
import json
import os
import shutil
import stat
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .daemon import build_dir

PATIENCE_S = 120
NOBODY = 65534
SYS_OPENAT2, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 437, 38, 22, 2


@dataclass(frozen=True)
class Who:
    uid: int | None = None      # None: whoever runs the tests
    openat2: bool = True

    @property
    def owner(self) -> int:
        return os.geteuid() if self.uid is None else self.uid

    def become(self) -> None:
        """In the child, before the program is started."""
        if self.uid is not None:
            os.setgroups([])
            os.setgid(self.uid)
            os.setuid(self.uid)
        if not self.openat2:
            _keep_from(SYS_OPENAT2)


ROOT = os.geteuid() == 0


def is_sanitized() -> bool:
    """Such a build takes terabytes of addresses, and more memory than is shipped."""
    options = json.loads((build_dir() / "meson-info" / "intro-buildoptions.json").read_text())
    return any(row["name"] == "b_sanitize" and row["value"] != "none" for row in options)


WHO = {**({"root": Who(0)} if ROOT else {}), "user": Who(NOBODY if ROOT else None),
       "service": Who(NOBODY if ROOT else None, openat2=False)}


def _keep_from(call: int) -> None:
    """As systemd does: the call is as if the kernel did not have it."""
    lines = [(0x20, 0, 0, 0), (0x15, 0, 1, call), (0x06, 0, 0, 0x00050000 | errno.ENOSYS),
             (0x06, 0, 0, 0x7fff0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    program = struct.pack("HL", len(lines), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0):
        raise OSError(ctypes.get_errno(), "no filter could be put up")


@functools.cache
def can_trace() -> bool:
    """A service may not."""
    try:
        return subprocess.run(["strace", "-o", "/dev/null", "true"], timeout=PATIENCE_S, capture_output=True,
                              check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@dataclass
class Outcome:
    status: int
    lines: list[dict[str, Any]]
    stderr: str

    @property
    def done(self) -> dict[str, Any]:
        assert self.status == 0 and "done" in self.lines[-1], self
        return self.lines[-1]["done"]

    @property
    def failed(self) -> dict[str, Any]:
        assert self.status == 1 and "failed" in self.lines[-1], self
        return self.lines[-1]["failed"]

    def all(self, what: str) -> list[Any]:
        return [line[what] for line in self.lines if what in line]


@dataclass
class Yard:
    root: Path
    who: Who
    before: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def staging(self) -> Path:
        return self.root / "staging"

    @property
    def program(self) -> Path:
        return self.root / "molecule-unpack"

    @property
    def outside(self) -> Path:
        return self.root / "outside"

    @property
    def tree(self) -> Path:
        return self.staging / "tree"

    def lay_out(self) -> None:
        self.root.chmod(0o755)
        self.staging.mkdir()
        self.outside.mkdir()
        (self.outside / "canary").write_text("alive\n")
        # A copy: another user may not get at the build directory.
        shutil.copy(build_dir() / "src" / "helper" / "molecule-unpack", self.program)
        self.program.chmod(0o755)
        if self.who.uid is not None:
            for path in (self.staging, self.outside, self.outside / "canary"):
                os.chown(path, self.who.uid, -1)
        self.before = self.look_outside()

    def look_outside(self) -> list[tuple[Any, ...]]:
        """Everything in the yard but what is in staging: names, links, modes, owners, contents."""
        seen = []
        for path in sorted([self.root, *self.root.iterdir(), *self.outside.rglob("*")]):
            info = path.lstat()
            content = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(info.st_mode) else ""
            inside = path in (self.staging, self.root)
            seen.append((str(path), info.st_mode, info.st_uid, 0 if inside else info.st_nlink,
                         0 if inside else info.st_mtime_ns, content))
        return seen

    def check_outside(self) -> None:
        now = self.look_outside()
        assert now == self.before, set(now) ^ set(self.before)

    def is_empty(self) -> bool:
        return not any(self.staging.iterdir())

    def start(self, *arguments: str, around: Sequence[str] = (), env: dict[str, str] | None = None,
              **options: Any) -> subprocess.Popen[bytes]:
        directory = os.open(self.staging, os.O_RDONLY | os.O_DIRECTORY)

        def prepare() -> None:
            os.dup2(directory, 3)
            os.set_inheritable(3, True)
            self.who.become()

        try:
            return subprocess.Popen([*around, str(self.program), *arguments], stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, close_fds=False,
                                    preexec_fn=prepare, env={**os.environ, **(env or {})}, **options)
        finally:
            os.close(directory)

    def finish(self, process: subprocess.Popen[bytes], rest: bytes = b"") -> Outcome:
        out, complaints = process.communicate(rest, timeout=PATIENCE_S)
        lines = [json.loads(line) for line in out.splitlines()]
        assert out.endswith(b"\n") or not out, out
        return Outcome(process.returncode, lines, complaints.decode(errors="replace"))

    def run(self, *arguments: str, archive: bytes = b"", **options: Any) -> Outcome:
        outcome = self.finish(self.start(*arguments, **options), archive)
        if not options.get("around"):
            assert outcome.stderr == ""
        return outcome

    def unpack(self, archive: bytes, *arguments: str, name: str = "demo", **options: Any) -> Outcome:
        outcome = self.run("unpack", "--name", name, *arguments, archive=archive, **options)
        self.check_outside()
        return outcome

    def clear(self) -> None:
        for path in self.staging.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def yard(who: Who = Who()) -> Iterator[Yard]:
    place = Yard(Path(tempfile.mkdtemp(prefix="molecule-unpack-")), who)
    try:
        place.lay_out()
        yield place
    finally:
        shutil.rmtree(place.root)


def wait_for(event: Callable[[], bool]) -> None:
    """For what no descriptor tells of."""
    deadline = time.monotonic() + PATIENCE_S
    while not event():
        assert time.monotonic() < deadline, "it has not happened"
        time.sleep(.002)
