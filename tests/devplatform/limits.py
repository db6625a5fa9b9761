# SPDX-License-Identifier: MIT
"""So many requests in a fixed window, for each key."""

from __future__ import annotations

import dataclasses
import math
import threading
import time


@dataclasses.dataclass
class Verdict:
    allowed: bool
    limit: int
    remaining: int
    reset_s: int

    def headers(self) -> list[tuple[str, str]]:
        return [("X-RateLimit-Limit", str(self.limit)),
                ("X-RateLimit-Remaining", str(self.remaining)),
                ("X-RateLimit-Reset", str(self.reset_s))]


class RateLimit:
    def __init__(self, limit: int, window_s: float = 60.0):
        self.limit = limit
        self._window_s = window_s
        self._lock = threading.Lock()
        self._windows: dict[str, tuple[float, int]] = {}

    def take(self, key: str) -> Verdict:
        now = time.monotonic()
        with self._lock:
            ends, used = self._windows.get(key, (0.0, 0))
            if now >= ends:
                ends, used = now + self._window_s, 0
            allowed = used < self.limit
            used += allowed
            self._windows[key] = (ends, used)
        return Verdict(allowed, self.limit, self.limit - used, math.floor(ends - now))
