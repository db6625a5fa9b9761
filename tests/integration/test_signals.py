# SPDX-License-Identifier: MIT
"""Stopping, with and without calls that are out, and being killed."""

import os
import signal
import time

import pytest

from harness import Client, Closed, RpcError
from wire import Wire, info, request, wait_until

AT_ONCE_S = 5.0     # less than any time-out that is configured here


@pytest.fixture
def held(platform, daemon):
    """A daemon with a workspace, whose next fetch of secrets hangs until the fault is removed."""
    scout = platform.create("scout")
    platform.set_secret(scout, "KEY", "a-value-of-some-kind")
    daemon.add(scout)

    def start(**settings):
        daemon.configure(daemon=settings)
        daemon.start()
        daemon.wait_state("scout", "online")
        daemon.call("secrets.get")
        return platform.dev.fault("secrets", scout, hang=True)

    return start


def call_out(daemon, fault):
    """A client whose call waits for the platform, and its id."""
    client = daemon.connect()
    number = client.send("secrets.refresh")
    client.call("daemon.info")
    wait_until(lambda: fault.hits, "the platform has the request")
    return client, number


def is_gone(daemon):
    try:
        Client(daemon.socket).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    return False


@pytest.mark.smoke
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_stops_when_told(daemon, number):
    daemon.start()
    client = daemon.connect()
    client.call("daemon.info")
    daemon.signal(number)
    daemon.wait_message("STOPPING=1")
    with pytest.raises(Closed):
        client.read()
    assert daemon.wait_exit() == 0
    assert not daemon.socket.exists() and not daemon.socket.with_name("agentd.sock.lock").exists()
    assert number.name in daemon.log


@pytest.mark.dev_platform
def test_lets_calls_end_and_takes_no_new_ones(daemon, held):
    fault = held(stop_timeout="1min")
    client, number = call_out(daemon, fault)
    daemon.signal(signal.SIGTERM)
    daemon.wait_message("STOPPING=1")
    wait_until(lambda: is_gone(daemon), "nobody listens any more")
    late = client.send("daemon.info")
    fault.remove()
    assert client.answer(number)["keys"] == ["KEY"]
    with pytest.raises(Closed):
        client.answer(late)
    assert daemon.wait_exit() == 0


@pytest.mark.dev_platform
def test_cancels_what_takes_longer_than_the_time_it_has(daemon, held):
    fault = held(stop_timeout="100ms")
    client, number = call_out(daemon, fault)
    with Wire(daemon.socket) as wire:
        wire.send(b"[" + request(1, "secrets.refresh") + b"," + info(2) + b"]", info(3))
        assert wire.message()["id"] == 3
        daemon.signal(signal.SIGTERM)
        with pytest.raises(RpcError) as caught:
            client.answer(number)
        assert caught.value.kind == "cancelled" and caught.value.code == -32016
        answers = {answer["id"]: answer for answer in wire.message()}
        assert answers[1]["error"]["data"]["kind"] == "cancelled" and "result" in answers[2]
        assert wire.rest() == b""
    assert daemon.wait_exit() == 0
    assert "cancelled" in daemon.log


@pytest.mark.dev_platform
def test_a_second_signal_ends_it_at_once(daemon, held):
    fault = held(stop_timeout="10min")
    call_out(daemon, fault)
    daemon.signal(signal.SIGTERM)
    daemon.wait_message("STOPPING=1")
    began = time.monotonic()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert time.monotonic() - began < AT_ONCE_S


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_no_signal_is_too_late(daemon, number):
    """One that comes on the way out does not make it a death."""
    daemon.start()
    daemon.signal(signal.SIGTERM)
    while daemon.process.poll() is None:
        daemon.signal(number)
    assert daemon.wait_exit() == 0


@pytest.mark.dev_platform
@pytest.mark.parametrize("when", ["before", "after"])
def test_does_not_wait_for_a_client_that_has_gone(daemon, held, when):
    fault = held(stop_timeout="10min")
    client, _ = call_out(daemon, fault)
    if when == "before":
        client.close()
    daemon.signal(signal.SIGTERM)
    daemon.wait_message("STOPPING=1")
    # What it still says is not served, and does not hide that it goes.
    if when == "after":
        client.write(b'{"jsonrpc":"2.0","id":9,"method":"daemon.info"}' * 1000)
        client.close()
    assert daemon.wait_exit() == 0


@pytest.mark.dev_platform
def test_a_half_closed_client_gets_its_answer_while_it_stops(daemon, held):
    fault = held(stop_timeout="1min")
    with Wire(daemon.socket) as wire:
        wire.send(request(1, "secrets.refresh"), info(2))
        wire.half_close()
        assert wire.message()["id"] == 2
        wait_until(lambda: fault.hits, "the platform has the request")
        daemon.signal(signal.SIGTERM)
        daemon.wait_message("STOPPING=1")
        fault.remove()
        assert wire.message()["result"]["keys"] == ["KEY"]
        assert wire.rest() == b""
    assert daemon.wait_exit() == 0


@pytest.mark.dev_platform
def test_stops_while_the_platform_holds_its_first_request(platform, daemon):
    scout = platform.create("scout")
    fault = platform.dev.fault(workspace=scout, hang=True)
    daemon.add(scout)
    daemon.start()
    wait_until(lambda: fault.hits, "it joins")
    began = time.monotonic()
    daemon.stop()
    assert time.monotonic() - began < AT_ONCE_S


def test_hanging_up_on_its_answers_does_not_kill_it(daemon):
    daemon.start()
    for _ in range(20):
        with Wire(daemon.socket) as wire:
            wire.send(request(1, "rpc.discover") * 50)
    assert daemon.call("daemon.info")["pid"] == daemon.pid
    daemon.signal(signal.SIGPIPE)
    assert daemon.call("daemon.info")["pid"] == daemon.pid


@pytest.mark.slow
@pytest.mark.dev_platform
def test_after_a_long_sleep_it_beats_once_not_for_each_beat_that_it_missed(platform, daemon):
    scout = platform.create("scout")
    daemon.add(scout, heartbeat_interval="1s")
    daemon.start()
    daemon.wait_state("scout", "online")
    platform.dev.wait(scout, endpoint="heartbeat", count=2)
    daemon.signal(signal.SIGSTOP)
    mark = platform.dev.mark()
    try:
        # What was on its way when it was stopped may still come.
        platform.dev.requests(scout, endpoint="heartbeat", since=mark, count=2, wait_ms=3200)
    finally:
        daemon.signal(signal.SIGCONT)
    mark = platform.dev.mark()
    beats = platform.dev.wait(scout, endpoint="heartbeat", since=mark, count=3)
    # One at once, then one a second again.
    assert beats[2]["time"] - beats[0]["time"] > 0.9
    assert daemon.status("scout")["state"] == "online"


def test_a_kill_loses_nothing_that_was_said(platform, daemon):
    scout = platform.create("scout")
    daemon.start()
    joined = daemon.call("workspace.join", platform_url=platform.url, workspace_id=scout.id,
                         token=scout.token, name="scout")
    assert joined["state"] in ("joining", "online")
    daemon.wait_state("scout", "online")
    daemon.kill()
    assert daemon.socket.exists()
    daemon.start()
    status = daemon.wait_state("scout", "online")
    assert status["token"]["prefix"] == scout.token[:8]
    daemon.wait_log("replacing stale socket")
    assert sorted(path.name for path in daemon.state.iterdir()) == ["lock", "tokens", "workspaces.d"]


def test_leaves_no_process_and_no_file_behind(daemon):
    daemon.start()
    pid = daemon.pid
    daemon.stop()
    assert not os.path.exists(f"/proc/{pid}")
    assert sorted(path.name for path in daemon.dir.iterdir()) == ["etc", "home", "notify", "state"]
