# SPDX-License-Identifier: MIT
"""Two generations of the platform are alive: what is found out about each, and used."""

import json

import pytest

from harness import Platform
from harness.unpacker import wait_for

pytestmark = pytest.mark.dev_platform

URL = "http://localhost:9/a2a"
QUIET = {"heartbeat_interval": "10min", "state_poll_interval": "1h"}


@pytest.fixture
def old(platform):
    return platform


@pytest.fixture(scope="module")
def shared_new():
    platform = Platform.start(generation="2026-08")
    yield platform
    platform.stop()


@pytest.fixture
def new(shared_new):
    yield shared_new
    shared_new.dev.reset()
    shared_new.forget_created()


def features(daemon, scout, state="online"):
    """Once the probe has been answered, which follows the join."""
    daemon.wait_state("scout", state)
    scout.platform.dev.wait(scout, endpoint="activity")
    # The question has come; its answer may still be on the way.
    wait_for(lambda: daemon.refresh("scout")["features"]["probed"])
    return daemon.status("scout")["features"]


@pytest.mark.smoke
def test_with_a_token(new, old, start_daemon):
    for platform, cursors in ((old, False), (new, True)):
        daemon = start_daemon()
        scout = platform.create()
        daemon.add(scout, agent_card='{"name": "scout"}', **QUIET)
        daemon.start()
        found = features(daemon, scout)
        assert found == {"probed": True, "cursors": cursors, "poll_delivery": False,
                         "inbound_secret": False, "registered_by": "unknown"}
        assert platform.dev.requests(scout, endpoint="register") == []
        assert platform.show(scout)["agent_card"] == {"name": "scout"}


def test_with_a_url_and_no_token(new, old, start_daemon):
    for platform, secret in ((old, False), (new, True)):
        daemon = start_daemon()
        scout = platform.create(token=False)
        daemon.add(scout, reported_url=URL, **QUIET)
        daemon.start()
        found = features(daemon, scout)
        assert found["registered_by"] == "url" and found["inbound_secret"] is secret
        assert platform.accepts(scout, daemon.kept_token(scout))


def test_without_a_url_the_newer_one_is_polled(new, daemon):
    scout = new.create(token=False)
    daemon.add(scout, agent_card='{"name": "scout"}', **QUIET)
    daemon.start()
    found = features(daemon, scout)
    assert found == {"probed": True, "cursors": True, "poll_delivery": True,
                     "inbound_secret": True, "registered_by": "poll"}
    first, second = [json.loads(row["body"])
                     for row in new.dev.requests(scout, endpoint="register")]
    assert first["url"] == "remote://no-inbound"
    assert "url" not in second and second["delivery_mode"] == "poll"
    assert new.show(scout)["agent_card"] == {"name": "scout"}
    assert new.accepts(scout, daemon.kept_token(scout))


def test_the_inbound_secret_of_the_newer_one_is_not_logged(new, daemon):
    scout = new.create(token=False)
    daemon.add(scout, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    reply = new.call("POST", "/registry/register", {
        "id": scout.id, "delivery_mode": "poll", "agent_card": {}},
        token=daemon.kept_token(scout)).json()
    daemon.canaries.add(reply["platform_inbound_secret"])


def test_a_new_workspace_awaits_its_agent(new, daemon):
    scout = new.create()
    assert new.status(scout) == "awaiting_agent"
    daemon.add(scout, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    assert new.status(scout) == "online"


@pytest.mark.parametrize("status", ["awaiting_agent", "offline", "failed"])
def test_taken_for_gone_a_heartbeat_brings_it_back(new, daemon, status):
    scout = new.create()
    daemon.add(scout, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    new.dev.change(scout, status=status)
    daemon.refresh("scout")
    new.dev.wait_row(scout, "status", "online")
    assert daemon.refresh("scout")["state"] == "online"


def test_after_a_restart_of_the_platform_by_another_generation(start_platform, daemon):
    """An upgrade under our feet: what was learnt is learnt again at the next start."""
    platform = start_platform()
    scout = platform.create()
    daemon.add(scout, **QUIET)
    daemon.start()
    assert features(daemon, scout)["cursors"] is False
    platform.dev.settings(generation="2026-08")
    assert daemon.refresh("scout")["state"] == "online"
    platform.dev.call("DELETE", "requests")
    daemon.restart()
    assert features(daemon, scout)["cursors"] is True


def test_gone_in_the_newer_one_is_a_410(new, daemon):
    scout = new.create()
    daemon.add(scout, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    new.delete(scout)
    daemon.retry("scout")
    daemon.wait_state("scout", "removed")
    assert new.dev.requests(scout, endpoint="workspace")[-1]["status"] == 410


def test_failed_on_the_older_one_only_a_register_helps(old, daemon):
    scout = old.create()
    daemon.add(scout, reported_url=URL, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    old.dev.change(scout, status="failed")
    since = old.dev.mark()
    # It sees that; beats, in vain; sees that, and plans what helps.
    for _ in range(10):
        status = daemon.refresh("scout")
        assert status["state"] == "degraded" and "will register anew" in status["last_error"]
        if status["next_attempt_at"]:
            break
    old.dev.wait(scout, endpoint="register", since=since)
    old.dev.wait_row(scout, "status", "online")
    daemon.wait_state("scout", "online")


def test_degraded_by_what_it_reports(old, new, start_daemon):
    for platform in (old, new):
        daemon = start_daemon()
        scout = platform.create()
        daemon.add(scout, **QUIET)
        daemon.start()
        daemon.wait_state("scout", "online")
        with daemon.connect() as agent:
            agent.call("workspace.report", workspace="scout", error_rate=0.9,
                       sample_error="disk on fire")
            daemon.refresh("scout")
            status = daemon.refresh("scout")
            assert status["state"] == "degraded" and "too many errors" in status["last_error"]
            events = daemon.events("workspace.report")
        events.next()
        daemon.refresh("scout")
        assert daemon.refresh("scout")["state"] == "online"
