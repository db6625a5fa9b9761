# SPDX-License-Identifier: MIT
"""Whom a workspace may talk to, and where."""

import time

import pytest

from harness import QUIET, RpcError
from harness.client import PATIENCE_S


def listed(daemon, **params):
    return {peer["id"]: peer for peer in daemon.call("peers.list", **params)["peers"]}


def refused(daemon, method, **params):
    with pytest.raises(RpcError) as caught:
        daemon.call(method, **params)
    return caught.value


@pytest.mark.smoke
def test_list(platform, daemon, scout):
    other = platform.create("other", role="looks “around”, reports", tier=2)
    peer = listed(daemon)[other.id]
    assert scout.id not in listed(daemon)
    assert peer["name"] == "other" and peer["role"] == "looks “around”, reports"
    assert peer["tier"] == 2 and peer["parent_id"] is None and peer["active_tasks"] == 0
    assert isinstance(peer["status"], str) and peer["url"] == ""
    assert set(peer) == {"id", "name", "role", "tier", "status", "url", "parent_id",
                         "active_tasks", "agent_card", "route", "breaker"}


def test_query_finds_names_roles_and_ids(platform, daemon, scout):
    """Here, not on the platform: there a peer without a role makes it panic."""
    tester = platform.create("Tester-77", role="breaks things")
    helper = platform.create("helper-77")
    assert set(listed(daemon, query="tester-77")) == {tester.id}
    assert set(listed(daemon, query="BREAKS th")) == {tester.id}
    assert set(listed(daemon, query=helper.id[:13])) == {helper.id}
    assert listed(daemon, query="nobody-at-all") == {}


def test_parents_children_and_siblings(platform, daemon):
    parent = platform.create("parent")
    me = platform.create("me", parent_id=parent.id)
    sibling = platform.create("sibling", parent_id=parent.id)
    child = platform.create("child", parent_id=me.id)
    cousin = platform.create("nephew", parent_id=sibling.id)
    daemon.add(me, **QUIET)
    daemon.start()
    daemon.wait_state("me", "online")
    peers = listed(daemon)
    assert set(peers) == {parent.id, sibling.id, child.id} and cousin.id not in peers
    assert peers[child.id]["parent_id"] == me.id


@pytest.mark.dev_platform
def test_the_list_is_kept_for_a_while(platform, daemon, scout):
    daemon.call("peers.list")
    events = daemon.events("peers.changed")
    since = platform.dev.mark()
    later = platform.create("later")
    assert later.id not in listed(daemon)
    assert platform.dev.requests(scout, since=since, endpoint="peers") == []
    assert later.id in listed(daemon, refresh=True)
    assert events.next()["workspace"] == "scout"
    daemon.call("peers.list", refresh=True)
    assert events.pending() == []


@pytest.mark.dev_platform
def test_those_who_miss_share_one_request(platform, daemon, scout):
    hang = platform.dev.fault("peers", scout, hang=True)
    numbers = [daemon.client.send("peers.list") for _ in range(10)]
    platform.dev.wait_held(scout, endpoint="peers")
    daemon.call("daemon.info")
    hang.remove()
    for number in numbers:
        daemon.client.answer(number)
    assert len(platform.dev.requests(scout, endpoint="peers")) == 1


@pytest.mark.dev_platform
def test_an_old_list_is_better_than_none(platform, start_daemon):
    scout, other = platform.create("scout"), platform.create("other")
    daemon = start_daemon()
    daemon.add(scout, url_cache_ttl="0", **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    assert other.id in listed(daemon)
    with platform.dev.down():
        assert other.id in listed(daemon)
        assert refused(daemon, "peers.list", refresh=True).kind == "unavailable"


# ---- where ----

@pytest.mark.dev_platform
@pytest.mark.parametrize("url, usable", [
    ("http://192.0.32.10:8000/a2a", True), ("https://agent.example/a2a", True),
    ("http://10.1.2.3/", False), ("http://192.168.1.1/", False), ("http://127.0.0.1:9/", False),
    ("http://localhost:9/", False), ("http://169.254.169.254/latest", False),
    ("http://[::1]:9/", False), ("http://[fe80::1]/", False), ("http://0.0.0.0/", False),
    ("http://ws-0123456789ab:8000", False), ("http://host.docker.internal:9/", False),
    ("ftp://agent.example/", False), ("remote://no-inbound", False), ("", False),
    ("http://user:pw@agent.example/", False), ("not a url", False),
])
def test_discover_gives_only_urls_that_may_be_called(platform, daemon, scout, url, usable):
    other = platform.create("other")
    platform.dev.fault("discover", scout, status=200, json={"id": other.id, "name": "other", "url": url})
    answer = daemon.call("peers.discover", peer="other")
    assert answer["id"] == other.id and answer["name"] == "other"
    if usable:
        assert (answer["url"], answer["route"]) == (url, "direct")
    else:
        assert (answer["url"], answer["route"]) == (None, "proxy")
    assert answer["expires_at"]


@pytest.mark.dev_platform
def test_what_was_discovered_is_kept_until_invalidated(platform, daemon, scout):
    other = platform.create("other")
    for url in ("https://one.example/", "https://two.example/"):
        platform.dev.fault("discover", scout, times=1, status=200,
                           json={"id": other.id, "name": "other", "url": url})
    assert daemon.call("peers.discover", peer="other")["url"] == "https://one.example/"
    assert daemon.call("peers.discover", peer=other.id)["url"] == "https://one.example/"
    asked = platform.dev.requests(other, endpoint="discover")
    assert len(asked) == 1
    assert dict(asked[0]["headers"])["X-Workspace-ID"] == scout.id
    assert daemon.call("peers.invalidate", peer="other") == {"dropped": True}
    assert daemon.call("peers.invalidate", peer="other") == {"dropped": False}
    assert daemon.call("peers.discover", peer="other")["url"] == "https://two.example/"


@pytest.mark.dev_platform
def test_discover_again_when_told_so(platform, daemon, scout):
    other = platform.create("other")
    for url in ("https://one.example/", "https://two.example/"):
        platform.dev.fault("discover", scout, times=1, status=200,
                           json={"id": other.id, "name": "other", "url": url})
    daemon.call("peers.discover", peer="other")
    answer = daemon.call("peers.discover", peer="other", refresh=True)
    assert answer["url"] == "https://two.example/"


@pytest.mark.dev_platform
def test_a_peer_without_a_url_is_called_by_way_of_the_platform(platform, daemon, scout):
    """The platform says 503, or makes one up: neither is an address."""
    silent, alive = platform.create("silent"), platform.create("alive")
    platform.dev.change(alive, status="online")
    for name in ("silent", "alive"):
        answer = daemon.call("peers.discover", peer=name)
        assert (answer["url"], answer["route"]) == (None, "proxy"), name
    assert silent.id != alive.id


def test_a_peer_that_registered_here_is_found(platform, daemon, scout):
    """On this host is not where a stranger should be sent."""
    other = platform.create("other")
    platform.register(other, "http://localhost:9/a2a")
    assert listed(daemon, refresh=True)[other.id]["url"] == "http://localhost:9/a2a"
    answer = daemon.call("peers.discover", peer="other")
    assert (answer["url"], answer["route"]) == (None, "proxy")


# ---- which ----

def test_a_name_that_two_have_is_ambiguous(platform, daemon, scout):
    first, second = platform.create("twin"), platform.create("twin")
    for method in ("peers.discover", "peers.invalidate"):
        daemon.call("peers.list", refresh=True)
        error = refused(daemon, method, peer="twin")
        assert error.kind == "conflict" and "give its id" in error.text
    assert daemon.call("peers.invalidate", peer=first.id.upper()) == {"dropped": False}
    assert daemon.call("peers.discover", peer=second.id)["id"] == second.id


def test_nobody_of_that_name(platform, daemon, scout):
    for peer in ("nobody-at-all", "00000000-0000-4000-8000-000000000000"):
        assert refused(daemon, "peers.discover", peer=peer).kind == "not_found"
    daemon.call("peers.list")
    assert refused(daemon, "peers.invalidate", peer="nobody-at-all").kind == "not_found"


@pytest.mark.dev_platform
def test_a_peer_that_came_later_is_found_when_the_list_is_old(platform, start_daemon):
    scout = platform.create("scout")
    daemon = start_daemon()
    daemon.add(scout, url_cache_ttl="0", **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    daemon.call("peers.list")
    late = platform.create("latecomer")
    assert daemon.call("peers.discover", peer="latecomer")["id"] == late.id


@pytest.mark.parametrize("method", ["peers.discover", "peers.invalidate"])
def test_a_peer_that_came_later_is_found_long_before_the_list_is_old(platform, daemon, scout,
                                                                     method):
    """Who has just made a workspace wants to call it now, and not in five minutes."""
    daemon.call("peers.list")
    platform.create("latecomer")
    limit = time.monotonic() + PATIENCE_S
    while True:
        try:
            daemon.call(method, peer="latecomer")
            return
        except RpcError as error:
            assert error.kind == "not_found" and time.monotonic() < limit
            time.sleep(0.1)     # it is told by nobody


def test_a_peer_that_was_deleted_is_gone(platform, daemon, scout):
    other = platform.create("other")
    assert other.id in listed(daemon)
    platform.delete(other)
    assert other.id not in listed(daemon, refresh=True)
    assert refused(daemon, "peers.discover", peer=other.id).kind == "not_found"


@pytest.mark.dev_platform
def test_many(platform, daemon, scout):
    rows = [{"id": f"00000000-0000-4000-8000-{number:012}", "name": f"peer {number}",
             "role": None, "tier": 1, "status": "online", "agent_card": {"n": [number] * 20},
             "url": "", "parent_id": None, "active_tasks": 0} for number in range(2000)]
    platform.dev.fault("peers", scout, json=rows)
    told = [{**row, "route": "proxy", "breaker": "closed"} for row in rows]
    assert daemon.call("peers.list")["peers"] == told
    assert set(listed(daemon, query="peer 1999")) == {rows[1999]["id"]}
