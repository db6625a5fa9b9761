# SPDX-License-Identifier: MIT
"""Each system call on the database, between the request for a delegation and its answer.

The daemon is killed at it, or it fails. After another start the peer has heard each
task that was promised, once, and none of those that were refused; whatever was neither
is done once or not at all, and can be asked for again under its key.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import shutil
import signal
from collections.abc import Callable
from typing import Any

import pytest

from harness import QUIET, Closed, Daemon, Platform, RpcError, Workspace
from harness.peer import Peer, echo
from strace import Point, Strace, deaths
from tally import Tally
from wire import wait_until

pytestmark = [pytest.mark.dev_platform, pytest.mark.plain, pytest.mark.usefixtures("strace")]

WAIT_MS = 30_000
FILES = ("", "agentd.db", "agentd.db-wal", "agentd.db-journal")


@dataclasses.dataclass
class Scene:
    daemon: Daemon
    platform: Platform
    peer: Peer
    scout: Workspace
    other: Workspace

    def create(self, task: str) -> Any:
        return self.daemon.call("delegation.create", workspace="scout", to=self.other.id,
                                task=task, idempotency_key=f"key of {task}")

    def listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.daemon.call("delegation.list",
                                                       workspace="scout")["delegations"]
        return found

    def ended(self) -> None:
        """Until it is known what came of them all, and there is nothing more to write down."""
        for row in self.listed():
            row = self.daemon.call("delegation.wait", workspace="scout", wait_ms=WAIT_MS,
                                   delegation_id=row["delegation_id"])
            assert row["status"] == "completed", row

    def settled(self) -> None:
        """Until the platform has them all, each once, and the peer has heard of them."""
        wait_until(lambda: all(row["status"] != "pending" for row in self.listed()),
                   "the platform has them all")
        rows = self.platform.call("GET", f"/workspaces/{self.scout.id}/delegations",
                                  token=self.daemon.kept_token(self.scout)).json()
        handed = [row for row in rows if row["summary"].startswith("Delegating to")]
        assert len(handed) == len(self.listed())
        self.peer.wait(len(handed))

    def heard(self, task: str) -> int:
        """How often the peer was told to do it."""
        return [request.text for request in self.peer.requests].count(task)


def first(scene: Scene) -> None:
    """There is no database yet."""


def another(scene: Scene) -> None:
    scene.create("an earlier task")
    scene.ended()


PREPARE: dict[str, Callable[[Scene], None]] = {"first": first, "another": another}
TASK = "the task"


class Stage:
    """Asks for a delegation again and again, each time in an empty state directory."""

    def __init__(self, prepare: Callable[[Scene], None], platform: Platform, daemon: Daemon,
                 peer: Peer):
        self.prepare, self.platform, self.daemon, self.peer = prepare, platform, daemon, peer
        self.files = [daemon.state / name for name in FILES]
        daemon.configure(daemon={"log_level": "warning"}, defaults=QUIET)

    def set(self, **env: str) -> Scene:
        if self.daemon.process:
            self.daemon.stop()
        shutil.rmtree(self.daemon.state, ignore_errors=True)
        self.daemon.start(umask=0, env=env)
        self.peer.forget()
        scene = Scene(self.daemon, self.platform, self.peer, self.platform.create("scout"),
                      self.platform.create("other"))
        self.platform.dev.change(scene.other, url=self.peer.url, status="online")
        self.daemon.platforms.add(self.platform)
        self.daemon.call("workspace.join", platform_url=self.platform.url, name="scout",
                         workspace_id=scene.scout.id, token=scene.scout.token)
        self.daemon.wait_state("scout", "online")
        self.prepare(scene)
        return scene

    def tell(self, scene: Scene, *faults: str) -> tuple[Strace, RpcError | Closed | None]:
        self.daemon.call("daemon.info")
        with Strace(self.daemon.dir / "trace", *faults, pid=self.daemon.pid,
                    only=self.files) as strace:
            try:
                scene.create(TASK)
                return strace, None
            except (RpcError, Closed) as error:
                return strace, error

    def points(self) -> list[Point]:
        strace, error = self.tell(self.set())
        assert error is None
        points = strace.points(self.daemon.state)
        assert {"pwrite64", "fdatasync"} <= {point.name for point in points}, strace.calls()
        return points

    def tell_until(self, point: Point, fault: str, until: int = 0
                   ) -> tuple[Scene, Strace, RpcError | Closed | None] | None:
        """Reading depends on what is still in memory: it may be that it does not come to that."""
        for _ in range(3 if point.name == "pread64" else 1):
            scene = self.set()
            strace, error = self.tell(scene, point.inject(fault, until))
            hit = strace.hit() if fault.startswith("error") else strace.cut_off()
            if hit:
                assert hit.name == point.name and hit.touches(self.daemon.state), f"{point} is {hit}"
                return scene, strace, error
        assert point.name == "pread64", f"it never came to {point}"
        return None

    def finish(self, scene: Scene, error: RpcError | Closed | None) -> None:
        """A new start, and what must be true then."""
        self.daemon.check_state_dir()
        if self.daemon.process:
            self.daemon.kill()
        self.daemon.start()
        self.daemon.wait_state("scout", "online")
        scene.settled()
        if error is None:
            assert scene.heard(TASK) == 1
        elif isinstance(error, RpcError):
            assert scene.heard(TASK) == 0
        else:
            assert scene.heard(TASK) <= 1

        before = scene.heard(TASK)
        assert scene.create(TASK)["duplicate"] == (before == 1)
        scene.settled()
        assert scene.heard(TASK) == 1
        assert not list(self.daemon.state.glob("*corrupt*"))
        self.daemon.check_state_dir()


@pytest.fixture
def stage(request, platform, daemon):
    with Peer() as peer:
        peer.does(echo)
        yield Stage(PREPARE[request.param], platform, daemon, peer)


each = pytest.mark.parametrize("stage", list(PREPARE), indirect=True)


def kill_at(stage: Stage, tally: Tally, point: Point) -> None:
    tally.add()
    told = stage.tell_until(point, "signal=SIGKILL")
    if not told:
        return
    assert stage.daemon.wait_exit() == -signal.SIGKILL, str(point)
    try:
        stage.finish(told[0], told[2])
    except Exception as why:
        raise AssertionError(f"killed at {point}") from why


@each
def test_killed_at_each_call(stage, tally):
    for point in deaths(stage.points()):
        kill_at(stage, tally, point)


@pytest.mark.fast
@pytest.mark.parametrize("stage", ["another"], indirect=True)
def test_killed_around_each_fsync(stage, tally):
    points = stage.points()
    for before, point in zip(points, points[1:]):
        if point.name == "fdatasync":
            kill_at(stage, tally, before)
            kill_at(stage, tally, point)


# What can come of which call, and come of a disk.
FULL = {"ENOSPC", "EDQUOT"}
ERRORS = {"openat": {"EMFILE"} | FULL, "pwrite64": FULL, "fsync": FULL, "fdatasync": FULL,
          "ftruncate": FULL, "fallocate": FULL, "write": FULL}


def fail_at(stage: Stage, point: Point, errno: str, until: int) -> None:
    told = stage.tell_until(point, f"error={errno}", until)
    if not told:
        return
    scene, _, error = told
    assert not isinstance(error, Closed), "it has ended"
    if error:
        assert error.kind in ("unavailable", "config"), repr(error)
        assert re.match(r"cannot .+: .+", error.text), error.text
    if until:
        # As soon as the disk is well again.
        scene.create("a task after it")
    stage.finish(scene, error)
    assert scene.heard("a task after it") == (1 if until else 0)


def sweep(stage: Stage, tally: Tally, until: int, among: set[str]) -> None:
    seen = set()
    for point in stage.points():
        for errno in sorted({"EIO"} & among | ERRORS.get(point.name, set()) & among):
            # What is neither ENOSPC nor EINTR is EIO to SQLite: once for each kind of call.
            if errno == "EDQUOT" and point.name in seen:
                continue
            tally.add()
            try:
                fail_at(stage, point, errno, until)
            except Exception as why:
                raise AssertionError(f"{errno} at {point}") from why
        seen.add(point.name)


@each
def test_an_error_at_each_call(stage, tally):
    sweep(stage, tally, 0, {"EIO", "EMFILE"} | FULL)


@each
def test_an_error_from_each_call_on(stage, tally):
    sweep(stage, tally, -1, {"EIO", "ENOSPC"})


# ---- a disk that hangs ----

def drain(daemon: Daemon) -> None:
    """What the service manager was told until now."""
    with contextlib.suppress(AssertionError):
        while True:
            daemon.wait_message("WATCHDOG=1", timeout=0)


@pytest.mark.parametrize("stage", ["another"], indirect=True)
def test_a_disk_that_hangs_stops_the_watchdog_and_nothing_else(stage):
    """Who waits for the disk waits, all others are served; what the service manager hears is nothing."""
    daemon = stage.daemon
    scene = stage.set(WATCHDOG_USEC="1000000")
    with Strace(daemon.dir / "trace", "inject=fdatasync:delay_enter=8000000:when=1",
                pid=daemon.pid, only=stage.files) as strace:
        waiting = daemon.connect()
        number = waiting.send("delegation.create", workspace="scout", to=scene.other.id, task=TASK)
        daemon.wait_log("the disk has not answered")
        drain(daemon)
        assert daemon.refresh("scout")["state"] == "online"
        with pytest.raises(AssertionError, match="no WATCHDOG=1"):
            daemon.wait_message("WATCHDOG=1", timeout=1.5)
        assert not waiting.is_answered(number)
        assert waiting.answer(number)["status"]
        daemon.wait_message("WATCHDOG=1")
    assert strace.calls()
    scene.settled()
    assert scene.heard(TASK) == 1
