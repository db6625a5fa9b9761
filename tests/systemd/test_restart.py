# SPDX-License-Identifier: MIT
"""It ends and comes back, or does not come back, and what that is to its clients."""

import os
import signal
import threading

import pytest

from service import (SECOND_SOCKET, SOCKET, SOCKET_UNIT, UNIT, UNIT_FAILED, UNIT_STARTED,
                     UNIT_STOPPED, Client, Closed, Journal, run)


class Gate:
    """Holds the service's start until it is opened."""

    def __init__(self, service, tmp_path):
        self.path = tmp_path / "gate"
        os.mkfifo(self.path)
        service.drop_in(f"ExecStartPre=+/bin/cat {self.path}")

    def open(self):
        self.path.write_text("")


def inodes():
    return [path.stat().st_ino for path in (SOCKET, SECOND_SOCKET)]


# ---- asked for ----

def test_a_restart_keeps_the_sockets(service, platform):
    service.start()
    before, pid = inodes(), service.pid
    service.systemctl("restart")
    assert inodes() == before
    assert service.pid not in (0, pid)


def test_a_call_that_is_made_meanwhile_waits_for_its_answer(service, platform, tmp_path):
    service.start()
    gate = Gate(service, tmp_path)
    before = inodes()
    service.systemctl("restart", "--no-block", UNIT)
    service.journal.wait_unit(UNIT_STOPPED)
    waiting = [service.connect(path) for path in (SOCKET, SECOND_SOCKET) for _ in range(20)]
    calls = [client.send("daemon.info") for client in waiting]
    assert service.pid == 0
    gate.open()
    for client, call in zip(waiting, calls):
        assert client.answer(call)["pid"] == service.pid
    assert inodes() == before


def test_a_call_in_flight_is_answered_before_the_end(service, platform):
    service.add(platform.create())
    service.start()
    service.wait_state("scout", "online")
    client = service.connect()
    client.call("secrets.refresh", workspace="scout")   # the one of the join is over, too
    slow, since = platform.dev.fault("secrets", hang=True), platform.dev.mark()
    call = client.send("secrets.get", workspace="scout", keys=["KEY"], max_age_ms=0)
    platform.dev.wait_held(endpoint="secrets", since=since)
    service.systemctl("restart", "--no-block", UNIT)
    service.journal.wait(MESSAGE="stopping: SIGTERM")
    slow.remove()
    assert "values" in client.answer(call)


def test_no_client_that_calls_all_the_time_notices_restarts(service, platform):
    """Each call on a connection of its own, as scripts do it."""
    service.drop_in("StartLimitIntervalSec=0", section="Unit")
    service.start()
    enough, made, failures = threading.Event(), [0] * 4, []

    def call(number):
        while not enough.is_set():
            try:
                with Client(SOCKET) as client:
                    client.call("daemon.info")
                made[number] += 1
            except Exception as error:  # whatever it is, it is not an answer
                failures.append(repr(error))

    threads = [threading.Thread(target=call, args=(number,)) for number in range(len(made))]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            service.systemctl("restart")
    finally:
        enough.set()
        for thread in threads:
            thread.join()
    assert not failures
    assert min(made) > 5


# ---- not asked for ----

def test_a_daemon_that_was_killed_comes_back(service, platform):
    service.drop_in("RestartSec=100ms")
    service.add(platform.create())
    service.start()
    service.wait_state("scout", "online")
    before, pid = inodes(), service.pid
    os.kill(pid, signal.SIGKILL)
    assert service.wait_state("scout", "online"), "a client that connects at once has to wait"
    assert service.pid not in (0, pid) and service.show("NRestarts") == "1"
    assert inodes() == before


def test_a_stalled_loop_is_killed_and_comes_back(service, platform):
    service.add(platform.create())
    service.start()
    assert service.show("WatchdogUSec") == "30s", "as it is installed: too long for a test"
    service.drop_in("WatchdogSec=1s", "RestartSec=100ms")
    service.systemctl("restart")
    service.wait_state("scout", "online")
    pid = service.pid
    journal = Journal()
    os.kill(pid, signal.SIGSTOP)
    assert journal.wait_unit(UNIT_FAILED)["UNIT_RESULT"] == "watchdog"
    journal.wait_unit(UNIT_STARTED)
    service.wait_state("scout", "online")
    assert service.pid not in (0, pid) and service.show("NRestarts") == "1"


@pytest.mark.parametrize("how", ["refuses", "hangs"])
def test_a_platform_that_is_away_is_no_reason_to_be_killed(service, platform, how):
    """The outage lasts for many times what the watchdog would wait."""
    service.drop_in("WatchdogSec=250ms")
    service.add(platform.create(), heartbeat_interval="1s", state_poll_interval="1s")
    service.start()
    service.wait_state("scout", "online")
    pid, begun = service.pid, int(service.show("WatchdogTimestampMonotonic"))
    if how == "refuses":
        with platform.dev.down():
            service.wait_state("scout", "unreachable")
    else:
        # Those that are out when the next is due are given up.
        since = platform.dev.mark()
        platform.dev.fault(hang=True)
        platform.dev.wait(endpoint="heartbeat", since=since, count=2)
    fed = int(service.show("WatchdogTimestampMonotonic"))
    assert fed - begun > 4 * 250_000, "it was no long outage"
    platform.dev.clear_faults()
    service.wait_state("scout", "online")
    assert (service.pid, service.show("NRestarts")) == (pid, "0")


# ---- for good ----

@pytest.mark.parametrize(("setting", "status"), [("on_pause", 10), ("on_delete", 11)])
def test_it_is_not_restarted_when_it_was_told_to_exit(service, platform, setting, status):
    scout = platform.create()
    service.add(scout, **{setting: "exit"})
    service.start()
    service.wait_state("scout", "online")
    journal = Journal()
    (platform.pause if setting == "on_pause" else platform.delete)(scout)
    with service.connect() as client:
        client.send("workspace.refresh", workspace="scout")
        journal.wait(UNIT=UNIT, MESSAGE=f"{UNIT}: Deactivated successfully.")
    assert service.state == "inactive (dead)", "not on its way back"
    assert service.show("ExecMainStatus") == str(status)
    assert (service.show("Result"), service.show("NRestarts")) == ("success", "0")


def test_a_wrong_configuration_is_not_tried_again(service, platform):
    path = service.write("workspaces.d/scout.conf", "[workspace]\nplatform_ulr = http://::1\n")
    done = service.systemctl("start", check=False)
    assert done.returncode != 0
    assert service.state == "failed (failed)", "not on its way back"
    assert service.show("ExecMainStatus") == "78"
    assert service.show("NRestarts") == "0"
    run("journalctl", "--sync")
    said = service.systemctl("status", check=False).stdout
    assert f"{path}:2: unknown key" in said and "did you mean platform_url?" in said

    path.unlink()
    service.start()
    assert service.state == "active (running)"


def test_a_client_of_a_wrong_configuration_hears_of_it(service, platform):
    """It waits in the socket, which would start the daemon for ever."""
    service.systemctl("start", SOCKET_UNIT)
    path = service.write("agentd.conf.d/wrong.conf", "[daemon]\nlog_level = loud\n")
    client = service.connect()
    with pytest.raises((OSError, Closed)):
        client.call("daemon.info")
    assert service.state == "failed (failed)"

    path.unlink()
    service.systemctl("reset-failed", UNIT, SOCKET_UNIT)
    service.start()
    assert service.call("daemon.status")["state"] == "running"
