# SPDX-License-Identifier: MIT
"""Takes memory from a daemon that runs: see nthmalloc.c.

    scarcity = Scarcity(daemon)
    daemon.start(env=scarcity.env)
    with scarcity.at(5):                # the fifth allocation fails; forever=True: and all after it
        daemon.call(…)
    assert scarcity.failed == 1
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from harness import Daemon, build_dir

ORDER = struct.Struct("=qqqq")      # at, forever, counted, failed


class Scarcity:
    def __init__(self, daemon: Daemon):
        path = daemon.dir / "nthmalloc"
        path.write_bytes(bytes(4096))
        with open(path, "r+b") as file:
            self._order = mmap.mmap(file.fileno(), 4096)
        library = build_dir() / "tests" / "faults" / "libnthmalloc.so"
        assert library.exists(), f"there is no {library}"
        self.env = {"LD_PRELOAD": str(library), "NTHMALLOC": str(path)}

    def arm(self, number: int, forever: bool = False) -> None:
        # The number last: it is what starts the counting.
        ORDER.pack_into(self._order, 0, 0, forever, 0, 0)
        struct.pack_into("=q", self._order, 0, number)

    def disarm(self) -> None:
        struct.pack_into("=q", self._order, 0, 0)

    @contextmanager
    def at(self, number: int, forever: bool = False) -> Iterator[None]:
        self.arm(number, forever)
        try:
            yield
        finally:
            self.disarm()

    @property
    def counted(self) -> int:
        return ORDER.unpack_from(self._order)[2]

    @property
    def failed(self) -> int:
        return ORDER.unpack_from(self._order)[3]
