# SPDX-License-Identifier: MIT
"""The platform goes away, and comes back: the daemon does not."""

import pytest

from harness import QUIET, RpcError

pytestmark = pytest.mark.dev_platform


def online(platform, daemon, **settings):
    scout = platform.create()
    daemon.add(scout, **settings)
    daemon.start()
    daemon.wait_state("scout", "online")
    return scout


def lose(daemon, name="scout"):
    """Three tries that fail are an outage."""
    for _ in range(3):
        daemon.retry(name)
    return daemon.wait_state(name, "unreachable")


def refused(daemon, method, **params):
    with pytest.raises(RpcError) as caught:
        daemon.call(method, workspace="scout", **params)
    return caught.value


@pytest.mark.smoke
def test_it_is_ready_before_the_platform_is(platform, daemon):
    scout = platform.create()
    daemon.add(scout)
    with platform.dev.down():
        daemon.start()
        assert daemon.status("scout")["state"] == "joining"
        status = lose(daemon)
        assert "out of reach" in status["last_error"]
        assert status["next_attempt_at"] and status["token"]["present"]
        error = refused(daemon, "peers.list")
        assert (error.kind, error.data["retryable"]) == ("unavailable", True)
    assert daemon.refresh("scout")["state"] == "online"


def test_it_comes_back_by_itself(platform, daemon):
    scout = platform.create()
    daemon.add(scout)
    with platform.dev.down():
        daemon.start()
        daemon.wait_log("try_failed|cannot read the state")
    daemon.wait_state("scout", "online")


def test_an_outage_while_online(platform, daemon):
    scout = online(platform, daemon, **QUIET)
    platform.set_secret(scout, "KEY", "canary-before-outage")
    fresh = daemon.call("secrets.refresh", workspace="scout")
    events = daemon.events()
    with platform.dev.down():
        lose(daemon)
        served = daemon.call("secrets.get", workspace="scout", keys=["KEY"])
        assert served == {"values": {"KEY": "canary-before-outage"}, "missing": [],
                          "fetched_at": fresh["fetched_at"], "stale": True}
        assert daemon.call("secrets.list", workspace="scout")["keys"] == ["KEY"]
        assert refused(daemon, "secrets.refresh").kind == "unavailable"
        [warning] = daemon.call("daemon.status")["warnings"]
        assert (warning["code"], warning["workspace"]) == ("unreachable", "scout")
    assert daemon.refresh("scout")["state"] == "online"
    assert daemon.call("secrets.get", workspace="scout", keys=["KEY"])["stale"] is False
    assert daemon.call("daemon.status")["warnings"] == []
    states = [event["data"]["state"] for event in events.pending()
              if event["type"] == "workspace.state"]
    assert states == ["unreachable", "online"]


def test_old_secrets_are_served_for_so_long_only(platform, daemon):
    scout = online(platform, daemon, secrets_max_stale="0", **QUIET)
    platform.set_secret(scout, "KEY", "canary-soon-too-old")
    daemon.call("secrets.refresh", workspace="scout")
    with platform.dev.down():
        lose(daemon)
        assert refused(daemon, "secrets.get").kind == "unavailable"
    daemon.refresh("scout")
    assert daemon.call("secrets.get", workspace="scout")["values"] == {
        "KEY": "canary-soon-too-old"}


def test_two_failures_are_no_outage(platform, daemon):
    scout = online(platform, daemon, **QUIET)
    events = daemon.events("workspace.state")
    platform.dev.fault("heartbeat", scout, status=503, times=1)
    platform.dev.fault("state", scout, status=503, times=1)
    daemon.retry("scout")
    assert daemon.refresh("scout")["state"] == "online"
    assert events.pending() == []


# ---- the platform's database is away: it answers, and knows nobody ----

def test_a_platform_without_its_database_revokes_nothing(platform, daemon):
    scout = online(platform, daemon, **QUIET)
    platform.set_secret(scout, "KEY", "canary-of-the-database")
    daemon.call("secrets.refresh", workspace="scout")
    events = daemon.events("workspace.state")
    with platform.dev.datastore_outage():
        lose(daemon)
        assert daemon.call("secrets.get", workspace="scout")["stale"] is True
    assert daemon.refresh("scout")["state"] == "online"
    assert [event["data"]["state"] for event in events.pending()] == ["unreachable", "online"]
    assert daemon.status("scout")["token"]["prefix"] == scout.token[:8]


def test_a_platform_without_its_database_at_the_start(platform, daemon):
    scout = platform.create()
    daemon.add(scout)
    with platform.dev.datastore_outage():
        daemon.start()
        lose(daemon)
    assert daemon.refresh("scout")["state"] == "online"


def test_a_platform_without_its_database_registers_nobody(platform, daemon):
    scout = platform.create(token=False)
    daemon.add(scout, reported_url="http://localhost:9/")
    with platform.dev.datastore_outage():
        daemon.start()
        lose(daemon)
        assert daemon.kept_token(scout) == ""
    assert daemon.refresh("scout")["state"] == "online"
    assert platform.accepts(scout, daemon.kept_token(scout))


# ---- how often it asks ----

def test_a_failing_platform_is_asked_less_often_than_one_that_works(platform, daemon):
    scout = online(platform, daemon, heartbeat_interval="1s", state_poll_interval="1s")
    platform.dev.fault(status=503)
    daemon.wait_state("scout", "unreachable")
    since = platform.dev.mark()
    # The fourth try comes after 0.5 to 1.5 seconds, the next after 1 to 3, and 2 to 6.
    platform.dev.wait(scout, since=since, count=2)
    asked = platform.dev.requests(scout, since=since)
    assert {row["endpoint"] for row in asked} == {"state"}, "one question is enough"
    gap = asked[1]["time"] - asked[0]["time"]
    assert gap >= 0.9, gap
    assert 0.8 < daemon.next_attempt_in("scout") < 6.5
    platform.dev.clear_faults()
    assert daemon.refresh("scout")["state"] == "online"


def test_a_beat_that_hangs_is_given_up_and_not_doubled(platform, daemon):
    scout = online(platform, daemon, heartbeat_interval="1s", state_poll_interval="1h")
    since = platform.dev.mark()
    hang = platform.dev.fault("heartbeat", scout, hang=True)
    platform.dev.wait_held(scout, since=since, endpoint="heartbeat")
    events = daemon.events("workspace.state")
    platform.dev.wait(scout, since=since, endpoint="heartbeat", count=3)
    beats = platform.dev.requests(scout, since=since, endpoint="heartbeat")
    gaps = [after["time"] - before["time"] for before, after in zip(beats, beats[1:])]
    assert all(gap > 0.9 for gap in gaps), gaps
    events.until_state("scout", "unreachable")
    assert "got no answer" in daemon.status("scout")["heartbeat"]["last_error"]
    hang.remove()
    assert daemon.refresh("scout")["state"] == "online"


def test_a_slow_state_does_not_hold_up_the_beats(platform, daemon):
    scout = online(platform, daemon, heartbeat_interval="1s", state_poll_interval="1s")
    since = platform.dev.mark()
    hang = platform.dev.fault("state", scout, hang=True)
    platform.dev.wait_held(scout, since=since, endpoint="state")
    since = platform.dev.mark()
    beats = platform.dev.wait(scout, since=since, endpoint="heartbeat", count=3)
    gaps = [after["time"] - before["time"] for before, after in zip(beats, beats[1:])]
    assert all(0.9 < gap < 1.5 for gap in gaps), gaps
    assert daemon.status("scout")["state"] == "online"
    hang.remove()


def test_sigterm_does_not_wait_for_a_platform_that_is_away(platform, daemon):
    scout = online(platform, daemon, **QUIET)
    since = platform.dev.mark()
    hang = platform.dev.fault("any", scout, hang=True)
    daemon.client.send("workspace.refresh", workspace="scout")
    platform.dev.wait_held(scout, since=since)
    daemon.configure(daemon={"stop_timeout": "1s"})
    daemon.call("daemon.reload")
    daemon.stop()
    hang.remove()


def test_after_a_long_silence_it_registers_again(start_platform, daemon):
    """The platform has taken it for dead meanwhile; here that takes a second."""
    platform = start_platform(settings="stale_after_s=1")
    scout = platform.create()
    daemon.add(scout, reported_url="http://localhost:9/", **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    platform.dev.call("POST", f"workspaces/{scout.id}", {"heartbeat_age_s": 120})
    platform.dev.call("POST", "sweep")
    assert platform.status(scout) == "offline"
    daemon.refresh("scout")
    assert platform.status(scout) == "online"
