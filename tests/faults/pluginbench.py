# SPDX-License-Identifier: MIT
"""A daemon whose helpers can be struck at a system call of theirs, and plugins to do it with.

Who unpacks is three processes: the keeper, which writes; the reader, which reads the
archive; and the flusher, which brings to the disk what has been written. Each of them
is looked at and struck for itself: strace counts for each process alike, and would
strike them all.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

from harness import QUIET, Daemon, Failure, Platform, RpcError, build_dir
from strace import Call

LARGE = hashlib.shake_128(b"a plugin").digest(9 << 20)  # more than the flusher waits for
FILES = {"1": {"plugin.yaml": b"name: %b\nversion: 1\n", "a": b"one", "d/b.sh": b"#!/bin/sh\n"},
         "2": {"plugin.yaml": b"name: %b\nversion: 2\n", "a": b"two", "e/c": b"more"},
         "large": {"plugin.yaml": b"name: %b\nversion: large\n", "a": LARGE}}
KEEPER, READER, FLUSHER = range(3)
LINE = re.compile(r"^(\w+)\((.*)$")

WRAPPER = """#!/bin/sh
how={path}.how pid={path}.pid
{{ read -r task; read -r child; read -r options; read -r victim; }} <"$how"
[ "$1" = "$task" ] || exec {real} "$@"
# Once: what is done about it is not to be struck, too.
echo none >"$how"
rm -f "$pid"
if [ "$child" = 0 ]; then
	strace -qq -y -o {path}.trace $options {real} "$@"
	status=$?
else
	exec 9<&0
	FORKSTOP="$child $pid" LD_PRELOAD={forkstop} {real} "$@" <&9 9<&- &
	helper=$!
	until [ -s "$pid" ]; do kill -0 $helper || exit; sleep 0.002; done
	read -r child <"$pid"
	# Told to go on before it stands still, it would stand still for ever.
	until grep -q "^State:.T" /proc/$child/status; do sleep 0.002; done
	strace -qq -y -o {path}.trace $options -p "$child" >/dev/null &
	until grep -q "^TracerPid:.*[1-9]" /proc/$child/status; do sleep 0.002; done
	kill -CONT "$child"
	rm "$pid"
	wait $helper
	status=$?
	wait
fi
[ -z "$victim" ] || [ "$status" -lt 128 ] || kill -9 "$victim"
exit $status
"""


def wrapper(path: Path, real: str) -> None:
    """A program in the helper's place: runs it as the file `how` says.

    `how` has four lines: for which task, which of its processes, the options of strace, and a
    pid that dies with it.
    """
    library = build_dir() / "tests" / "faults" / "libforkstop.so"
    assert library.exists(), f"there is no {library}"
    path.write_text(WRAPPER.format(path=shlex.quote(str(path)), real=shlex.quote(real),
                                   forkstop=shlex.quote(str(library))))
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
        Path(f"{self.program}.how").write_text("none\n\n\n\n")

    def strike(self, task: str, options: str, victim: int | str = "", who: int = KEEPER) -> None:
        Path(f"{self.program}.trace").unlink(missing_ok=True)
        Path(f"{self.program}.how").write_text(f"{task}\n{who}\n{options}\n{victim}\n")

    def calls(self) -> list[Call]:
        text = Path(f"{self.program}.trace").read_text()
        found = [LINE.match(line) for line in text.splitlines()]
        return [Call(match[1], match[2]) for match in found if match]

    def stands_still(self) -> bool:
        """Whether a SIGSTOP has fallen."""
        trace = Path(f"{self.program}.trace")
        return trace.exists() and "--- stopped by SIGSTOP ---" in trace.read_text()

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
        self.publish(name, story.offered)
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
    method: str
    done: str
    undone: str
    tasks: tuple[str, ...]      # of the helper, in order
    offered: str = "2"          # by the platform

    def act(self, daemon: Daemon, name: str) -> Any:
        return daemon.call(f"plugins.{self.method}", name=name)


STORIES = {
    "install": Story("", "install", "2", "", ("unpack", "activate")),
    "replace": Story("1", "install", "2", "1", ("unpack", "activate")),
    "roll back": Story("21", "rollback", "2", "1", ("activate",)),
    "remove": Story("1", "remove", "", "1", ("retire", "remove")),
    "large": Story("", "install", "large", "", ("unpack",), "large"),
}
