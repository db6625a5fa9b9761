# SPDX-License-Identifier: MIT
"""What the agents of this host do, added up and told to the platform."""

import json
import subprocess
import sys

import pytest

from harness import RpcError

IDLE = {"current_task": "", "active_tasks": 0, "error_rate": 0, "sample_error": ""}


@pytest.fixture
def scout(platform, daemon):
    scout = platform.create("scout")
    daemon.add(scout, heartbeat_interval="10min", state_poll_interval="1h")
    daemon.start()
    daemon.wait_state("scout", "online")
    return scout


@pytest.mark.smoke
def test_it_reaches_the_platform(platform, daemon, scout):
    report = daemon.call("workspace.report", current_task="counts “sheep”", active_tasks=3,
                         error_rate=0.25, sample_error="one got away")["report"]
    assert report == {"current_task": "counts “sheep”", "active_tasks": 3, "error_rate": 0.25,
                      "sample_error": "one got away"}
    assert daemon.refresh("scout")["report"] == report
    shown = platform.show(scout)
    assert shown["active_tasks"] == 3 and shown["last_error_rate"] == 0.25
    if platform.standin:
        beat = json.loads(platform.dev.requests(scout, endpoint="heartbeat")[-1]["body"])
        assert beat["current_task"] == "counts “sheep”" and beat["sample_error"] == "one got away"


def test_shares_are_added_up(platform, daemon, scout):
    first, second = daemon.connect(), daemon.connect()
    first.call("workspace.report", current_task="first", active_tasks=2, error_rate=0.1)
    report = second.call("workspace.report", active_tasks=3, error_rate=0.3,
                         sample_error="of the second")["report"]
    assert report == {"current_task": "first", "active_tasks": 5, "error_rate": 0.3,
                      "sample_error": "of the second"}
    assert second.call("workspace.report", current_task="newest")["report"][
        "current_task"] == "newest"
    assert first.call("workspace.report", active_tasks=0)["report"]["active_tasks"] == 3
    daemon.refresh("scout")
    assert platform.show(scout)["active_tasks"] == 3


def test_what_is_left_out_stays(daemon, scout):
    daemon.call("workspace.report", current_task="stays", active_tasks=2, error_rate=0.2)
    report = daemon.call("workspace.report", active_tasks=1)["report"]
    assert report == {**IDLE, "current_task": "stays", "active_tasks": 1, "error_rate": 0.2}
    report = daemon.call("workspace.report", current_task="", error_rate=0)["report"]
    assert report == {**IDLE, "active_tasks": 1}


def test_a_connection_takes_its_share_back(platform, daemon, scout):
    daemon.call("workspace.report", current_task="stays", active_tasks=1)
    events = daemon.events("workspace.report")
    leaving = daemon.connect()
    leaving.call("workspace.report", current_task="leaves", active_tasks=7, error_rate=0.9,
                 sample_error="everything", runtime_state="wedged")
    assert events.next()["data"]["active_tasks"] == 8
    leaving.close()
    event = events.next()
    assert event["workspace"] == "scout"
    assert event["data"] == {**IDLE, "current_task": "stays", "active_tasks": 1}
    daemon.refresh("scout")
    assert platform.show(scout)["active_tasks"] == 1


def test_an_agent_that_is_killed_takes_its_share_along(platform, daemon, scout):
    events = daemon.events("workspace.report")
    script = ("import socket, sys, time\n"
              "s = socket.socket(socket.AF_UNIX)\n"
              "s.connect(sys.argv[1])\n"
              "s.sendall(b'{\"jsonrpc\":\"2.0\",\"method\":\"workspace.report\","
              "\"params\":{\"active_tasks\":4}}')\n"
              "time.sleep(60)\n")
    agent = subprocess.Popen([sys.executable, "-c", script, daemon.socket])
    assert events.next()["data"]["active_tasks"] == 4
    agent.kill()
    agent.wait()
    assert events.next()["data"] == IDLE
    daemon.refresh("scout")
    assert platform.show(scout)["active_tasks"] == 0


def test_each_workspace_has_its_own(platform, daemon, scout):
    other = platform.create("other")
    daemon.add(other, heartbeat_interval="10min")
    daemon.call("daemon.reload")
    daemon.wait_state("other", "online")
    daemon.call("workspace.report", workspace="scout", active_tasks=1)
    daemon.call("workspace.report", workspace="other", active_tasks=2)
    assert daemon.status("scout")["report"]["active_tasks"] == 1
    assert daemon.refresh("other")["report"]["active_tasks"] == 2
    assert platform.show(other)["active_tasks"] == 2


@pytest.mark.dev_platform
def test_wedged(platform, daemon, scout):
    with daemon.connect() as agent:
        agent.call("workspace.report", runtime_state="wedged")
        daemon.refresh("scout")
        body = json.loads(platform.dev.requests(scout, endpoint="heartbeat")[-1]["body"])
        assert body["runtime_state"] == "wedged"
        assert daemon.refresh("scout")["state"] == "degraded"
        assert "wedged" in daemon.status("scout")["last_error"]
        assert daemon.call("peers.list")["peers"] == [], "it still works"
        events = daemon.events("workspace.report")
    events.next()
    daemon.refresh("scout")
    assert daemon.refresh("scout")["state"] == "online"


@pytest.mark.dev_platform
def test_integers_are_integers_whatever_was_said(platform, daemon, scout):
    """The platform refuses 1.0 where it wants a whole number."""
    daemon.client.write('{"jsonrpc":"2.0","id":"x","method":"workspace.report",'
                        '"params":{"active_tasks":2,"error_rate":1}}\n')
    daemon.client.answer("x")
    daemon.refresh("scout")
    beat = platform.dev.requests(scout, endpoint="heartbeat")[-1]
    assert beat["status"] == 200
    assert json.loads(beat["body"])["active_tasks"] == 2
    assert '"active_tasks":2,' in beat["body"] and "." not in str(
        json.loads(beat["body"])["uptime_seconds"])


@pytest.mark.dev_platform
def test_reports_do_not_make_more_heartbeats(platform, daemon, scout):
    since = platform.dev.mark()
    for number in range(500):
        daemon.client.notify("workspace.report", active_tasks=number)
    assert daemon.call("workspace.status")["report"]["active_tasks"] == 499
    assert platform.dev.requests(scout, since=since, endpoint="heartbeat") == []


@pytest.mark.parametrize("params", [
    {"active_tasks": -1}, {"active_tasks": 1.5}, {"active_tasks": "1"}, {"error_rate": 1.1},
    {"error_rate": -0.1}, {"error_rate": "0"}, {"current_task": 5}, {"runtime_state": "tired"},
    {"current_task": "x" * 2000}, {"active_tasks": 10**12},
], ids=str)
def test_nonsense_is_refused_and_changes_nothing(daemon, scout, params):
    daemon.call("workspace.report", active_tasks=1)
    with pytest.raises(RpcError) as refused:
        daemon.call("workspace.report", **{"current_task": "new", **params})
    assert refused.value.kind in ("invalid_params", "too_large")
    assert daemon.status("scout")["report"] == {**IDLE, "active_tasks": 1}


def test_it_is_kept_while_nobody_can_be_told(platform, daemon, scout):
    platform.pause(scout)
    daemon.refresh("scout")
    report = daemon.call("workspace.report", active_tasks=2)["report"]
    assert report["active_tasks"] == 2
    assert daemon.refresh("scout")["report"]["active_tasks"] == 2
