# SPDX-License-Identifier: MIT
"""A network of one's own: with a resolver that says what it is told, and packets that get lost.

    with Network() as network:          # this thread, and what it starts, is in it
        network.names["platform.test"] = Answer("127.0.0.1")
        daemon.start(before=network.resolve(daemon.dir))
        network.drop("tcp dport 80")
        network.heal()
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import socket
import struct
import subprocess
import threading
from pathlib import Path

CLONE_NEWNET = 0x40000000
RESOLVER = "127.0.0.53"
A, AAAA = 1, 28
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3

libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def run(*command: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


@dataclasses.dataclass(frozen=True)
class Answer:
    """Addresses, or an error; after seconds, or never."""

    addresses: tuple[str, ...] = ()
    error: int = NOERROR
    seconds: float = 0
    never: bool = False
    ttl: int = 1


def _skip_name(query: bytes) -> tuple[str, int]:
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    return ".".join(labels), at + 1


def reply(query: bytes, answer: Answer) -> bytes:
    _, end = _skip_name(query)
    kind = struct.unpack_from(">H", query, end)[0]
    family, size = (socket.AF_INET6, 16) if kind == AAAA else (socket.AF_INET, 4)
    rows = [socket.inet_pton(family, text) for text in answer.addresses
            if (":" in text) == (kind == AAAA)] if kind in (A, AAAA) else []
    head = struct.pack(">HHHHHH", struct.unpack_from(">H", query)[0], 0x8180 | answer.error,
                       1, len(rows), 0, 0)
    # Each row names the question by a pointer to it.
    return head + query[12:end + 4] + b"".join(
        struct.pack(">HHHIH", 0xC00C, kind, 1, answer.ttl, size) + row for row in rows)


class Network:
    def __init__(self) -> None:
        self.names: dict[str, Answer] = {}
        self.asked: list[str] = []
        self._home = -1
        self._resolver: socket.socket | None = None
        self._timers: list[threading.Timer] = []
        self._forwarders: list[Forwarder] = []

    def __enter__(self) -> Network:
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _check(libc.unshare(CLONE_NEWNET))
        run("ip", "link", "set", "lo", "up")
        self._resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._resolver.bind((RESOLVER, 53))
        threading.Thread(target=self._serve, args=(self._resolver,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for timer in self._timers:
            timer.cancel()
        for forwarder in self._forwarders:
            forwarder.stop()
        assert self._resolver
        self._resolver.close()
        _check(libc.setns(self._home, CLONE_NEWNET))
        os.close(self._home)

    # ---- names ----

    def resolve(self, folder: Path, options: str = "timeout:1 attempts:2") -> list[str]:
        """To put before a command, which then asks our resolver."""
        path = folder / "resolv.conf"
        path.write_text(f"nameserver {RESOLVER}\noptions edns0 {options}\n")
        return ["unshare", "--mount", "sh", "-ec",
                f'mount --bind "{path}" /etc/resolv.conf; exec "$@"', "sh"]

    def _serve(self, resolver: socket.socket) -> None:
        while True:
            try:
                query, who = resolver.recvfrom(4096)
            except OSError:
                return
            name, _ = _skip_name(query)
            self.asked.append(name)
            answer = self.names.get(name.lower(), Answer(error=NXDOMAIN))
            if answer.never:
                continue
            timer = threading.Timer(answer.seconds, self._send,
                                    (resolver, reply(query, answer), who))
            self._timers.append(timer)
            timer.start()

    def _send(self, resolver: socket.socket, data: bytes, who: tuple[str, int]) -> None:
        try:
            resolver.sendto(data, who)
        except OSError:
            pass    # the test is over

    # ---- packets ----

    def drop(self, what: str) -> None:
        """What goes out and fits is lost from now on; what: an expression of nft."""
        run("nft", "add table inet lost")
        run("nft", "add chain inet lost out { type filter hook output priority 0; }")
        run("nft", f"add rule inet lost out {what} drop")

    def heal(self) -> None:
        run("nft", "delete table inet lost")

    def forward(self, address: str, to: tuple[str, int]) -> Forwarder:
        """The same port at another address of this host."""
        self._forwarders.append(Forwarder(address, to))
        return self._forwarders[-1]


class Forwarder:
    """Carries bytes there and back, until it is stopped; then nobody listens."""

    def __init__(self, address: str, to: tuple[str, int]):
        self.to = to
        self.accepted = 0
        self._open: list[socket.socket] = []
        self._listener = socket.create_server((address, to[1]))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(self.to)
            except OSError:
                return
            self.accepted += 1
            self._open += [near, far]
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=pair, daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def stop(self) -> None:
        # Whoever is in accept() wakes up.
        for end in (self._listener, *self._open):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()
