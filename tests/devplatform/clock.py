# SPDX-License-Identifier: MIT
"""The platform's notion of time, which a test may shift."""

from __future__ import annotations

import time


class Clock:
    def __init__(self) -> None:
        self.shift_s = 0.0

    def now(self) -> float:
        """In whole microseconds, so that a time survives being printed and read."""
        return round(time.time() + self.shift_s, 6)

    def unix_ms(self) -> int:
        return int(self.now() * 1000)
