# SPDX-License-Identifier: MIT
"""The operator pauses a workspace, and resumes it."""

import pytest

from harness import QUIET, RpcError

URL = "http://localhost:9/a2a"


def online(platform, daemon, **settings):
    scout = platform.create()
    daemon.add(scout, **{**QUIET, **settings})
    daemon.start()
    daemon.wait_state("scout", "online")
    return scout


@pytest.mark.smoke
def test_a_pause_is_kept(platform, daemon):
    scout = online(platform, daemon)
    daemon.call("secrets.refresh", workspace="scout")
    events = daemon.events("workspace.state")
    platform.pause(scout)
    status = daemon.refresh("scout")
    assert (status["state"], status["platform_status"], status["paused"]) == (
        "paused", "paused", True)
    event = events.next()
    assert event["workspace"] == "scout" and event["data"] == {
        "id": scout.id, "state": "paused", "before": "online", "platform_status": "paused",
        "paused": True}
    daemon.wait_message("paused")
    assert platform.status(scout) == "paused"


def test_calls_answer_that_it_is_paused(platform, daemon):
    scout = online(platform, daemon)
    platform.pause(scout)
    daemon.refresh("scout")
    for method, params in (("secrets.refresh", {}), ("peers.list", {}),
                           ("token.rotate", {}), ("workspace.update_card", {"agent_card": {}})):
        with pytest.raises(RpcError) as refused:
            daemon.call(method, workspace="scout", **params)
        assert refused.value.kind == "paused", method
    assert daemon.refresh("scout")["state"] == "paused", "to ask again is always allowed"


@pytest.mark.dev_platform
def test_calls_that_wait_hear_of_it(platform, daemon):
    scout = online(platform, daemon)
    since = platform.dev.mark()
    held = [platform.dev.fault(endpoint, scout, hang=True) for endpoint in ("secrets", "peers")]
    calls = [(daemon.client.send(method, workspace="scout"), method)
             for method in ("secrets.refresh", "peers.list")]
    for endpoint in ("secrets", "peers"):
        platform.dev.wait_held(scout, since=since, endpoint=endpoint)
    platform.pause(scout)
    assert daemon.connect().call("workspace.refresh")["state"] == "paused"
    for fault in held:
        fault.remove()
    # The list of peers was on its way, and comes; secrets are another matter.
    with pytest.raises(RpcError) as refused:
        daemon.client.answer(calls[0][0])
    assert refused.value.kind == "paused"
    assert daemon.client.answer(calls[1][0])["peers"] == []


@pytest.mark.dev_platform
def test_paused_it_only_asks_for_the_state(platform, daemon):
    scout = online(platform, daemon, heartbeat_interval="1s", state_poll_interval="1s",
                   secrets_refresh_interval="1s", reported_url=URL)
    platform.pause(scout)
    daemon.wait_state("scout", "paused")
    since = platform.dev.mark()
    platform.dev.wait(scout, since=since, endpoint="state", count=3)
    asked = platform.dev.requests(scout, since=since)
    assert {row["endpoint"] for row in asked} == {"state"}
    assert platform.status(scout) == "paused"


@pytest.mark.dev_platform
def test_paused_at_the_start_it_waits(platform, daemon):
    scout = platform.create()
    platform.pause(scout)
    since = platform.dev.mark()
    daemon.add(scout, reported_url=URL, agent_card='{"name": "scout"}', **QUIET)
    daemon.start()
    daemon.wait_state("scout", "paused")
    assert [row["endpoint"] for row in platform.dev.requests(scout, since=since)] == ["state"]
    assert platform.status(scout) == "paused"


def test_resumed_it_brings_itself_back_with_its_url(platform, daemon):
    """The platform's resume ends in `failed`, for an external workspace; a register mends that."""
    scout = online(platform, daemon, reported_url=URL, state_poll_interval="1s")
    events = daemon.events("workspace.state")
    platform.pause(scout)
    events.until_state("scout", "paused")
    platform.resume(scout)
    events.until_state("scout", "online")
    daemon.wait_state("scout", "online")
    # The platform's own thread may call it failed a moment later: then it registers again.
    if platform.standin:
        platform.dev.wait(scout, endpoint="register", count=2)
        platform.dev.wait_row(scout, "status", "online")
    assert platform.show(scout)["url"] == URL


@pytest.mark.dev_platform
def test_resumed_without_a_url_it_says_what_is_missing(platform, daemon):
    scout = online(platform, daemon)
    platform.pause(scout)
    daemon.refresh("scout")
    platform.resume(scout)
    platform.dev.wait_row(scout, "status", "failed")
    daemon.retry("scout")
    status = daemon.wait_state("scout", "degraded")
    assert status["platform_status"] == "failed"
    assert "set reported_url" in status["last_error"]
    # It is alive all the same: what can be served is served.
    assert daemon.call("secrets.get", workspace="scout")["stale"] is False
    assert daemon.call("peers.list", workspace="scout")["peers"] == []


@pytest.mark.dev_platform
def test_resumed_where_a_heartbeat_is_enough(start_platform, daemon):
    platform = start_platform(generation="2026-08")
    scout = online(platform, daemon)
    platform.pause(scout)
    assert daemon.refresh("scout")["state"] == "paused"
    platform.dev.change(scout, status="online")
    daemon.refresh("scout")
    assert daemon.wait_state("scout", "online")["last_error"] is None


@pytest.mark.dev_platform
def test_what_was_paused_stays_so_through_an_outage(platform, daemon):
    scout = online(platform, daemon)
    platform.pause(scout)
    daemon.refresh("scout")
    events = daemon.events("workspace.state")
    with platform.dev.down():
        for _ in range(4):
            daemon.retry("scout")
    with platform.dev.datastore_outage():
        for _ in range(2):
            daemon.retry("scout")
    assert daemon.refresh("scout")["state"] == "paused"
    assert events.pending() == []


def test_deleted_while_paused(platform, daemon):
    scout = online(platform, daemon)
    platform.pause(scout)
    daemon.refresh("scout")
    platform.delete(scout)
    daemon.retry("scout")
    daemon.wait_state("scout", "removed")


def test_a_token_is_changed_while_paused(platform, daemon):
    scout = online(platform, daemon)
    platform.pause(scout)
    daemon.refresh("scout")
    token = platform.mint(scout)
    assert daemon.call("token.set", workspace="scout", token=token)["prefix"] == token[:8]
    platform.revoke(scout, scout.token)
    assert daemon.refresh("scout")["state"] == "paused"


@pytest.mark.smoke
def test_on_pause_exit(platform, daemon):
    scout = online(platform, daemon, on_pause="exit")
    platform.pause(scout)
    daemon.client.send("workspace.refresh", workspace="scout")
    assert daemon.wait_exit() == 10
    assert "scout was paused" in daemon.log
    daemon.start(ready=False)
    assert daemon.wait_exit() == 10, "a restart ends the same way"
    assert platform.status(scout) == "paused"
