# SPDX-License-Identifier: MIT
"""Tokens and secrets in the daemon's memory: only where they belong, and not for longer."""

from __future__ import annotations

import pytest

import memscan
from harness import RpcError

pytestmark = [pytest.mark.dev_platform, pytest.mark.usefixtures("as_root")]

OLD, NEW = "canary-of-the-old-days-0123456789", "canary-of-the-new-days-9876543210"
URL = "http://localhost:9/a2a"


@pytest.fixture(params=[False, True], ids=["http", "https"])
def home(request, platform, start_platform):
    return start_platform(tls=True) if request.param else platform


@pytest.fixture
def scout(home, daemon):
    scout = home.create("scout")
    home.set_secret(scout, "KEY", OLD)
    daemon.platforms.add(home)
    daemon.configure(daemon={"log_level": "debug"},
                     defaults={"ca_file": home.ca_file} if home.ca_file else {})
    daemon.start()
    return scout


def join(home, daemon, scout):
    with daemon.connect() as client:
        client.call("workspace.join", platform_url=home.url, workspace_id=scout.id, name="scout",
                    token=scout.token)


def use(daemon):
    """As clients do that come and go, in one line, many, and a batch."""
    for _ in range(4):
        with daemon.connect() as client:
            assert client.call("secrets.refresh", workspace="scout")
            client.call("secrets.get", workspace="scout")
            client.call("secrets.get", workspace="scout", keys=["KEY"], max_age_ms=0)
            client.batch([("secrets.get", {"workspace": "scout"}), ("daemon.info", {})])
            client.call("workspace.refresh", workspace="scout")
            client.call("peers.list", workspace="scout", refresh=True)


def settle(daemon):
    """Whatever was said has been read, and connections have been closed."""
    with daemon.connect() as client:
        client.call("daemon.status")
    daemon.call("daemon.info")


def copies(daemon, *words):
    settle(daemon)
    return memscan.find(daemon.pid, *words)


def outside(found):
    return [str(copy) for copy in found if not copy.in_arena]


@pytest.mark.plain
def test_the_one_copy_is_in_memory_for_secrets(home, daemon, scout):
    join(home, daemon, scout)
    use(daemon)
    found = copies(daemon, scout.token, OLD)
    assert {copy.word for copy in found} == {scout.token, OLD}
    assert not outside(found)


@pytest.mark.plain
@pytest.mark.fast
def test_nothing_is_left_of_a_workspace_that_has_left(home, daemon, scout):
    join(home, daemon, scout)
    use(daemon)
    daemon.call("workspace.leave", workspace="scout", forget=True)
    assert [str(copy) for copy in copies(daemon, scout.token, OLD)] == []


@pytest.mark.plain
def test_nothing_is_left_of_an_old_token(home, daemon, scout):
    join(home, daemon, scout)
    use(daemon)
    with daemon.connect() as client:
        client.call("token.rotate", workspace="scout")
    use(daemon)
    assert [str(copy) for copy in copies(daemon, scout.token)] == []
    token = daemon.kept_token(scout)
    assert copies(daemon, token) and not outside(copies(daemon, token))


@pytest.mark.plain
def test_nothing_is_left_of_a_token_that_was_refused(home, daemon, scout):
    join(home, daemon, scout)
    wrong = "canary-of-a-token-that-was-never-minted"
    with daemon.connect() as client, pytest.raises(RpcError):
        client.call("token.set", workspace="scout", token=wrong)
    assert [str(copy) for copy in copies(daemon, wrong)] == []


@pytest.mark.plain
def test_nothing_is_left_of_a_secret_that_has_changed(home, daemon, scout):
    join(home, daemon, scout)
    use(daemon)
    home.set_secret(scout, "KEY", NEW)
    use(daemon)
    found = copies(daemon, OLD, NEW)
    assert {copy.word for copy in found} == {NEW}
    assert not outside(found)


@pytest.mark.plain
def test_nothing_is_left_of_a_workspace_that_was_deleted(home, daemon, scout):
    join(home, daemon, scout)
    use(daemon)
    home.delete(scout)
    with pytest.raises(RpcError):
        daemon.refresh("scout")
    daemon.wait_state("scout", "removed")
    assert [str(copy) for copy in copies(daemon, OLD)] == []


@pytest.mark.plain
def test_nothing_is_left_of_a_token_that_a_register_brought(home, daemon):
    scout = home.create("scout", token=False)
    daemon.platforms.add(home)
    daemon.configure(defaults={"ca_file": home.ca_file} if home.ca_file else {})
    daemon.start()
    with daemon.connect() as client:
        client.call("workspace.join", platform_url=home.url, workspace_id=scout.id, name="scout",
                    reported_url=URL)
    token = daemon.kept_token(scout)
    assert copies(daemon, token) and not outside(copies(daemon, token))
    daemon.call("workspace.leave", workspace="scout", forget=True)
    assert [str(copy) for copy in copies(daemon, token)] == []
