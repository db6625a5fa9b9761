# SPDX-License-Identifier: MIT
"""What an installation costs the daemon that everybody else is talking to."""

from __future__ import annotations

import gzip
import io
import os
import random
import re
import tarfile
import time
from pathlib import Path

from report import Gate, Result, Rounds, number
from rows import Effort
from rows_journal import filesystem
from stage import Daemon, Stage

FILES, FOLDERS, FILE_BYTES = 2000, 50, 11_000
TURN = "molecule_loop_turn_seconds"
LONG = "0.005"


def archive() -> bytes:
    """As large as a plugin may become before somebody asks why: half of it can be compressed."""
    chance, out = random.Random(1), io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files(chance):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(out.getvalue(), mtime=0)


def files(chance: random.Random) -> list[tuple[str, bytes]]:
    words = [bytes(chance.choices(b"abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(500)]
    found = [("plugin.yaml", b"name: large\nversion: '1'\n")]
    for i in range(FILES - 1):
        text = b" ".join(chance.choices(words, k=FILE_BYTES // 8 * 3 // 4))
        found.append((f"folder-{i % FOLDERS}/file-{i}.txt",
                      text + chance.randbytes(FILE_BYTES - len(text))))
    return found


def turns(daemon: Daemon) -> tuple[int, int]:
    """All of them, and the long ones."""
    text = daemon.call("daemon.metrics")["text"]

    def value(sample: str) -> int:
        found = re.search(rf"^{re.escape(sample)} (\d+)$", text, re.M)
        assert found, sample
        return int(found[1])

    n = value(f"{TURN}_count")
    return n, n - value(f'{TURN}_bucket{{le="{LONG}"}}')


def peak_mib(daemon: Daemon) -> float:
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{daemon.pid}/status").read_text(), re.M)
    assert found
    return int(found[1]) / 1024


def measure(daemon: Daemon) -> dict[str, float]:
    Path(f"/proc/{daemon.pid}/clear_refs").write_text("5")      # the peak begins anew
    rss, cpu, (n, long) = daemon.rss_mib(), daemon.cpu_s(), turns(daemon)
    began = time.monotonic()
    answer = daemon.call("plugins.install", name="large", report=False)
    wall = time.monotonic() - began
    assert answer["files"] == FILES, answer
    after_n, after_long = turns(daemon)
    return {"ms": wall * 1000, "cpu_ms": (daemon.cpu_s() - cpu) * 1000, "mib": peak_mib(daemon) - rss,
            "turns": after_n - n, "long": after_long - long}


def install(stage: Stage, effort: Effort) -> Result:
    packed = archive()
    daemon = stage.daemon()
    # Its helpers go where it may go: on one CPU they would take turns with it.
    os.sched_setaffinity(daemon.pid, range(os.cpu_count() or 1))
    stage.file("large.tar.gz", packed)
    rounds = Rounds(max(3, effort.of(.7).rounds), {"plugins.install": lambda: measure(daemon)})
    samples = rounds.samples["plugins.install"]
    worst = max(sample["mib"] for sample in samples)
    long = sum(sample["long"] for sample in samples)
    gates = [Gate("an installation, RSS of the daemon", worst, 1, "MiB"),
             Gate("turns of its loop longer than 5 ms meanwhile", long, 0)]
    keys = ("ms", "cpu_ms", "mib", "turns")
    return Result(f"A plugin of {FILES} files, {FILES * FILE_BYTES / 1e6:.0f} MB, "
                  f"{len(packed) / 1e6:.0f} MB packed, on {filesystem(stage.dir)}",
                  ["", "ms", "of the daemon's CPU", "its RSS + MiB, at most", "turns of its loop"],
                  [["plugins.install", *(number(worst if key == "mib" else rounds.median("plugins.install", key))
                                         for key in keys)]], gates, dict(rounds.samples),
                  ["From the call to its answer: fetched, unpacked, checked, on disk. The work is the helper's. "
                   "The longest turns are those that start it: they last until it has begun."])


PLUGIN_ROWS = {"install": install}
