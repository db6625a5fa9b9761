# SPDX-License-Identifier: MIT
"""Each system call by which a plugin is installed, replaced, rolled back or removed: killed at it,
and failing at it.

What touches the disk is done by molecule-unpack, a few directories by the daemon itself. A story
is told once under strace, which gives its points; then again for each of them, with a blow there:

    the helper is killed          or one of its processes: the daemon answers, cleans up, goes on
    helper and daemon are killed  as by a loss of power; the next start cleans up
    the daemon is killed          and the helper goes on without it, or beside the next one
    the call fails                for once, or from then on

After each: what is installed is the old version or the new one, whole, or, where there was none,
none; never a mix. What was acknowledged is there. Nothing is left over after the next start, and
what was asked for can be done then.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Closed, Daemon, Platform, RpcError
from pluginbench import FLUSHER, KEEPER, READER, STORIES, Bench, Story
from strace import Call, Point, Strace, deaths
from tally import Tally
from wire import wait_until

pytestmark = [pytest.mark.dev_platform, pytest.mark.plain, pytest.mark.usefixtures("strace")]

PROCESSES = {KEEPER: "keeper", READER: "reader", FLUSHER: "flusher"}
PARTS = [(name, task, KEEPER) for name, story in STORIES.items() for task in story.tasks
         if name != "large"]
# What they do depends on nothing but the archive.
CHILDREN = [("install", "unpack", READER), ("large", "unpack", FLUSHER)]


def parts(among: list[tuple[str, str, int]], *fast: tuple[str, str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name, task, who", [
        pytest.param(name, task, who, marks=pytest.mark.fast if (name, task) in fast else (),
                     id=f"{name}-{task}-{PROCESSES[who]}".replace(" ", "_"))
        for name, task, who in among])


@pytest.fixture
def bench(platform: Platform, daemon: Daemon) -> Iterator[Bench]:
    yield Bench(platform, daemon)


# What strace is not to strike: before main() nothing of ours happens, and a call that the
# sandbox forbids is struck by the kernel.
SKIPPED = {"execve", "exit_group", "brk", "mmap", "munmap", "mprotect", "rt_sigaction",
           "rt_sigprocmask", "prctl", "seccomp", "arch_prctl"}


def record(bench: Bench, story: Story, task: str, who: int) -> list[Call]:
    """What one of the helper's processes calls when nothing fails."""
    name = bench.prepare(story)
    bench.strike(task, "-e trace=all", who=who)
    since = len(bench.daemon.log)
    story.act(bench.daemon, name)
    if task == "remove":
        bench.daemon.wait_log(r"removed \.trash-", since=since)
    assert bench.found(name) == story.done
    bench.forget(name)
    return bench.calls()


DOES = {KEEPER: "write", READER: "write", FLUSHER: "syncfs"}


def points(bench: Bench, story: Story, task: str, who: int = KEEPER) -> list[Point]:
    """All calls of one of the helper's processes from where it does something of its own: from
    where it makes others, or has put up its sandbox; or the first one on, if it is made itself."""
    # The flusher is ended when all is done, and may not have come to anything yet.
    for _ in range(10):
        calls = record(bench, story, task, who)
        if DOES[who] in [call.name for call in calls]:
            break
    else:
        raise AssertionError(f"no {DOES[who]} in {calls}")
    begin = 0
    if who == KEEPER:
        begin = next((i for i, call in enumerate(calls) if call.name == "pipe2"), 0) or max(
            i + 1 for i, call in enumerate(calls) if call.name == "seccomp"
            or (call.name == "prctl" and "PR_SET_SECCOMP" in call.rest))
    numbers: dict[str, int] = {}
    found = []
    for i, call in enumerate(calls):
        numbers[call.name] = numbers.get(call.name, 0) + 1
        if i >= begin and call.name not in SKIPPED:
            found.append(Point(call.name, numbers[call.name], call.rest))
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

    def __init__(self, bench: Bench, tally: Tally):
        self.bench, self.tally = bench, tally
        self.struck = self.missed = 0

    def fell(self, point: Point) -> bool:
        """Whether it has come to that call."""
        fell = [call.name for call in self.bench.calls()].count(point.name) >= point.number
        self.tally.add()
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


@parts(PARTS, ("install", "activate"), ("replace", "activate"), ("remove", "retire"))
def test_power_fails_at_each_call(bench, tally, name, task, who):
    """The helper and the daemon are killed at once."""
    story, blows = STORIES[name], Blows(bench, tally)
    for point in deaths(points(bench, story, task)):
        plugin = bench.prepare(story)
        bench.strike(task, f"-e trace={point.name} -e {point.inject('signal=SIGKILL')}",
                     bench.daemon.pid)
        since = len(bench.daemon.log)
        error = tell(bench, story, plugin)
        if task == "remove" and error is None:
            bench.wait_removal(since)
        if blows.fell(point):
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


@parts(PARTS + CHILDREN, ("replace", "unpack"))
def test_the_helper_is_killed_at_each_call(bench, tally, name, task, who):
    """All of it, or only who reads or flushes: that is then the keeper's to hear of."""
    story, blows = STORIES[name], Blows(bench, tally)
    found = points(bench, story, task, who)
    for point in found if who != KEEPER else deaths(found):
        plugin = bench.prepare(story)
        bench.strike(task, f"-e trace={point.name} -e {point.inject('signal=SIGKILL')}", who=who)
        since = len(bench.daemon.log)
        error = tell(bench, story, plugin)
        if task == "remove":
            bench.wait_removal(since)
        fell = blows.fell(point)
        try:
            assert not isinstance(error, Closed), "the daemon has ended"
            # Nothing but time depends on the flusher; and all on the reader, but not its last call.
            assert not (who == FLUSHER and error), repr(error)
            assert not (who == READER and fell and point != found[-1]) or error
            bench.check(plugin, {story.done} if error is None else {story.done, story.undone})
            finish(bench, story, plugin)
        except Exception as why:
            raise blame(point, "killed", why) from why
    blows.check()
    bench.daemon.restart()
    bench.check_tidy()


def helper_below(parent: int) -> int:
    """0: there is none."""
    for task in Path(f"/proc/{parent}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            if Path(f"/proc/{child}/comm").read_text() == "molecule-unpack\n":
                return child
            if found := helper_below(child):
                return found
    return 0


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("beside", [False, True], ids=["without_a_daemon", "beside_the_next"])
@parts([part for part in PARTS if part[0] in ("replace", "remove")])
def test_the_daemon_is_killed_and_the_helper_goes_on(bench, tally, name, task, who, beside):
    """From each of its calls that change something."""
    story = STORIES[name]
    for point in deaths(points(bench, story, task)):
        plugin = bench.prepare(story)
        bench.strike(task, f"-e trace={point.name} -e {point.inject('signal=SIGSTOP')}")
        client, pid = bench.daemon.connect(), bench.daemon.pid
        client.send(f"plugins.{story.method}", name=plugin)
        wait_until(bench.stands_still, f"the helper is at {point}")
        helper = helper_below(pid)
        try:
            bench.daemon.kill(children=True)
            bench.spare()
            if beside:
                bench.start()
                asked = bench.daemon.connect()
                number = asked.send("plugins.list")
            os.kill(helper, signal.SIGCONT)
            wait_until(lambda: is_gone(helper), "the helper has ended")
            if beside:
                assert asked.answer(number)["plugins"] is not None
                bench.daemon.stop()
            bench.start()
            tally.add()
            bench.check(plugin, {story.done, story.undone})
            bench.check_tidy()
            finish(bench, story, plugin)
        except Exception as why:
            raise blame(point, "the daemon killed", why) from why
        finally:
            if not is_gone(helper):
                os.kill(helper, signal.SIGKILL)


# What can come of which call: not every errno of every call.
ERRORS = {"openat2": {"EIO", "ENOSPC", "EMFILE"}, "mkdirat": {"EIO", "ENOSPC", "EDQUOT"},
          "write": {"EIO", "ENOSPC", "EDQUOT", "EINTR"}, "fsync": {"EIO", "ENOSPC", "EINTR"},
          "syncfs": {"EIO", "ENOSPC"}, "renameat": {"EIO", "ENOSPC"},
          "renameat2": {"EIO", "ENOSPC"}, "symlinkat": {"EIO", "ENOSPC", "EDQUOT"},
          "unlinkat": {"EIO"}, "fchmod": {"EIO"}, "utimensat": {"EIO"}, "flock": {"EINTR"},
          "read": {"EIO", "EINTR"}, "getdents64": {"EIO"}, "newfstatat": {"EIO"},
          "fstat": {"EIO"}, "readlinkat": {"EIO"}, "close": {"EIO", "EINTR"},
          "pipe2": {"EMFILE"}, "clone": {"EAGAIN", "ENOMEM"}, "dup2": {"EMFILE"},
          "openat": {"EIO", "EMFILE"}}
# Such as it says nothing about: it goes on, or the plugin is as if that had not been tried.
KINDS = {"internal", "unavailable", "integrity", "too_large", "config", "not_found"}


def fail_at(bench: Bench, story: Story, task: str, who: int, point: Point, fault: str,
            blows: Blows) -> None:
    plugin = bench.prepare(story)
    bench.strike(task, f"-e trace={point.name} -e {fault}", who=who)
    since = len(bench.daemon.log)
    error = tell(bench, story, plugin)
    if task == "remove":
        bench.wait_removal(since)
    blows.fell(point)
    assert not isinstance(error, Closed), "the daemon has ended"
    assert not (who == FLUSHER and error), repr(error)
    if error:
        assert error.kind in KINDS, repr(error)
        assert re.match(r"cannot .+: .+", error.text), error.text
    bench.check(plugin, {story.done} if error is None else {story.done, story.undone})
    finish(bench, story, plugin)


def errors(bench: Bench, tally: Tally, part: tuple[str, str, int], until: int,
           among: set[str] | None = None) -> None:
    name, task, who = part
    story, blows = STORIES[name], Blows(bench, tally)
    for point in points(bench, story, task, who):
        for errno in sorted(ERRORS.get(point.name, set())):
            if among and errno not in among:
                continue
            try:
                fail_at(bench, story, task, who, point, point.inject(f"error={errno}", until), blows)
            except Exception as why:
                raise blame(point, errno, why) from why
    blows.check()
    bench.daemon.restart()
    bench.check_tidy()


@parts(PARTS + CHILDREN)
def test_an_error_at_each_call(bench, tally, name, task, who):
    """A full disk is below."""
    errors(bench, tally, (name, task, who), 0, {"EIO", "EINTR", "EDQUOT", "EMFILE", "EAGAIN", "ENOMEM"})


@parts(PARTS + CHILDREN)
def test_an_error_from_each_call_on(bench, tally, name, task, who):
    errors(bench, tally, (name, task, who), -1, {"EIO", "ENOSPC", "EMFILE"})


@parts(PARTS, ("replace", "activate"), ("remove", "retire"))
def test_a_full_disk_at_each_call(bench, tally, name, task, who):
    errors(bench, tally, (name, task, who), 0, {"ENOSPC"})


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


OWN_STORIES = [name for name in STORIES if name != "large"]
OWN = {"mkdirat": ["EIO", "ENOSPC"], "openat": ["EIO", "EMFILE"], "fchmod": ["EIO"],
       "newfstatat": ["EIO"], "readlinkat": ["EIO"], "unlinkat": ["EIO"], "fstat": ["EIO"],
       "fcntl": ["EMFILE"]}


@pytest.mark.fast
@pytest.mark.parametrize("name", OWN_STORIES)
def test_the_daemon_is_killed_at_each_call_of_its_own(bench, tally, name):
    story = STORIES[name]
    for point in own_points(bench, story):
        plugin = bench.prepare(story)
        error = struck(bench, story, plugin, point.inject("signal=SIGKILL"))
        tally.add()
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


@pytest.mark.parametrize("name", OWN_STORIES)
def test_an_error_at_each_call_of_the_daemons_own(bench, tally, name):
    story = STORIES[name]
    for point in own_points(bench, story):
        for errno in OWN.get(point.name, []):
            plugin = bench.prepare(story)
            error = struck(bench, story, plugin, point.inject(f"error={errno}"))
            tally.add()
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
