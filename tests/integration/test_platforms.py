# SPDX-License-Identifier: MIT
"""Three workspaces on two platforms, and nothing of one at the other."""

import pytest

from harness import QUIET, RpcError

pytestmark = pytest.mark.dev_platform


@pytest.fixture
def far(start_platform):
    return start_platform(settings="org_id=acme")


def spread(platform, far, daemon, **settings):
    """One and two here, three there; online, and with a secret each."""
    workspaces = [platform.create("one"), platform.create("two"), far.create("three")]
    for workspace in workspaces:
        workspace.platform.set_secret(workspace, "KEY", f"canary-of-{workspace.name}")
        daemon.add(workspace, **{**QUIET, **settings})
    daemon.start()
    for workspace in workspaces:
        daemon.wait_state(workspace.name, "online")
        daemon.call("secrets.refresh", workspace=workspace.name)
    return workspaces


@pytest.mark.smoke
def test_each_is_served_its_own(platform, far, daemon):
    spread(platform, far, daemon)
    for name in ("one", "two", "three"):
        assert daemon.call("secrets.get", workspace=name)["values"] == {
            "KEY": f"canary-of-{name}"}
    assert [row["name"] for row in daemon.call("workspace.list")["workspaces"]] == [
        "one", "three", "two"]
    with pytest.raises(RpcError) as refused:
        daemon.call("secrets.get")
    assert refused.value.kind == "conflict", "which of the three?"


def test_by_id_as_well_as_by_name(platform, far, daemon):
    one, _, three = spread(platform, far, daemon)
    assert daemon.status(three.id)["name"] == "three"
    assert daemon.status(one.id.upper())["name"] == "one"


def test_one_platform_dies_and_nobody_else_notices(platform, far, daemon):
    spread(platform, far, daemon)
    events = daemon.events("workspace.state", "daemon.warning")
    with far.dev.down():
        for _ in range(3):
            daemon.retry("three")
        daemon.wait_state("three", "unreachable")
        for name in ("one", "two"):
            assert daemon.refresh(name)["state"] == "online"
            assert daemon.call("secrets.refresh", workspace=name)["keys"] == ["KEY"]
        assert daemon.call("secrets.get", workspace="three")["stale"] is True
    assert daemon.refresh("three")["state"] == "online"
    assert {event["workspace"] for event in events.pending()} == {"three"}


def test_one_platform_hangs_and_nobody_else_waits(platform, far, daemon):
    one, two, three = spread(platform, far, daemon)
    since = far.dev.mark()
    hang = far.dev.fault("any", three, hang=True)
    numbers = [daemon.client.send("peers.list", workspace="three"),
               daemon.client.send("workspace.refresh", workspace="three")]
    for endpoint in ("peers", "heartbeat", "state"):
        far.dev.wait_held(three, since=since, endpoint=endpoint)
    for name in ("one", "two"):
        assert daemon.refresh(name)["state"] == "online"
    assert not any(daemon.client.is_answered(number) for number in numbers)
    hang.remove()
    for number in numbers:
        daemon.client.answer(number)


def test_tokens_and_headers_go_to_their_own_platform_only(platform, far, daemon):
    one, two, three = spread(platform, far, daemon, agent_card='{"name": "card"}')
    for name in ("one", "two", "three"):
        daemon.call("peers.list", workspace=name)
        daemon.refresh(name)
    # It may end up anywhere but in a header: an id in a path names who is asked for.
    for here, ours, others in ((platform, (one, two), (three,)), (far, (three,), (one, two))):
        sent = here.dev.requests()
        text = "".join(f"{row['target']} {row['headers']} {row['body']}\n" for row in sent)
        for workspace in others:
            assert workspace.token not in text and workspace.id not in text
        for workspace in ours:
            bearers = {dict(row["headers"]).get("Authorization")
                       for row in here.dev.requests(workspace)
                       if _is_daemon(row) and row["endpoint"] != "workspace"}
            assert bearers == {f"Bearer {workspace.token}"}
    assert all("X-Molecule-Org-Id" not in dict(row["headers"])
               for row in platform.dev.requests() if _is_daemon(row))
    assert {dict(row["headers"]).get("X-Molecule-Org-Id")
            for row in far.dev.requests() if _is_daemon(row)} == {"acme"}


def test_a_token_is_kept_for_one_platform_only(platform, start_platform, daemon):
    """The same id on another platform is another workspace."""
    scout = platform.create()
    daemon.start()
    daemon.call("workspace.join", platform_url=platform.url, workspace_id=scout.id,
                name="scout", token=scout.token)
    daemon.call("workspace.leave", workspace="scout")
    other = start_platform()
    daemon.call("workspace.join", platform_url=other.url, workspace_id=scout.id, name="scout",
                reported_url="http://localhost:9/")
    daemon.wait_state("scout", "online")
    assert scout.token not in str(other.dev.requests())
    names = {path.name for path in daemon.state.glob("tokens/*")}
    assert len(names) == 2, names
    for path in daemon.state.glob("tokens/*"):
        daemon.canaries.add(path.read_text().strip())


def test_two_ways_to_one_platform_are_two(platform, daemon):
    """Another origin is another way, and what one has learnt is not the other's."""
    one, two = platform.create("one"), platform.create("two")
    daemon.add(one, **QUIET)
    daemon.add(two, origin="https://elsewhere.example", **QUIET)
    daemon.start()
    daemon.wait_state("two", "misrouted")
    daemon.wait_state("one", "online")


def test_a_fleet_does_not_beat_in_step(platform, daemon):
    """Each has a phase of its own within the interval, the same at every start."""
    fleet = [platform.create(f"agent-{number}") for number in range(40)]
    for workspace in fleet:
        daemon.add(workspace, heartbeat_interval="2s", state_poll_interval="1h",
                   secrets_refresh_interval="0")
    daemon.start()
    for workspace in fleet:
        daemon.wait_state(workspace.name, "online")
    # The first beat of each belongs to its join.
    phases = []
    for workspace in fleet:
        beats = platform.dev.wait(workspace, endpoint="heartbeat", count=3)
        phases.append(int(beats[2]["time"] % 2 / 0.25))
        assert abs((beats[2]["time"] - beats[1]["time"]) - 2) < 1
    # Forty that fall where they like leave three eighths empty once in a million times.
    assert len(set(phases)) >= 6, phases


def _is_daemon(row):
    return dict(row["headers"]).get("User-Agent", "").startswith("molecule-agentd/")
