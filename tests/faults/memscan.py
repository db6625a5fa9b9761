# SPDX-License-Identifier: MIT
"""Looks for words in the memory of a process.

    for copy in memscan.find(daemon.pid, token):
        print(copy)                 # where it is, and whether that is memory for secrets
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

RANGE = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)$")


@dataclasses.dataclass(frozen=True)
class Region:
    begin: int
    end: int
    mode: str
    name: str
    flags: frozenset[str]   # VmFlags of smaps: lo locked, dd not in a core file, wf wiped by a fork

    @property
    def is_arena(self) -> bool:
        return {"dd", "wf"} <= self.flags


@dataclasses.dataclass(frozen=True)
class Copy:
    word: str
    address: int
    region: Region
    around: bytes

    @property
    def in_arena(self) -> bool:
        return self.region.is_arena

    def __str__(self) -> str:
        place = "arena" if self.in_arena else self.region.name or "anonymous"
        return f"{self.word[:4]}... at {self.address:#x} ({place}): {self.around!r}"


def regions(pid: int) -> Iterator[Region]:
    head: re.Match[str] | None = None
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        found = RANGE.match(line)
        if found:
            head = found
        elif line.startswith("VmFlags:") and head:
            yield Region(int(head[1], 16), int(head[2], 16), head[3], head[4],
                         frozenset(line.split()[1:]))


def find(pid: int, *words: str) -> list[Copy]:
    copies = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for region in regions(pid):
            # io, pf: not memory of the process, as the kernel's clock is not.
            if "r" not in region.mode or region.flags & {"io", "pf"}:
                continue
            memory.seek(region.begin)
            data = memory.read(region.end - region.begin) or b""
            for word in words:
                at = data.find(word.encode())
                while at >= 0:
                    copies.append(Copy(word, region.begin + at, region,
                                       data[max(at - 40, 0):at + len(word) + 24]))
                    at = data.find(word.encode(), at + 1)
    return copies
