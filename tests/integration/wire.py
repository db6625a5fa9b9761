# SPDX-License-Identifier: MIT
"""A connection as it is on the wire, for tests that look at each byte of it.

    wire.send(request(1, "daemon.info"))
    wire.line()                                 # the bytes of a line, without its end
    wire.message()                              # the same as JSON
    wire.rest()                                 # all that still comes until the end
"""

from __future__ import annotations

import json
import os
import select
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from harness.client import PATIENCE_S


def request(ident: Any, method: str, params: Any = None) -> bytes:
    value = {"jsonrpc": "2.0", "id": ident, "method": method}
    return json.dumps({**value, "params": params} if params is not None else value).encode()


def notification(method: str, params: Any = None) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "method": method, "params": params or {}}).encode()


def info(ident: Any = 1) -> bytes:
    """A call that works, whatever there is."""
    return request(ident, "daemon.info")


def with_id(text: str) -> bytes:
    """The same with an id that is written so."""
    return b'{"jsonrpc":"2.0","method":"daemon.info","id":' + text.encode() + b"}"


def framed(body: bytes, end: bytes = b"\r\n") -> bytes:
    return b"Content-Length: %d" % len(body) + end + end + body


class Wire:
    def __init__(self, path: Path | str):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(str(path))
        self._input = b""

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, *pieces: bytes) -> None:
        """Each in a write of its own."""
        for piece in pieces:
            self.socket.sendall(piece)

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def _more(self) -> bool:
        data = self.socket.recv(65536)
        self._input += data
        return bool(data)

    def line(self) -> bytes:
        while b"\n" not in self._input:
            assert self._more(), f"closed before the end of a line: {self._input!r}"
        line, _, self._input = self._input.partition(b"\n")
        return line

    def message(self) -> Any:
        return json.loads(self.line())

    def frame(self) -> Any:
        """A message behind a Content-Length header."""
        while b"\r\n\r\n" not in self._input:
            assert self._more(), f"closed before the end of a header: {self._input!r}"
        head, _, self._input = self._input.partition(b"\r\n\r\n")
        name, _, length = head.partition(b": ")
        assert name == b"Content-Length", head
        while len(self._input) < int(length):
            assert self._more(), f"closed within a body: {self._input!r}"
        body, self._input = self._input[:int(length)], self._input[int(length):]
        return json.loads(body)

    def rest(self) -> bytes:
        """Until the daemon closes the connection."""
        while self._more():
            pass
        return self._input

    def line_or_end(self) -> bytes:
        """The next line; empty when the daemon closes the connection instead."""
        while b"\n" not in self._input and self._more():
            pass
        line, _, self._input = self._input.partition(b"\n")
        return line

    def is_quiet(self) -> bool:
        """Whether nothing waits to be read."""
        return not self._input and not select.select([self.socket], [], [], 0)[0]

    def sync(self, ident: str = "sync") -> list[Any]:
        """All that comes before the answer to a call made now, which is not among it."""
        self.send(info(ident) + b"\n")
        return self.until(ident)

    def until(self, ident: Any) -> list[Any]:
        messages = []
        while True:
            message = self.message()
            if isinstance(message, dict) and message.get("id") == ident and "result" in message:
                return messages
            messages.append(message)

    def fill(self, data: bytes) -> int:
        """Writes it until the daemon reads no more, for half a second; how much went out."""
        sent = 0
        self.socket.setblocking(False)
        while sent < len(data) and select.select([], [self.socket], [], 0.5)[1]:
            try:
                sent += self.socket.send(data[sent:sent + 65536])
            except BlockingIOError:
                # Room for less than a write of this size.
                break
        self.socket.settimeout(PATIENCE_S)
        return sent


def rss_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError(f"process {pid} has no memory")


def descriptors(pid: int) -> int:
    """How many a process has open."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except PermissionError:
        # The daemon cannot be dumped, and what cannot be dumped shows them to nobody else.
        pytest.skip("only root can count the daemon's descriptors")


def cpu_s(pid: int) -> float:
    """CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def wait_until(condition: Any, what: str) -> None:
    """For what can only be looked at; the pauses keep it from taking the CPU."""
    limit = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < limit, f"it never came: {what}"
        select.select([], [], [], 0.01)


def is_answered(path: Path | str) -> bool:
    try:
        with Wire(path) as wire:
            return wire.sync() == []
    except (FileNotFoundError, ConnectionRefusedError):
        return False


def wait_answer(path: Path | str) -> None:
    """Until a daemon that says READY to nobody answers there, and so can be told to stop."""
    wait_until(lambda: is_answered(path), f"a daemon answers at {path}")
