# SPDX-License-Identifier: MIT
"""What was asked of the platform: a ring of requests that a test can wait on.

A request gets its number when it is answered (or when it is certain that it
never will be), so that a reader who remembers the last number misses none.
"""

from __future__ import annotations

import collections
import dataclasses
import fnmatch
import threading
import time
from typing import Any

from .wire import Request

BODY_KEPT = 64 << 10    # bytes of a body that are kept


class Record:
    """A request, as far as it is kept."""

    def __init__(self, request: Request, names: frozenset[str], endpoint: str,
                 connection: int):
        self.names = names              # the workspaces that it concerns
        self.endpoint = endpoint
        self.method, self.path = request.method, request.path
        self.seq = 0
        self.status: int | None = None
        self.outcome = "pending"        # then: answered, dropped, hanging
        self.fault: int | None = None
        self.answered = 0.0
        self._connection = connection
        self._arrived, self._target = request.arrived, request.target
        self._headers = request.headers
        self._body, self._body_bytes = request.body[:BODY_KEPT], len(request.body)
        self._peer_port, self._secure = request.peer[1], request.secure

    def show(self) -> dict[str, Any]:
        return {
            "seq": self.seq, "time": self._arrived, "answered": self.answered,
            "method": self.method, "path": self.path, "target": self._target,
            "endpoint": self.endpoint, "workspaces": sorted(self.names),
            "headers": [list(header) for header in self._headers],
            "body": self._body.decode("utf-8", "replace"), "body_bytes": self._body_bytes,
            "peer_port": self._peer_port, "connection": self._connection,
            "tls": self._secure, "status": self.status, "outcome": self.outcome,
            "fault": self.fault,
        }


@dataclasses.dataclass
class Filter:
    """Which records a reader wants; empty means any."""

    since: int = 0
    method: str = ""
    path: str = ""          # shell pattern
    endpoint: str = ""
    workspace: str = ""
    status: int | None = None

    def takes(self, record: Record) -> bool:
        return ((not self.method or record.method == self.method)
                and (not self.path or fnmatch.fnmatchcase(record.path, self.path))
                and (not self.endpoint or record.endpoint == self.endpoint)
                and (not self.workspace or self.workspace in record.names)
                and (self.status is None or record.status == self.status))


class Journal:
    def __init__(self, size: int):
        self._ring: collections.deque[Record] = collections.deque(maxlen=size)
        self._pending: dict[int, Record] = {}
        self._changed = threading.Condition()
        self._seq = 0

    @property
    def last(self) -> int:
        return self._seq

    def begin(self, record: Record) -> None:
        with self._changed:
            self._pending[id(record)] = record

    def settle(self, record: Record, outcome: str, status: int | None) -> None:
        with self._changed:
            if self._pending.pop(id(record), None) is None:
                record.outcome, record.status = outcome, status     # was hanging
                return
            self._seq += 1
            record.seq, record.outcome, record.status = self._seq, outcome, status
            record.answered = time.monotonic()
            self._ring.append(record)
            self._changed.notify_all()

    def pending(self) -> list[Record]:
        with self._changed:
            return list(self._pending.values())

    def clear(self) -> None:
        with self._changed:
            self._ring.clear()

    def _select(self, wanted: Filter) -> list[Record]:
        found = []
        for record in reversed(self._ring):
            if record.seq <= wanted.since:
                break
            if wanted.takes(record):
                found.append(record)
        return found[::-1]

    def read(self, wanted: Filter, count: int, wait_s: float) -> list[Record]:
        """Those that match; waits until there are count of them, or wait_s have passed."""
        deadline = time.monotonic() + wait_s
        with self._changed:
            while True:
                found = self._select(wanted)
                left = deadline - time.monotonic()
                if len(found) >= count or left <= 0:
                    return found
                self._changed.wait(left)
