# SPDX-License-Identifier: MIT
"""SIGTERM ends a stand-in, whatever it is busy with, and whichever thread hears of it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import subprocess
import threading
import urllib.parse
from collections.abc import Callable, Iterator

import pytest

from .harness import ADMIN_TOKEN, TIMEOUT_S, Standin

libc = ctypes.CDLL(None, use_errno=True)


def threads(standin: Standin) -> list[int]:
    """In the order in which they were made."""
    return sorted(int(name) for name in os.listdir(f"/proc/{standin.process.pid}/task"))


@pytest.mark.parametrize("number", range(6), ids=[
    "main", "standard input", "listener", "silent", "provisioning", "presence"])
def test_any_thread_may_get_the_signal(number: int) -> None:
    """The kernel takes the main thread, or one that is being made while that one wakes up."""
    with Standin.start() as standin:
        standin.dev("GET", "settings")      # it serves: the main thread has nothing left to do
        thread = threads(standin)[number]
        assert libc.tgkill(standin.process.pid, thread, signal.SIGTERM) == 0
        assert standin.process.wait(TIMEOUT_S) == 0


@contextlib.contextmanager
def visitors(port: int) -> Iterator[None]:
    """They come and go as fast as they can; each of them makes a thread."""
    over = threading.Event()

    def visit() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), TIMEOUT_S).close()

    found = [threading.Thread(target=visit) for _ in range(3)]
    for thread in found:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in found:
            thread.join()


def test_while_connections_come_and_go() -> None:
    for _ in range(5):
        standin = Standin.start()
        with visitors(standin.port):
            for _ in range(5):
                standin.dev("GET", "settings")
            assert standin.stop() == 0


def test_as_soon_as_it_has_said_where_it_is() -> None:
    """The signal comes before the main thread waits for it, or just then."""
    for _ in range(10):
        assert Standin.start().stop() == 0


def test_amid_its_start() -> None:
    """It dies of the signal until it has said what to do about it, and is never deaf to it."""
    for amount in range(0, 3_300_000, 300_000):
        process = subprocess.Popen(Standin.command(), stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
        assert process.stdin and process.stdout
        with process.stdin, process.stdout:
            # As it comes up it reads its modules, about 3 MB of them.
            while (_bytes_read(process.pid) < amount
                   and not select.select([process.stdout], [], [], 0)[0]):
                pass
            process.terminate()
            assert process.wait(TIMEOUT_S) in (0, -signal.SIGTERM), amount


def _bytes_read(pid: int) -> int:
    with open(f"/proc/{pid}/io", encoding="ascii") as file:
        return int(file.readline().split()[1])


# ---- connections ----

def ask(standin: Standin, target: str, token: str = "") -> socket.socket:
    """A request; whoever asks does not read the answer."""
    sock = socket.create_connection((standin.host, standin.port), TIMEOUT_S)
    sock.sendall(f"GET {target} HTTP/1.1\r\nHost: {standin.host}\r\n"
                 f"Authorization: Bearer {token}\r\n\r\n".encode())
    return sock


def hanging(standin: Standin) -> socket.socket:
    standin.fault(path="/health", hang=True)
    return ask(standin, "/health")


def dripping(standin: Standin) -> socket.socket:
    standin.fault(path="/health", slow={"bytes": 1, "every_ms": 1000})
    sock = ask(standin, "/health")
    sock.recv(1)
    return sock


def never_read(standin: Standin) -> socket.socket:
    standin.fault(path="/health", huge_body_mib=100)
    sock = ask(standin, "/health")
    sock.recv(1)
    return sock


def broken_off(standin: Standin) -> socket.socket:
    sock = socket.create_connection((standin.host, standin.port), TIMEOUT_S)
    sock.sendall(b"POST /registry/register HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\n{")
    return sock


def idle(standin: Standin) -> socket.socket:
    sock = ask(standin, "/health")
    sock.recv(65536)
    return sock


def listening(standin: Standin) -> socket.socket:
    workspace = standin.create()
    sock = ask(standin, f"/workspaces/{workspace.id}/events/stream", workspace.token)
    sock.recv(1)
    return sock


def with_tools(standin: Standin) -> socket.socket:
    workspace = standin.create()
    sock = ask(standin, f"/workspaces/{workspace.id}/mcp/stream", workspace.token)
    sock.recv(1)
    return sock


def waiting_for_requests(standin: Standin) -> socket.socket:
    return ask(standin, "/_dev/requests?" + urllib.parse.urlencode(
        {"count": 1000, "wait_ms": 600_000}))


def a_peer_that_hangs(standin: Standin) -> socket.socket:
    """A message is on its way to it."""
    agent = standin.dev("POST", "agents", {"name": "peer", "mode": "hang"})
    workspace = standin.create()
    standin.dev("POST", f"workspaces/{workspace.id}", {"url": agent["url"], "status": "online"})
    body = b'{"method":"message/send","params":{"message":{"role":"user","parts":[]}}}'
    sock = socket.create_connection((standin.host, standin.port), TIMEOUT_S)
    sock.sendall(f"POST /workspaces/{workspace.id}/a2a HTTP/1.1\r\nHost: {standin.host}\r\n"
                 f"Authorization: Bearer {ADMIN_TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n"
                 .encode() + body)
    standin.dev("GET", "agents/peer/received?count=1&wait_ms=10000")
    return sock


def a_datastore_that_is_gone(standin: Standin) -> socket.socket:
    standin.dev("POST", "outage", {"for_ms": 600_000})
    return ask(standin, "/health")


@pytest.mark.parametrize("busy", [
    hanging, dripping, never_read, broken_off, idle, listening, with_tools, waiting_for_requests,
    a_peer_that_hangs, a_datastore_that_is_gone], ids=lambda busy: busy.__name__)
def test_whatever_it_is_busy_with(busy: Callable[[Standin], socket.socket]) -> None:
    standin = Standin.start()
    with busy(standin):
        assert standin.stop() == 0


# ---- one that does not stop ----

def test_one_that_is_stuck_is_ended_and_shows_where(capfd: pytest.CaptureFixture[str],
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    standin = Standin.start()
    monkeypatch.setattr("devplatform.harness.TIMEOUT_S", 0.2)
    monkeypatch.setattr(standin.process, "terminate", lambda: None)
    with pytest.raises(subprocess.TimeoutExpired):
        standin.stop()
    assert standin.process.returncode == -signal.SIGABRT
    said = capfd.readouterr().err
    assert "most recent call first" in said and "in main" in said, said
