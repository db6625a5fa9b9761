# SPDX-License-Identifier: MIT
"""What an installation costs the daemon that everybody else is talking to, and how fast it is."""

from __future__ import annotations

import contextlib
import ctypes
import gzip
import io
import json
import os
import random
import re
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

from report import Gate, Result, Rounds, number
from rows import Effort
from rows_journal import filesystem
from stage import HERE, Daemon, Stage, program, wait_until

FILES, FOLDERS, FILE_BYTES = 2000, 50, 11_000
TURN = "molecule_loop_turn_seconds"
LONG = "0.005"


def archive(content: Callable[[random.Random], list[tuple[str, bytes]]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in content(random.Random(1)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(out.getvalue(), mtime=0)


def files(chance: random.Random) -> list[tuple[str, bytes]]:
    """As large as a plugin may become before somebody asks why: half of it can be compressed."""
    words = [bytes(chance.choices(b"abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(500)]
    found = [("plugin.yaml", b"name: large\nversion: '1'\n")]
    for i in range(FILES - 1):
        text = b" ".join(chance.choices(words, k=FILE_BYTES // 8 * 3 // 4))
        found.append((f"folder-{i % FOLDERS}/file-{i}.txt",
                      text + chance.randbytes(FILE_BYTES - len(text))))
    return found


def texts(chance: random.Random) -> list[tuple[str, bytes]]:
    """The same as text, which packs to a quarter, folder by folder as the platform packs it."""
    words = [bytes(chance.choices(b"abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 11))) for _ in range(300)]
    found = [(f"folder-{i % FOLDERS}/file-{i}.txt", b" ".join(chance.choices(words, k=FILE_BYTES // 5))[:FILE_BYTES])
             for i in range(FILES - 1)]
    return sorted([("plugin.yaml", b"name: large\nversion: '1'\n"), *found])


def turns(daemon: Daemon) -> tuple[int, int]:
    """All of them, and the long ones."""
    text = daemon.call("daemon.metrics")["text"]

    def value(sample: str) -> int:
        found = re.search(rf"^{re.escape(sample)} (\d+)$", text, re.M)
        assert found, sample
        return int(found[1])

    n = value(f"{TURN}_count")
    return n, n - value(f'{TURN}_bucket{{le="{LONG}"}}')


def peak_mib(pid: int) -> float:
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
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
    return {"ms": wall * 1000, "cpu_ms": (daemon.cpu_s() - cpu) * 1000, "mib": peak_mib(daemon.pid) - rss,
            "turns": after_n - n, "long": after_long - long}


def install(stage: Stage, effort: Effort) -> Result:
    packed = archive(files)
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
                  ["From the call to its answer: fetched, unpacked, checked, on disk. The work is the helper's."])


def own_filesystem(stage: Stage) -> Path:
    """An ext4 that nobody else writes to, on a loop device over memory; where none can be mounted, the stage.

    Where others have just deleted files, making 2,000 takes ten times as long, since ext4 looks for
    inodes that were not freed lately; and syncfs() waits for what others have written, too.
    """
    image, place = Path(f"/dev/shm/{stage.dir.name}.ext4"), stage.dir / "own"
    place.mkdir()
    stage.exits.callback(image.unlink, missing_ok=True)
    try:
        with image.open("wb") as empty:
            empty.truncate(4 << 30)
        made = ["mkfs.ext4", "-q", "-F", "-N", "400000", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image)]
        for command in (made, ["mount", "-o", "loop", str(image), str(place)]):
            subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return stage.dir
    stage.exits.callback(subprocess.run, ["umount", str(place)], check=True)
    return place


class Unpacking:
    """An archive, a fresh directory for everyone who unpacks it, and what it took. Nothing is deleted meanwhile."""

    def __init__(self, stage: Stage):
        self.stage, self.packed = stage, archive(texts)
        self.place = own_filesystem(stage)
        self.path = stage.file("large.tar.gz", self.packed)
        self.count = 0

    def folder(self) -> Path:
        self.count += 1
        path = self.place / f"unpacked-{self.count}"
        path.mkdir()
        return path

    def run(self, command: list[str | Path], cpus: set[int], folder: Path) -> tuple[float, bytes]:
        """With the archive as standard input and the folder as descriptor 3. Milliseconds, and what it says.

        Ahead of everybody else, where one may: two processes that wait for each other lose more to
        others' load than one does.
        """
        descriptor = os.open(folder, os.O_RDONLY)
        # Nobody is to bring to the disk what the one before has left in memory.
        if ctypes.CDLL(None).syncfs(descriptor):
            raise OSError("syncfs")

        def prepare() -> None:
            os.sched_setaffinity(0, cpus)
            with contextlib.suppress(OSError):
                os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
            os.dup2(descriptor, 3)
            os.set_inheritable(3, True)

        began = time.monotonic()
        with self.path.open("rb") as packed:
            done = subprocess.run([str(word) for word in command], stdin=packed, stdout=subprocess.PIPE, check=True,
                                  close_fds=False, preexec_fn=prepare)
        took = time.monotonic() - began
        os.close(descriptor)
        return 1000 * took, done.stdout

    def bound(self) -> dict[str, float]:
        folder = self.folder()
        command = [self.stage.ours("bench-unpack"), self.path, folder, str(FILES), str(FOLDERS), str(FILE_BYTES)]
        took = json.loads(self.run(command, {HERE}, folder)[1])
        return {**took, "ms": took["inflate_ms"] + took["create_ms"]}

    def helper(self) -> list[str | Path]:
        return [self.stage.ours("molecule-unpack"), "unpack", "--name", "large"]

    def ours(self, cpus: set[int]) -> dict[str, float]:
        return {"ms": self.run(self.helper(), cpus, self.folder())[0]}

    def tar(self, cpus: set[int], more: str = "") -> dict[str, float]:
        folder = self.folder()
        command = ["/bin/sh", "-c", f"{program('tar')} xzf - -C {folder}{more and ' && ' + more + ' ' + str(folder)}"]
        return {"ms": self.run(command, cpus, folder)[0]}

    def python(self) -> dict[str, float]:
        folder = self.folder()
        script = Path(__file__).with_name("sdk-unpack.py")
        return json.loads(self.run(["/usr/bin/python3", "-B", script, self.path, folder], {HERE}, folder)[1])

    def memory(self) -> dict[str, float]:
        """The peak of each of its processes, with nearly all unpacked and the end still to come."""
        folder = self.folder()
        descriptor = os.open(folder, os.O_RDONLY)

        def prepare() -> None:
            os.dup2(descriptor, 3)
            os.set_inheritable(3, True)

        with subprocess.Popen(self.helper(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, close_fds=False,
                              preexec_fn=prepare) as process:
            assert process.stdin
            process.stdin.write(self.packed[:-8])
            process.stdin.flush()
            late = f"folder-9/file-{FOLDERS + 9}.txt"     # what is behind the last folder's first waits in buffers
            wait_until((folder / "tree" / late).exists, "one of the last files")
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            peaks = [peak_mib(int(pid)) for pid in (process.pid, *children)]
            process.stdin.write(self.packed[-8:])
            process.stdin.close()
            assert process.wait() == 0
        os.close(descriptor)
        return dict(zip(("writes", "reads", "flushes"), peaks, strict=True))


def unpack(stage: Stage, effort: Effort) -> Result:
    unpacking = Unpacking(stage)
    one, every = {HERE}, set(range(os.cpu_count() or 1))
    rounds = Rounds(max(3, effort.of(.7).rounds), {
        "inflate + create": unpacking.bound,
        "molecule-unpack": lambda: unpacking.ours(every),
        "molecule-unpack, one CPU": lambda: unpacking.ours(one),
        "GNU tar xzf": lambda: unpacking.tar(every),
        "GNU tar xzf, then sync -f": lambda: unpacking.tar(every, "sync -f"),
        "GNU tar xzf, one CPU": lambda: unpacking.tar(one),
        "Python, the SDK's steps": unpacking.python})
    memory = unpacking.memory()
    ours = rounds.ratio("molecule-unpack", "inflate + create", "ms")
    gates = [Gate("unpacking 2,000 files, of inflate + create", ours, 1.25),
             Gate("its processes, RSS of the larger", max(memory.values()), 8, "MiB")]
    lines = [[name, number(rounds.median(name, "ms")), number(rounds.best(name, "ms")),
              number(rounds.ratio(name, "inflate + create", "ms") or 0)] for name in rounds.samples]
    where = filesystem(unpacking.place) + (", of its own, in memory" if unpacking.place != stage.dir else "")
    notes = [
        "RSS at its peak, of what " + ", ".join(f"{what}: {number(mib)} MiB" for what, mib in memory.items()) +
        "; most of it is the libraries', and shared.",
        "molecule-unpack hashes every file, and has all on the disk when it ends; tar does neither, unless sync is "
        "there. Python is timed without its start, and without any sync."]
    return Result(f"Unpacking {FILES} files, {FILES * FILE_BYTES / 1e6:.0f} MB, "
                  f"{len(unpacking.packed) / 1e6:.1f} MB packed, on {where}",
                  ["", "median ms", "best ms", "of inflate + create"], lines, gates,
                  {"rounds": rounds.samples, "memory": memory}, notes)


PLUGIN_ROWS = {"install": install, "unpack": unpack}
