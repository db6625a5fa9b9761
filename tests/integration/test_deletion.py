# SPDX-License-Identifier: MIT
"""The operator deletes a workspace: it falls silent, and forgets."""

import pytest

from harness import RpcError

URL = "http://localhost:9/a2a"
KEPT = {"heartbeat_interval": "10min", "state_poll_interval": "1h",
        "secrets_refresh_interval": "0"}

both = pytest.mark.parametrize("purge", [False, True], ids=["deleted", "purged"])


def online(platform, daemon, **settings):
    scout = platform.create()
    platform.set_secret(scout, "KEY", "canary-to-be-wiped")
    daemon.add(scout, **{**KEPT, **settings})
    daemon.start()
    daemon.wait_state("scout", "online")
    daemon.call("secrets.refresh", workspace="scout")
    return scout


@both
@pytest.mark.smoke
def test_it_is_told_and_wiped(platform, daemon, purge):
    scout = online(platform, daemon)
    events = daemon.events("workspace.state")
    platform.delete(scout, purge)
    daemon.retry("scout")
    event = events.next()
    assert (event["data"]["before"], event["data"]["state"]) == ("online", "removed")
    for method in ("secrets.get", "secrets.list", "secrets.refresh", "peers.list",
                   "workspace.refresh", "token.rotate"):
        with pytest.raises(RpcError) as refused:
            daemon.call(method, workspace="scout")
        assert refused.value.kind == "removed", method
    status = daemon.status("scout")
    assert status["state"] == "removed" and status["next_attempt_at"] is None
    assert daemon.call("workspace.list")["workspaces"] == [
        {"id": scout.id, "name": "scout", "state": "removed"}]


@both
@pytest.mark.dev_platform
def test_nothing_more_is_sent(platform, daemon, purge):
    """Not even a register, which would bring a purged one back as a ghost."""
    scout = online(platform, daemon, heartbeat_interval="1s", state_poll_interval="1s",
                   secrets_refresh_interval="1s", reported_url=URL)
    platform.delete(scout, purge)
    daemon.wait_state("scout", "removed")
    since = platform.dev.mark()
    platform.dev.none_within(2.2, scout, since=since)


@both
def test_a_restart_does_not_bring_it_back(platform, daemon, purge):
    scout = online(platform, daemon, reported_url=URL)
    platform.delete(scout, purge)
    daemon.retry("scout")
    daemon.wait_state("scout", "removed")
    daemon.restart()
    daemon.wait_state("scout", "removed")
    reply = platform.call("GET", f"/workspaces/{scout.id}")
    assert reply.status in (404, 410) or reply.json()["status"] == "removed"


@pytest.mark.dev_platform
def test_a_heartbeat_that_goes_well_proves_no_life(platform, daemon):
    """A deleted workspace has no tokens, and then the platform looks at none."""
    scout = online(platform, daemon, heartbeat_interval="1s")
    platform.delete(scout)
    since = platform.dev.mark()
    [beat, *_] = platform.dev.wait(scout, since=since, endpoint="heartbeat")
    assert beat["status"] == 200
    daemon.retry("scout")
    daemon.wait_state("scout", "removed")


def test_others_do_not_notice(platform, daemon):
    stays = platform.create("stays")
    platform.set_secret(stays, "KEY", "canary-that-stays")
    daemon.add(stays, **KEPT)
    scout = online(platform, daemon)
    daemon.wait_state("stays", "online")
    events = daemon.events("workspace.state", workspace="stays")
    platform.delete(scout)
    daemon.retry("scout")
    daemon.wait_state("scout", "removed")
    assert daemon.refresh("stays")["state"] == "online"
    assert daemon.call("secrets.get", workspace="stays")["values"] == {"KEY": "canary-that-stays"}
    assert events.pending() == []


@pytest.mark.dev_platform
@pytest.mark.parametrize("generation", ["2026-04", "2026-08"])
@both
def test_deleted_while_the_daemon_was_down(start_platform, daemon, generation, purge):
    platform = start_platform(generation=generation)
    scout = online(platform, daemon)
    daemon.stop()
    platform.delete(scout, purge)
    daemon.start()
    daemon.wait_state("scout", "removed")


def test_it_can_be_left_and_forgotten(platform, daemon):
    scout = platform.create()
    daemon.start()
    daemon.call("workspace.join", platform_url=platform.url, workspace_id=scout.id,
                name="scout", token=scout.token)
    platform.delete(scout)
    daemon.retry("scout")
    daemon.wait_state("scout", "removed")
    daemon.call("workspace.leave", workspace="scout", forget=True)
    assert daemon.call("workspace.list")["workspaces"] == []
    assert daemon.kept_token(scout) == ""


@pytest.mark.smoke
def test_on_delete_exit(platform, daemon):
    scout = online(platform, daemon, on_delete="exit")
    platform.delete(scout)
    daemon.client.send("workspace.refresh", workspace="scout")
    assert daemon.wait_exit() == 11
    assert "scout was deleted" in daemon.log
