# SPDX-License-Identifier: MIT
"""Each system call by which a plugin is installed, replaced, rolled back or removed: killed at it,
and failing at it.

What touches the disk is done by molecule-unpack, a few directories by the daemon itself. A story
is told once under strace, which gives its points; then again for each of them, with a blow there:

    the helper is killed          the daemon answers, cleans up, and goes on
    helper and daemon are killed  as by a loss of power; the next start cleans up
    the call fails                for once, or from then on

After each: what is installed is the old version or the new one, whole, or, where there was none,
none; never a mix. What was acknowledged is there. Nothing is left over after the next start, and
what was asked for can be done then.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import QUIET, Closed, Daemon, Failure, Platform, RpcError
from strace import Call, Point, Strace

pytestmark = [pytest.mark.dev_platform, pytest.mark.plain, pytest.mark.usefixtures("strace")]

FILES = {"1": {"plugin.yaml": b"name: %b\nversion: 1\n", "a": b"one", "d/b.sh": b"#!/bin/sh\n"},
         "2": {"plugin.yaml": b"name: %b\nversion: 2\n", "a": b"two", "e/c": b"more"}}
LINE = re.compile(r"^(\w+)\((.*)$")


def wrapper(path: Path, real: str) -> None:
    """A program in the helper's place: runs it as the file `how` says.

    `how` has three lines: for which task, the options of strace, and a pid that dies with it.
    """
    path.write_text(f"""#!/bin/sh
how={shlex.quote(str(path))}.how
{{ read -r task; read -r options; read -r victim; }} <"$how"
[ "$1" = "$task" ] || exec {shlex.quote(real)} "$@"
# Once: what is done about it is not to be struck, too.
echo none >"$how"
strace -qq -y -o {shlex.quote(str(path))}.trace $options {shlex.quote(real)} "$@"
status=$?
[ -z "$victim" ] || [ "$status" -lt 128 ] || kill -9 "$victim"
exit $status
""")
    path.chmod(0o755)


class Bench:
    """A daemon whose helpers can be struck, and plugins to do it with: one for each blow."""

    def __init__(self, platform: Platform, daemon: Daemon):
        self.platform, self.daemon = platform, daemon
        self.program = daemon.dir / "helper"
        wrapper(self.program, daemon.env["MOLECULE_UNPACK"])
        daemon.env["MOLECULE_UNPACK"] = str(self.program)
        daemon.configure(daemon={"log_level": "debug", "stop_timeout": "1s"})
        self.scout = platform.create("scout")
        daemon.add(self.scout, **QUIET)
        self.n_plugins = 0
        self.spare()
        self.start()

    def start(self) -> None:
        self.daemon.start()
        self.daemon.wait_state("scout", "online")

    # ---- blows ----

    def spare(self) -> None:
        Path(f"{self.program}.how").write_text("none\n\n\n")

    def strike(self, task: str, options: str, victim: int | str = "") -> None:
        Path(f"{self.program}.how").write_text(f"{task}\n{options}\n{victim}\n")

    def calls(self) -> list[Call]:
        text = Path(f"{self.program}.trace").read_text()
        found = [LINE.match(line) for line in text.splitlines()]
        return [Call(match[1], match[2]) for match in found if match]

    def wait_removal(self, since: int) -> None:
        """Until what was retired is gone, or it was tried - or the daemon is killed for it."""
        try:
            self.daemon.wait_log(r"removed \.trash-|the next start tries again|Killed",
                                 since=since)
        except Failure:
            if self.daemon.process and self.daemon.process.poll() is None:
                raise

    # ---- plugins ----

    def publish(self, name: str, version: str) -> None:
        self.platform.publish(name, {path: data.replace(b"%b", name.encode())
                                     for path, data in FILES[version].items()})

    def prepare(self, story: Story) -> str:
        self.n_plugins += 1
        name = f"plugin-{self.n_plugins:04}"
        for version in story.before:
            self.publish(name, version)
            self.daemon.call("plugins.install", name=name)
        self.publish(name, "2")
        return name

    def forget(self, name: str) -> None:
        """Out of the way of those that come after it: helpers that end now, and what the daemon
        does about orphans then, would meet with the next blow."""
        shutil.rmtree(self.platform.plugins / name)
        since = len(self.daemon.log)
        try:
            self.daemon.call("plugins.remove", name=name)
        except RpcError as error:
            assert error.kind == "not_found", repr(error)
        else:
            self.wait_removal(since)

    def place(self, name: str) -> Path:
        return self.daemon.place(self.scout) / name

    def found(self, name: str) -> str:
        """The version that is there, by what is in its files; "": none. Never a mix."""
        current = self.place(name) / "current"
        if not current.is_symlink():
            return ""
        tree = current / "tree"
        there = {path.relative_to(tree).as_posix(): path.read_bytes()
                 for path in tree.rglob("*") if path.is_file()}
        for version, files in FILES.items():
            if there == {path: data.replace(b"%b", name.encode())
                         for path, data in files.items()}:
                return version
        raise AssertionError(f"{name} is a mix: {sorted(there)}")

    def row(self, name: str) -> dict[str, Any]:
        rows = self.daemon.call("plugins.list")["plugins"]
        return next((row for row in rows if row["name"] == name), {})

    def check(self, name: str, allowed: set[str]) -> None:
        """What is on disk is what the daemon says that it is."""
        found, row = self.found(name), self.row(name)
        assert found in allowed, f"{found!r} is none of {allowed}"
        assert row.get("version", "") == found, f"{found!r} is listed as {row}"
        if not found:
            return
        assert self.daemon.call("plugins.verify", name=name)["ok"]
        # A record that names a version before this one names one that is there.
        if row["previous"]:
            self.daemon.call("plugins.rollback", name=name)
            assert self.found(name) == row["previous"]["version"]
            self.daemon.call("plugins.rollback", name=name)
            assert self.found(name) == found

    def check_tidy(self) -> None:
        """After a start: nothing but what is installed, and the versions before."""
        rows = {row["name"]: row for row in self.daemon.call("plugins.list")["plugins"]}
        place = self.daemon.place(self.scout)
        assert {path.name for path in place.iterdir()} == set(rows)
        for name, row in rows.items():
            assert {path.name for path in (place / name).iterdir()} == {"current", "versions"}
            versions = [path.name for path in (place / name / "versions").iterdir()]
            assert len(versions) == (2 if row["previous"] else 1), (name, versions)
            for version in versions:
                inside = {path.name for path in (place / name / "versions" / version).iterdir()}
                assert inside == {"tree", "files", "record.json"}, (name, version, inside)


@dataclasses.dataclass(frozen=True)
class Story:
    """What is there before, what is done, and what may be there after it: done, or not."""

    before: str
    act: Callable[[Daemon, str], Any]
    done: str
    undone: str
    tasks: tuple[str, ...]      # of the helper, in order


def do(method: str) -> Callable[[Daemon, str], Any]:
    return lambda daemon, name: daemon.call(f"plugins.{method}", name=name)


STORIES = {
    "install": Story("", do("install"), "2", "", ("unpack", "activate")),
    "replace": Story("1", do("install"), "2", "1", ("unpack", "activate")),
    "roll back": Story("21", do("rollback"), "2", "1", ("activate",)),
    "remove": Story("1", do("remove"), "", "1", ("retire", "remove")),
}
PARTS = [(name, task) for name, story in STORIES.items() for task in story.tasks]


def parts(*fast: tuple[str, str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name, task", [
        pytest.param(name, task, marks=pytest.mark.fast if (name, task) in fast else ())
        for name, task in PARTS], ids=lambda value: value.replace(" ", "_"))


@pytest.fixture
def bench(platform: Platform, daemon: Daemon) -> Iterator[Bench]:
    yield Bench(platform, daemon)


# What strace is not to strike: before main() nothing of ours happens, and a call that the
# sandbox forbids is struck by the kernel.
SKIPPED = {"execve", "exit_group", "brk", "mmap", "munmap", "mprotect", "rt_sigaction",
           "rt_sigprocmask", "prctl", "seccomp", "arch_prctl"}


def points(bench: Bench, story: Story, task: str) -> list[Point]:
    """All calls of the helper from where it has put up its sandbox: what comes before touches
    nothing."""
    name = bench.prepare(story)
    bench.strike(task, "-e trace=all")
    since = len(bench.daemon.log)
    story.act(bench.daemon, name)
    if task == "remove":
        bench.daemon.wait_log(r"removed \.trash-", since=since)
    assert bench.found(name) == story.done
    calls = bench.calls()
    begin = max(i for i, call in enumerate(calls) if call.name == "seccomp"
                or (call.name == "prctl" and "PR_SET_SECCOMP" in call.rest))
    numbers: dict[str, int] = {}
    found = []
    for i, call in enumerate(calls):
        numbers[call.name] = numbers.get(call.name, 0) + 1
        if i > begin and call.name not in SKIPPED:
            found.append(Point(call.name, numbers[call.name], call.rest))
    assert len(found) > 5, calls
    bench.forget(name)
    return found


def tell(bench: Bench, story: Story, name: str) -> RpcError | Closed | None:
    try:
        story.act(bench.daemon, name)
        return None
    except (RpcError, Closed) as error:
        return error


class Blows:
    """How many have fallen: what comes through a pipe comes in more pieces or in fewer, so that
    some of the last calls of a story may not be there the next time."""

    def __init__(self, bench: Bench, sign: str):
        self.bench, self.sign = bench, sign
        self.struck = self.missed = 0

    def fell(self) -> bool:
        fell = self.sign in Path(f"{self.bench.program}.trace").read_text()
        self.struck += fell
        self.missed += not fell
        return fell

    def check(self) -> None:
        assert self.struck and self.missed <= max(1, self.struck // 5), (self.struck, self.missed)


def finish(bench: Bench, story: Story, name: str) -> None:
    """Once the fault is over, it can be done."""
    bench.spare()
    if bench.found(name) != story.done:
        story.act(bench.daemon, name)
    assert bench.found(name) == story.done
    bench.forget(name)


def blame(point: Point, what: str, why: Exception) -> AssertionError:
    return AssertionError(f"{what} at {point}: {why!r}")


@parts(("install", "activate"), ("replace", "activate"), ("remove", "retire"))
def test_power_fails_at_each_call(bench, name, task):
    """The helper and the daemon are killed at once."""
    story, blows = STORIES[name], Blows(bench, "killed by SIGKILL")
    for point in points(bench, story, task):
        plugin = bench.prepare(story)
        bench.strike(task, f"-e trace={point.name} -e {point.inject('signal=SIGKILL')}",
                     bench.daemon.pid)
        since = len(bench.daemon.log)
        error = tell(bench, story, plugin)
        if task == "remove" and error is None:
            bench.wait_removal(since)
        if blows.fell():
            assert bench.daemon.wait_exit() == -signal.SIGKILL, str(point)
        else:
            bench.daemon.stop()
        bench.spare()
        bench.start()
        try:
            # The helper for removal begins when the answer has been given.
            bench.check(plugin, {story.done} if error is None else {story.done, story.undone})
            bench.check_tidy()
            finish(bench, story, plugin)
        except Exception as why:
            raise blame(point, "killed with the daemon", why) from why
    blows.check()


@parts(("replace", "unpack"))
def test_the_helper_is_killed_at_each_call(bench, name, task):
    story, blows = STORIES[name], Blows(bench, "killed by SIGKILL")
    for point in points(bench, story, task):
        plugin = bench.prepare(story)
        bench.strike(task, f"-e trace={point.name} -e {point.inject('signal=SIGKILL')}")
        since = len(bench.daemon.log)
        error = tell(bench, story, plugin)
        if task == "remove":
            bench.wait_removal(since)
        blows.fell()
        try:
            assert not isinstance(error, Closed), "the daemon has ended"
            bench.check(plugin, {story.done} if error is None else {story.done, story.undone})
            finish(bench, story, plugin)
        except Exception as why:
            raise blame(point, "killed", why) from why
    blows.check()
    bench.daemon.restart()
    bench.check_tidy()


# What can come of which call: not every errno of every call.
ERRORS = {"openat2": {"EIO", "ENOSPC", "EMFILE"}, "mkdirat": {"EIO", "ENOSPC", "EDQUOT"},
          "write": {"EIO", "ENOSPC", "EDQUOT", "EINTR"}, "fsync": {"EIO", "ENOSPC", "EINTR"},
          "syncfs": {"EIO", "ENOSPC"}, "renameat": {"EIO", "ENOSPC"},
          "renameat2": {"EIO", "ENOSPC"}, "symlinkat": {"EIO", "ENOSPC", "EDQUOT"},
          "unlinkat": {"EIO"}, "fchmod": {"EIO"}, "utimensat": {"EIO"}, "flock": {"EINTR"},
          "read": {"EIO", "EINTR"}, "getdents64": {"EIO"}, "newfstatat": {"EIO"},
          "fstat": {"EIO"}, "readlinkat": {"EIO"}, "close": {"EIO", "EINTR"}}
# Such as it says nothing about: it goes on, or the plugin is as if that had not been tried.
KINDS = {"internal", "unavailable", "integrity", "too_large", "config", "not_found"}


def fail_at(bench: Bench, story: Story, task: str, point: Point, fault: str,
            blows: Blows) -> None:
    plugin = bench.prepare(story)
    bench.strike(task, f"-e trace={point.name} -e {fault}")
    since = len(bench.daemon.log)
    error = tell(bench, story, plugin)
    if task == "remove":
        bench.wait_removal(since)
    blows.fell()
    assert not isinstance(error, Closed), "the daemon has ended"
    if error:
        assert error.kind in KINDS, repr(error)
        assert re.match(r"cannot .+: .+", error.text), error.text
    bench.check(plugin, {story.done} if error is None else {story.done, story.undone})
    finish(bench, story, plugin)


def errors(bench: Bench, name: str, task: str, until: int, among: set[str] | None = None) -> None:
    story, blows = STORIES[name], Blows(bench, "(INJECTED")
    for point in points(bench, story, task):
        for errno in sorted(ERRORS.get(point.name, set())):
            if among and errno not in among:
                continue
            try:
                fail_at(bench, story, task, point, point.inject(f"error={errno}", until), blows)
            except Exception as why:
                raise blame(point, errno, why) from why
    blows.check()
    bench.daemon.restart()
    bench.check_tidy()


@parts()
def test_an_error_at_each_call(bench, name, task):
    errors(bench, name, task, 0)


@parts()
def test_an_error_from_each_call_on(bench, name, task):
    errors(bench, name, task, -1, {"EIO", "ENOSPC", "EMFILE"})


@parts(("replace", "activate"), ("remove", "retire"))
def test_a_full_disk_at_each_call(bench, name, task):
    errors(bench, name, task, 0, {"ENOSPC"})


# ---- the daemon's own calls ----

def own_points(bench: Bench, story: Story) -> list[Point]:
    name = bench.prepare(story)
    with Strace(bench.daemon.dir / "trace", pid=bench.daemon.pid, follow=False) as trace:
        story.act(bench.daemon, name)
    found = trace.points(bench.daemon.state / "workspaces")
    assert len(found) >= 1, trace.calls()
    bench.forget(name)
    return found


def struck(bench: Bench, story: Story, plugin: str, fault: str) -> RpcError | Closed | None:
    with Strace(bench.daemon.dir / "trace", fault, pid=bench.daemon.pid, follow=False):
        return tell(bench, story, plugin)


OWN = {"mkdirat": ["EIO", "ENOSPC"], "openat": ["EIO", "EMFILE"], "fchmod": ["EIO"],
       "newfstatat": ["EIO"], "readlinkat": ["EIO"], "unlinkat": ["EIO"], "fstat": ["EIO"]}


@pytest.mark.fast
@pytest.mark.parametrize("name", STORIES)
def test_the_daemon_is_killed_at_each_call_of_its_own(bench, name):
    story = STORIES[name]
    for point in own_points(bench, story):
        plugin = bench.prepare(story)
        error = struck(bench, story, plugin, point.inject("signal=SIGKILL"))
        if bench.daemon.process and bench.daemon.process.poll() is None and error is None:
            # It comes after the answer, if it comes.
            bench.daemon.kill()
        bench.daemon.wait_exit() if bench.daemon.process else None
        bench.start()
        try:
            bench.check(plugin, {story.done} if error is None else {story.done, story.undone})
            bench.check_tidy()
            finish(bench, story, plugin)
        except Exception as why:
            raise blame(point, "killed", why) from why


@pytest.mark.parametrize("name", STORIES)
def test_an_error_at_each_call_of_the_daemons_own(bench, name):
    story = STORIES[name]
    for point in own_points(bench, story):
        for errno in OWN.get(point.name, []):
            plugin = bench.prepare(story)
            error = struck(bench, story, plugin, point.inject(f"error={errno}"))
            try:
                assert not isinstance(error, Closed), "the daemon has ended"
                bench.check(plugin, {story.done} if error is None else {story.done, story.undone})
                finish(bench, story, plugin)
            except Exception as why:
                raise blame(point, errno, why) from why
    bench.daemon.restart()
    bench.check_tidy()


# ---- the order of things ----

@pytest.mark.fast
def test_all_of_it_lasts_before_it_counts(bench):
    """The files before the record, the record before the link, the link before the answer."""
    name = bench.prepare(STORIES["replace"])
    bench.strike("unpack", "-e trace=all")
    bench.daemon.call("plugins.install", name=name)
    names = [call.name for call in bench.calls()]
    said = max(i for i, call in enumerate(bench.calls()) if call.name == "write"
               and '{\\"done\\"' in call.rest)
    written = max(i for i, call in enumerate(bench.calls()) if call.name == "write"
                  and "/versions/" in call.rest)
    assert written < names.index("syncfs") < said

    bench.strike("activate", "-e trace=all")
    bench.publish(name, "1")
    bench.daemon.call("plugins.install", name=name)
    calls = bench.calls()
    order = [call.name for call in calls]
    record, link = [i for i, call in enumerate(calls) if call.name == "renameat"]
    [said] = [i for i, call in enumerate(calls) if call.name == "write"
              and '{\\"done\\"' in call.rest]
    assert "record.json" in calls[record].rest and '"current"' in calls[link].rest
    assert "fsync" in order[:record], "the record's bytes"
    synced = [calls[i].rest for i in range(record, link) if order[i] == "fsync"]
    assert any(re.search(r"/versions/[^/>]+>", text) for text in synced), "the record's name"
    assert any("/versions>" in text for text in synced), "the version's name"
    assert any(f"/{name}>" in text for text in synced)
    assert any("/plugins>" in text for text in synced), "the plugin's name"
    assert "fsync" in order[link:said]
    assert os.readlink(bench.place(name) / "current").startswith("versions/")
