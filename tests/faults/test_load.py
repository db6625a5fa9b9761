# SPDX-License-Identifier: MIT
"""More of everything than is good, all at once - and what is left of it afterwards: nothing."""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from concurrent.futures import ProcessPoolExecutor

import pytest

from harness import QUIET, RpcError
from strace import Strace
from wire import Wire, descriptors, info, rss_kib, wait_until


# ---- clients ----

@pytest.mark.fast
def test_a_client_that_writes_too_slowly_is_given_up(daemon):
    """A byte now and then is no progress: the line has to end in time."""
    daemon.configure(rpc={"partial_timeout": "1s"})
    daemon.start()
    with Wire(daemon.socket) as slow, Wire(daemon.socket) as idle:
        assert idle.sync() == []
        began = time.monotonic()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while time.monotonic() - began < 10:
                slow.send(b"[")
                slow.socket.settimeout(0.05)
                try:
                    if not slow.socket.recv(65536):
                        break
                except TimeoutError:
                    pass
        assert 0.8 < time.monotonic() - began < 5
        assert idle.sync() == []


def churn(daemon, rounds):
    """Connections that end in every way there is, some with an answer still on its way."""
    for number in range(rounds):
        wire = Wire(daemon.socket)
        with contextlib.suppress(OSError):
            if number % 5:
                wire.send(info(number) + b"\n")
            if number % 5 == 2:
                wire.message()
            if number % 5 == 3:
                wire.half_close()
            if number % 5 == 4:
                wire.send(b'{"jsonrpc":"2.0","id":1,"method":"events.subscribe"}\n{')
        wire.close()


@pytest.mark.fast
@pytest.mark.plain
def test_connections_that_come_and_go_leave_nothing(daemon):
    daemon.start()
    churn(daemon, 500)
    with Wire(daemon.socket) as wire:
        assert wire.sync() == []
        files, memory = descriptors(daemon.pid), rss_kib(daemon.pid)
    churn(daemon, 5000)
    with Wire(daemon.socket) as wire:
        assert wire.sync() == []
        wait_until(lambda: descriptors(daemon.pid) <= files, "its descriptors are as they were")
        assert rss_kib(daemon.pid) - memory < 1024
    status = daemon.call("daemon.status")
    assert status["connections"] == 1


def churn_for(path, seconds):
    """As fast as one process can: half of them leave without reading their answer."""
    limit, count = time.monotonic() + seconds, 0
    while time.monotonic() < limit:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(info(count) + b"\n")
            if count % 2:
                client.recv(65536)
            count += 1
    return count


@pytest.mark.plain
def test_a_minute_of_connections_that_come_and_go(daemon):
    """Four processes that do nothing else; somebody who calls meanwhile is served."""
    daemon.configure(daemon={"log_level": "warning"})
    daemon.start()
    churn(daemon, 500)
    with Wire(daemon.socket) as wire:
        assert wire.sync() == []
        files, memory = descriptors(daemon.pid), rss_kib(daemon.pid)
        with ProcessPoolExecutor(4) as pool:
            done = [pool.submit(churn_for, daemon.socket, 60) for _ in range(4)]
            served = 0
            while not all(each.done() for each in done):
                assert wire.sync() == []
                served += 1
            count = sum(each.result() for each in done)
        print(f"{count} connections in a minute, {served} calls beside them")
        assert count > 60000 and served > 100
        wait_until(lambda: descriptors(daemon.pid) <= files, "its descriptors are as they were")
        assert rss_kib(daemon.pid) - memory < 1024


@pytest.mark.waits
def test_the_time_for_a_request_is_ten_seconds(daemon):
    """Nobody has said otherwise: half a line may stand for that long, whole ones for ever."""
    daemon.start()
    with Wire(daemon.socket) as half, Wire(daemon.socket) as whole:
        assert whole.sync() == []
        began = time.monotonic()
        half.send(b'{"jsonrpc":"2.0",')
        half.socket.settimeout(60)
        assert half.socket.recv(65536) == b"" or half.socket.recv(65536) == b""
        assert 9.5 < time.monotonic() - began
        assert whole.sync() == []


@pytest.mark.dev_platform
@pytest.mark.plain
def test_workspaces_that_come_and_go_leave_nothing(start_platform, daemon):
    platform = start_platform()
    daemon.configure(daemon={"log_level": "warning"}, defaults=QUIET)
    daemon.platforms.add(platform)
    daemon.start()
    scout = platform.create("scout")
    platform.set_secret(scout, "KEY", "x" * 30000)

    def live(rounds):
        for _ in range(rounds):
            daemon.call("workspace.join", platform_url=platform.url, workspace_id=scout.id,
                        name="scout", token=scout.token)
            daemon.call("secrets.refresh", workspace="scout")
            daemon.call("peers.list", workspace="scout")
            daemon.call("workspace.leave", workspace="scout", forget=True)

    live(30)
    files, memory = descriptors(daemon.pid), rss_kib(daemon.pid)
    live(200)
    assert descriptors(daemon.pid) <= files
    assert rss_kib(daemon.pid) - memory < 1024


# ---- a platform that hangs ----

@pytest.mark.dev_platform
@pytest.mark.fast
def test_many_calls_wait_and_nothing_else_does(start_platform, daemon):
    """The platform holds a hundred requests: beats go out, and local calls are answered."""
    platform = start_platform()
    scouts = [platform.create(f"scout{i}") for i in range(20)]
    for scout in scouts:
        daemon.add(scout, heartbeat_interval="1s", state_poll_interval="1h",
                   secrets_refresh_interval="0")
    daemon.start()
    for scout in scouts:
        daemon.wait_state(scout.name, "online")
    files = descriptors(daemon.pid)
    first = platform.dev.mark()
    hang = platform.dev.fault("secrets", hang=True)
    clients = [daemon.connect(60) for _ in range(5)]
    numbers = [(client, client.send("secrets.refresh", workspace=scout.name))
               for client in clients for scout in scouts]
    platform.dev.wait(since=first, endpoint="secrets", count=4)

    for _ in range(100):
        began = time.monotonic()
        assert daemon.call("daemon.info")
        daemon.call("workspace.list")
        assert time.monotonic() - began < 0.5
    since = platform.dev.mark()
    for scout in scouts:
        platform.dev.wait(scout, since=since, endpoint="heartbeat", count=2)
        assert daemon.status(scout.name)["state"] == "online"

    hang.remove()
    for client, number in numbers:
        try:
            assert "changed" in client.answer(number)
        except RpcError as error:
            # Nobody lets a request hang for longer than ten seconds.
            assert error.kind == "unavailable", repr(error)
    # Five who ask for the same share a request.
    assert len(platform.dev.requests(since=first, endpoint="secrets")) <= 2 * len(scouts)
    for client in clients:
        client.close()
    daemon.call("daemon.info")
    wait_until(lambda: descriptors(daemon.pid) <= files + 8, "its descriptors are as they were")


# ---- no descriptors ----

@pytest.mark.dev_platform
@pytest.mark.parametrize("spare", range(0, 9))
def test_few_descriptors_are_an_error_that_passes(platform, daemon, spare):
    """For the platform's connections, for files of the state directory, for clients."""
    scout = platform.create("scout")
    daemon.add(scout, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    daemon.call("daemon.info")
    before = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (descriptors(daemon.pid) + spare, before[1]))
    # The connection that is kept must not serve them.
    with platform.dev.down():
        pass
    failed = 0
    for method in ("secrets.refresh", "workspace.refresh", "token.rotate", "peers.list"):
        try:
            daemon.call(method, workspace="scout", **({"refresh": True} if "peers" in method else {}))
        except RpcError as error:
            assert error.kind in ("unavailable", "internal", "config", "conflict"), repr(error)
            failed += 1
    assert failed or spare > 1
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, before)
    assert daemon.refresh("scout")["state"] == "online"
    daemon.call("token.rotate", workspace="scout")
    assert platform.accepts(scout, daemon.kept_token(scout))
    daemon.restart()
    assert daemon.wait_state("scout", "online")


@pytest.mark.dev_platform
@pytest.mark.plain
@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize("call, errno", [
    (call, errno) for call, errnos in {
        "socket": ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"],
        "connect": ["ENOBUFS", "EPERM", "EADDRNOTAVAIL", "ENETUNREACH", "EINTR"],
        "epoll_ctl": ["ENOMEM", "ENOSPC"],
        "accept4": ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "ECONNABORTED", "EPERM"]}.items()
    for errno in errnos])
def test_a_socket_that_cannot_be_had(platform, daemon, call, errno):
    """Whichever call on the way to the platform, or from a client, fails: only that one suffers."""
    scout = platform.create("scout")
    daemon.add(scout, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    daemon.call("daemon.info")
    fault = f"inject={call}:error={errno}:when=1..3"
    with platform.dev.down():
        pass
    with Strace(daemon.dir / "trace", fault, pid=daemon.pid) as trace:
        for _ in range(4):
            with contextlib.suppress(RpcError):
                daemon.call("secrets.refresh", workspace="scout")
        for _ in range(4):
            with contextlib.suppress(OSError, AssertionError), Wire(daemon.socket) as wire:
                wire.sync()
    assert daemon.process.poll() is None
    assert daemon.call("secrets.refresh", workspace="scout")
    wait_until(lambda: is_served(daemon), "new clients are served again")
    assert trace.hit(), trace.calls()


def is_served(daemon):
    try:
        with Wire(daemon.socket) as wire:
            return wire.sync() == []
    except (OSError, AssertionError, socket.timeout):
        return False
