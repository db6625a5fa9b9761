# SPDX-License-Identifier: MIT
"""A platform of several organisations, and one behind a gateway: which headers it wants.

Without the header every answer but that to a heartbeat is an empty 404, which
an agent must not take for its deletion.
"""

import pytest

pytestmark = pytest.mark.dev_platform


@pytest.fixture
def tenant(start_platform):
    return start_platform(settings="org_id=acme")


@pytest.mark.smoke
def test_with_its_header_it_joins(tenant, daemon):
    scout = tenant.create()
    daemon.add(scout, org_id="acme", agent_card='{"name": "scout"}')
    daemon.start()
    daemon.wait_state("scout", "online")
    assert tenant.show(scout)["agent_card"] == {"name": "scout"}
    for row in tenant.dev.requests(scout, endpoint="state"):
        assert dict(row["headers"])["X-Molecule-Org-Id"] == "acme"


@pytest.mark.parametrize("org_id", [None, "other", "ACME"])
def test_without_it_is_misrouted_never_removed(tenant, daemon, org_id):
    scout = tenant.create()
    daemon.add(scout, org_id=org_id)
    daemon.start()
    status = daemon.wait_state("scout", "misrouted")
    assert "org_id" in status["last_error"]
    for _ in range(4):
        assert daemon.retry("scout")["state"] == "misrouted"
    assert daemon.wait_state("scout", "misrouted")["next_attempt_at"], "it keeps trying"
    [warning] = daemon.call("daemon.status")["warnings"]
    assert (warning["code"], warning["severity"]) == ("misrouted", "critical")


def test_a_first_join_without_it_registers_nobody(tenant, daemon):
    """The register itself would be let through, and its token be of no use."""
    scout = tenant.create(token=False)
    daemon.add(scout, org_id=None, reported_url="http://localhost:9/")
    daemon.start()
    assert "org_id" in daemon.wait_state("scout", "misrouted")["last_error"]
    assert tenant.dev.requests(scout, endpoint="register") == []
    assert daemon.kept_token(scout) == ""


def test_a_reload_sets_it_right(tenant, daemon):
    scout = tenant.create()
    daemon.add(scout, org_id=None)
    daemon.start()
    daemon.wait_state("scout", "misrouted")
    daemon.add(scout, org_id="acme")
    daemon.call("daemon.reload")
    daemon.wait_state("scout", "online")
    assert daemon.call("daemon.status")["warnings"] == []


def test_it_comes_to_want_one_while_we_are_online(start_platform, daemon):
    platform = start_platform()
    scout = platform.create()
    platform.set_secret(scout, "KEY", "canary-of-the-tenant")
    daemon.add(scout, heartbeat_interval="10min", state_poll_interval="1h")
    daemon.start()
    daemon.wait_state("scout", "online")
    daemon.call("secrets.refresh", workspace="scout")
    platform.dev.settings(org_id="acme")
    daemon.retry("scout")
    daemon.wait_state("scout", "misrouted")
    served = daemon.call("secrets.get", workspace="scout")
    assert (served["values"], served["stale"]) == ({"KEY": "canary-of-the-tenant"}, True)
    platform.dev.settings(org_id="")
    assert daemon.refresh("scout")["state"] == "online"


def test_an_origin_that_it_does_not_know_is_named(platform, daemon):
    scout = platform.create()
    daemon.add(scout, origin="https://elsewhere.example")
    daemon.start()
    error = daemon.wait_state("scout", "misrouted")["last_error"]
    assert "Origin" in error and "remove `origin`" in error


def test_its_own_origin_is_sent_with_each_request(platform, daemon):
    scout = platform.create()
    daemon.add(scout, origin=platform.url)
    daemon.start()
    daemon.wait_state("scout", "online")
    daemon.call("secrets.refresh", workspace="scout")
    daemon.call("peers.list", workspace="scout")
    sent = [dict(row["headers"]) for row in platform.dev.requests(scout)]
    ours = [headers for headers in sent
            if headers.get("User-Agent", "").startswith("molecule-agentd/")]
    assert len(ours) >= 5 and {headers.get("Origin") for headers in ours} == {platform.url}


def test_joined_at_run_time(tenant, daemon):
    scout = tenant.create()
    daemon.start()
    status = daemon.call("workspace.join", platform_url=tenant.url, workspace_id=scout.id,
                         name="scout", token=scout.token, org_id="acme")
    assert status["state"] == "online"
    daemon.restart()
    daemon.wait_state("scout", "online")
