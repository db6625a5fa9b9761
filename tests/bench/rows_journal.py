# SPDX-License-Identifier: MIT
"""What is measured on what has to be on disk before it is answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from report import Gate, Result, Rounds, number
from rows import Effort
from stage import Daemon, Stage, peers, request

CALLERS = 64
TASK = "Summarise what has changed since yesterday, and say what needs a decision. " * 3
COUNTED = {"jobs": 'molecule_store_jobs_total{result="ok"} ',
           "commits": 'molecule_store_commits_total{result="ok"} ',
           "answered": 'molecule_rpc_calls_total{method="delegation.create",result="ok"} '}


def filesystem(path: Path) -> str:
    """Of what type the file system is that the path is on."""
    best = max((line.split() for line in Path("/proc/self/mounts").read_text().splitlines()
                if path.is_relative_to(line.split()[1])), key=lambda words: len(words[1]))
    return best[2]


def syncs(stage: Stage, seconds: float, *options: str) -> Callable[[], dict[str, float]]:
    """On the disk of the journal: a page at a time."""
    return lambda: json.loads(stage.run(stage.ours("bench-sync"), "-t", str(int(seconds * 1000)), *options,
                                        stage.dir / "state" / "bench.pages"))


def counts(daemon: Daemon) -> dict[str, int]:
    lines = daemon.call("daemon.metrics")["text"].splitlines()
    return {name: sum(int(line.removeprefix(wanted)) for line in lines if line.startswith(wanted))
            for name, wanted in COUNTED.items()}


def creates(stage: Stage, daemon: Daemon, files: list[Path], seconds: float) -> Callable[[], dict[str, float]]:
    def measure() -> dict[str, float]:
        before = counts(daemon)
        sample = stage.load(daemon.path, *files, clients=len(files), seconds=seconds)
        after = {name: count - before[name] for name, count in counts(daemon).items()}
        # Each answer counted was a good one; those on their way at the end are no part of it.
        assert sample["n"] <= after["answered"] <= sample["n"] + len(files), (sample, after)
        return {**sample, "group": after["jobs"] / after["commits"],
                "commits": after["commits"] / sample["n"] * sample["rate"]}
    return measure


def delegations(stage: Stage, effort: Effort) -> Result:
    """Callers with a workspace each, on a platform that takes what it is handed and has done it."""
    names = [f"bench-{i:02d}" for i in range(CALLERS)]
    daemon = stage.daemon(names=names)
    to = peers(1)[0]["id"]
    files = {name: stage.file(f"{name}.request", request("delegation.create", workspace=name, to=to, task=TASK))
             for name in names}
    one = creates(stage, daemon, [files[names[0]]], effort.seconds * 2)
    all_of_them = creates(stage, daemon, list(files.values()), effort.seconds * 2)
    all_of_them()   # the first makes the database
    rounds = Rounds(effort.of(.7).rounds, {
        "fdatasync, behind the end": syncs(stage, effort.seconds),
        "fdatasync, over what is there": syncs(stage, effort.seconds, "-p", "1000"),
        "delegation.create, 1 caller": one, f"delegation.create, {CALLERS} callers": all_of_them})
    name = f"delegation.create, {CALLERS} callers"
    gates = [Gate(f"delegation.create, {CALLERS} callers, each on disk when it is answered",
                  rounds.median(name, "rate"), 2000, "/s", at_least=True)]
    keys = ("rate", "p50_us", "p99_us", "group", "commits", "cpu_us")
    lines = [[row, *(number(rounds.median(row, key)) if key in samples[0] else "" for key in keys)]
             for row, samples in rounds.samples.items()]
    return Result(f"delegation.create, on {filesystem(stage.dir)}",
                  ["", "a second", "p50 µs", "p99 µs", "in a commit", "commits/s", "daemon CPU µs"],
                  lines, gates, dict(rounds.samples),
                  ["In a commit: all jobs for the journal. A delegation is three: it is written, its task is read "
                   "to be sent, and what the platform says is written."])


JOURNAL_ROWS = {"delegations": delegations}
