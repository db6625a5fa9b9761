# SPDX-License-Identifier: MIT
"""What the service manager is told, and when."""

import os
import signal
import socket

import pytest

from harness import Client


def told(daemon, name):
    """The values that it has given so far, one after the other."""
    return [line.partition("=")[2] for message in daemon.messages for line in message.splitlines()
            if line.startswith(name + "=")]


def wait_status(daemon, text):
    daemon.wait_message(f"STATUS={text}")


@pytest.mark.smoke
def test_is_ready_once_the_socket_answers(daemon):
    daemon.start()
    assert told(daemon, "READY") == ["1"]
    with Client(daemon.socket) as client:
        assert client.call("daemon.info")["pid"] == daemon.pid


def test_says_how_one_gets_a_workspace_when_there_is_none(daemon):
    daemon.start()
    assert told(daemon, "STATUS") == ["no workspaces; join one with molecule-agentctl join"]


@pytest.mark.dev_platform
def test_is_ready_though_the_platform_is_not(start_platform, daemon):
    platform = start_platform()
    daemon.add(platform.create("scout"))
    with platform.dev.down():
        daemon.start()
        assert told(daemon, "STATUS") == ["scout joining"]
        assert daemon.status("scout")["state"] in ("joining", "unreachable")


@pytest.mark.dev_platform
def test_is_ready_though_the_platform_does_not_answer(platform, daemon):
    scout = platform.create("scout")
    fault = platform.dev.fault(workspace=scout, hang=True)
    daemon.add(scout)
    daemon.start()
    assert daemon.status("scout")["state"] == "joining"
    fault.remove()
    wait_status(daemon, "scout online")


def test_has_a_phrase_for_each_workspace(platform, daemon):
    for name in ("laptop", "ops"):
        daemon.add(platform.create(name))
    daemon.start()
    wait_status(daemon, "laptop online, ops online")
    platform.pause(platform.created[1])
    daemon.refresh("ops")
    wait_status(daemon, "laptop online, ops paused")
    platform.delete(platform.created[0])
    daemon.client.send("workspace.refresh", workspace="laptop")
    wait_status(daemon, "laptop removed, ops paused")


def test_a_long_status_is_cut_short(platform, daemon):
    gone = platform.unborn("scout")
    for i in range(100):
        daemon.add(gone, name=f"workspace-{i:03d}", workspace_id=f"{gone.id[:-3]}{i:03d}",
                   platform_url=f"http://127.0.0.1:{os.getpid() % 1000 + 1}")
    daemon.start()
    [status] = told(daemon, "STATUS")
    assert status.startswith("workspace-000 ") and status.endswith("...") and len(status) < 1100


def test_reloading_begins_and_ends(daemon):
    daemon.start()
    daemon.messages.clear()
    daemon.signal(signal.SIGHUP)
    daemon.wait_message("READY=1")
    assert told(daemon, "RELOADING") == ["1"] and told(daemon, "READY") == ["1"]
    assert "RELOADING=1" in daemon.messages[0]
    # systemd 253 and newer want the time, in microseconds of the monotonic clock.
    [when] = told(daemon, "MONOTONIC_USEC")
    assert int(when) > 0


def test_a_reload_that_fails_ends_too(daemon):
    daemon.start()
    daemon.write("agentd.conf", "[nonsense]\n")
    daemon.messages.clear()
    daemon.signal(signal.SIGHUP)
    daemon.wait_message("READY=1")
    assert told(daemon, "RELOADING") == ["1"]


def test_says_that_it_stops_and_why(daemon):
    daemon.start()
    daemon.signal(signal.SIGTERM)
    daemon.wait_message("STOPPING=1")
    assert "SIGTERM" in told(daemon, "STATUS")[-1]
    assert daemon.wait_exit() == 0


def test_feeds_the_watchdog_in_time(daemon):
    daemon.start(env={"WATCHDOG_USEC": "500000"})
    for _ in range(4):
        daemon.wait_message("WATCHDOG=1", timeout=0.5)


def test_a_watchdog_of_another_process_is_not_fed(daemon):
    daemon.start(env={"WATCHDOG_USEC": "20000", "WATCHDOG_PID": "1"})
    daemon.signal(signal.SIGHUP)
    daemon.wait_message("READY=1")
    daemon.signal(signal.SIGTERM)
    daemon.wait_message("STOPPING=1")
    assert daemon.wait_exit() == 0
    assert told(daemon, "WATCHDOG") == []


@pytest.mark.dev_platform
def test_feeds_the_watchdog_while_the_platform_is_away(start_platform, daemon):
    platform = start_platform()
    daemon.add(platform.create("scout"), heartbeat_interval="1s")
    with platform.dev.down():
        daemon.start(env={"WATCHDOG_USEC": "500000"})
        for _ in range(4):
            daemon.wait_message("WATCHDOG=1", timeout=0.5)


def test_a_daemon_that_hangs_feeds_no_watchdog(daemon):
    daemon.start(env={"WATCHDOG_USEC": "100000"})
    daemon.wait_message("WATCHDOG=1")
    daemon.signal(signal.SIGSTOP)
    try:
        daemon._notify.settimeout(0.3)
        daemon.messages.clear()
        with pytest.raises(TimeoutError):
            # What was on its way may still come, and then nothing.
            for _ in range(3):
                daemon._notify.recv(4096)
    finally:
        daemon.signal(signal.SIGCONT)
    daemon.wait_message("WATCHDOG=1")


def test_works_without_a_service_manager(daemon):
    daemon.start(ready=False, env={"NOTIFY_SOCKET": ""})
    daemon.wait_log("is ready")
    assert daemon.call("daemon.info")
    daemon.stop()
    daemon.start(ready=False, env={"NOTIFY_SOCKET": str(daemon.dir / "nobody-there")})
    daemon.wait_log(r"is ready(.|\n)*is ready")
    assert daemon.call("daemon.info")


def test_a_manager_that_does_not_read_does_not_stop_it(daemon):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        path = str(daemon.dir / "deaf")
        deaf.bind(path)
        daemon.start(ready=False, env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "2000"})
        daemon.wait_log("is ready")
        for _ in range(300):
            daemon.call("daemon.reload")
            daemon.signal(signal.SIGHUP)
        assert daemon.call("daemon.info")


@pytest.mark.dev_platform
@pytest.mark.parametrize("setting, status", [("on_pause", 10), ("on_delete", 11)])
def test_leaves_with_a_status_of_its_own(platform, daemon, setting, status):
    scout = platform.create("scout")
    daemon.add(scout, **{setting: "exit"})
    daemon.start()
    daemon.wait_state("scout", "online")
    platform.pause(scout) if setting == "on_pause" else platform.delete(scout)
    daemon.client.send("workspace.refresh")
    daemon.wait_message("STOPPING=1")
    assert daemon.wait_exit() == status


def test_logs_with_levels_that_the_journal_reads(daemon):
    daemon.start()
    daemon.stop()
    for line in daemon.log.splitlines():
        assert line[0] == "<" and line[1] in "01234567" and line[2] == ">", line
