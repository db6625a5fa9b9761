# SPDX-License-Identifier: MIT
"""strace, attached to a daemon that runs, or around one that starts.

    with Strace(daemon) as trace:
        daemon.call(…)
    points = trace.points(daemon.state)         # the calls that touch this directory
    for point in points:
        with Strace(daemon, point.inject("error=EIO")) as trace:
            daemon.call(…)                      # and that one fails

A point is a system call's name and its number among those of that name since the
tracing began, in the daemon's main thread - or, where only calls that touch some
paths are traced, among those of its thread. Tracing slows things down and changes
nothing else, so the same story comes by the same points each time; where a fault
really fell, hit() tells from the trace.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import re
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

LINE = re.compile(r"^(?:(\d+) +)?(\w+)\((.*)$")
# strace writes what it was told to do behind the call that it did it to.
INJECTED = re.compile(r"\(INJECTED(?:: \w+)?\)$")
CALLS = "%file,%desc,%network"
DEATH_S = 20    # for what was killed to be gone


@dataclasses.dataclass(frozen=True)
class Call:
    name: str
    rest: str       # arguments and result, as strace writes them
    thread: int = 0

    def touches(self, path: Path) -> bool:
        return str(path) in self.rest


@dataclasses.dataclass(frozen=True)
class Point:
    name: str
    number: int
    what: str       # the call as it was when nothing failed

    def inject(self, fault: str, until: int = 0) -> str:
        """Once, or with until so many times, or with -1 for ever."""
        more = "+" if until < 0 else f"..{self.number + until - 1}" if until else ""
        return f"inject={self.name}:{fault}:when={self.number}{more}"

    def __str__(self) -> str:
        return f"{self.name} #{self.number}: {self.what}"


# Calls that change nothing for anybody else, or only what dies with the process.
IDLE = {"access", "clock_gettime", "close", "dup2", "epoll_ctl", "epoll_wait", "faccessat2", "fadvise64",
        "fcntl", "fstat", "futex", "getdents64", "getpid", "getppid", "getrandom", "getsockname",
        "getsockopt", "lseek", "newfstatat", "poll", "ppoll", "pread64", "read", "readlink",
        "readlinkat", "recvfrom", "recvmsg", "setsockopt", "socket", "statx"}


def outlasts(point: Point) -> bool:
    """Whether a death before this call and one after it leave different things behind."""
    if point.name in ("open", "openat", "openat2"):
        return "O_CREAT" in point.what or "O_TRUNC" in point.what
    return point.name not in IDLE


def deaths(points: Sequence[Point]) -> list[Point]:
    """Where to kill, so that each state of affairs is left behind once.

    Who is killed is so before the call. All places between two calls that change something
    are one; the last of them all stands for what comes after every change.
    """
    return [point for point in points[:-1] if outlasts(point)] + list(points[-1:])


class Strace:
    """faults: what inject() gives. Without a daemon only around(), for one that is to start.

    follow: its threads and children, too. Each of them counts its calls for itself.
    only: no calls but those that touch one of these paths, of whichever thread, are
    seen, counted and made to fail.
    """

    def __init__(self, output: Path, *faults: str, pid: int = 0, follow: bool = True,
                 only: Sequence[Path] = ()):
        self.output, self.pid, self.only = output, pid, only
        self.kills = any("SIGKILL" in fault for fault in faults)
        self.options = ["strace", *(["-f"] if follow else []), "-y", "-o", str(output),
                        "-e", "signal=none", "-e", f"trace={CALLS}"]
        for fault in faults:
            self.options += ["-e", fault]
        for path in only:
            self.options += ["-P", str(path)]
        self._process: subprocess.Popen[bytes] | None = None

    def around(self) -> list[str]:
        """To put before a command, which stays the child of whoever starts it."""
        return [*self.options, "-D"]

    def __enter__(self) -> Strace:
        self._process = subprocess.Popen([*self.options, "-p", str(self.pid)],
                                         stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert self._process.stderr
        said = self._process.stderr.readline()
        assert b" attached" in said, f"strace says {said!r}"
        return self

    def __exit__(self, *_: object) -> None:
        """Lets go of the daemon, which lives on if it does."""
        assert self._process and self._process.stderr
        if self.kills and self._is_dying():
            # To let go of a thread whose others are about to die is more than it can do.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(DEATH_S)
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(DEATH_S)
        except subprocess.TimeoutExpired:
            # It waits for a thread that is dead, and keeps the daemon from being gone.
            self._process.kill()
            self._process.wait()
        self._process.stderr.close()

    def _is_dying(self) -> bool:
        """Whether SIGKILL has reached the daemon, though it may not be gone yet."""
        try:
            status = dict(line.split(":\t", 1) for line in
                          Path(f"/proc/{self.pid}/status").read_text().splitlines() if ":\t" in line)
        except OSError:
            return True
        pending = int(status["SigPnd"], 16) | int(status["ShdPnd"], 16)
        return (status["State"][0] in "ZX" or pending >> (signal.SIGKILL - 1) & 1 == 1
                or "+++ killed by SIGKILL" in self.output.read_text())

    def calls(self) -> list[Call]:
        """Those of the main thread, which is in the first line, unless some paths are all that is seen."""
        found = [match for match in map(LINE.match, self.output.read_text().splitlines()) if match]
        return [Call(match[2], match[3], int(match[1] or 0)) for match in found
                if self.only or match[1] == found[0][1]]

    def points(self, below: Path) -> list[Point]:
        numbers: collections.Counter[tuple[int, str]] = collections.Counter()
        points = []
        for call in self.calls():
            numbers[call.thread, call.name] += 1
            if call.touches(below):
                points.append(Point(call.name, numbers[call.thread, call.name], call.rest))
        return points

    def hit(self) -> Call | None:
        """The first call that was made to fail."""
        return next((call for call in self.calls() if INJECTED.search(call.rest)), None)

    def cut_off(self) -> Call | None:
        """The call that a thread was killed in."""
        return next((call for call in self.calls() if call.rest.endswith("= ?")), None)
