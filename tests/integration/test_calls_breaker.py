# SPDX-License-Identifier: MIT
"""What a call remembers for the next one: who moved, who broke down, who came back."""

import time

import pytest

from callfixtures import NEAR, bob, make_bob, refused, routes, scout, send
from harness import QUIET, RpcError
from harness.peer import body, echo, error, hang_up

__all__ = ["bob", "make_bob", "scout"]

PATIENCE_S = 20
FAILURES = 5    # in a row, before a peer is left alone


def listed(daemon, bob, **params):
    [found] = [peer for peer in daemon.call("peers.list", **params)["peers"]
               if peer["id"] == bob.id]
    return found


def until(condition, seconds=PATIENCE_S):
    """For what only time can bring, and only asking again can tell."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it never comes"


def test_where_a_peer_would_be_called_is_on_the_list(daemon, scout, bob):
    assert listed(daemon, bob)["route"] == "direct"
    bob.does(body({}, 500), echo)
    assert send(daemon)["route"] == "proxy"
    assert listed(daemon, bob)["route"] == "proxy"


def test_a_peer_that_failed_is_not_tried_for_a_while(platform, daemon, bob):
    """url_cache_ttl long; then it is."""
    daemon.add(platform.create("scout"), peer_networks=NEAR, url_cache_ttl="2s", **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    bob.does(body({}, 500), echo)
    assert [send(daemon)["route"] for _ in range(3)] == ["proxy"] * 3
    assert routes(bob) == ["direct", "proxy", "proxy", "proxy"]
    until(lambda: send(daemon)["route"] == "direct")


def test_a_peer_that_moved_is_found_when_told_so(daemon, scout, bob):
    assert send(daemon)["route"] == "direct"
    bob.peer.stop()
    bob.peer.port = 0
    bob.peer.start()
    bob.register()
    assert send(daemon)["route"] == "proxy"
    assert daemon.call("peers.invalidate", peer="bob") == {"dropped": True}
    assert send(daemon)["route"] == "direct"
    assert routes(bob) == ["direct", "proxy", "direct"]


def test_a_peer_that_is_restarted_is_called_again(daemon, scout, bob):
    """The connection that was kept is no more, which shows before anything is sent."""
    for _ in range(3):
        assert send(daemon)["route"] == "direct"
        bob.peer.stop()
        bob.peer.start()
    assert send(daemon)["route"] == "direct"
    assert len(bob.requests) == 4


def test_a_peer_that_fails_and_fails_is_left_alone(daemon, scout, bob):
    bob.does(body({"error": "out of order"}, 500))
    for _ in range(FAILURES):
        assert listed(daemon, bob)["breaker"] == "closed"
        assert refused(daemon, route="direct").kind == "peer_error"
    assert listed(daemon, bob)["breaker"] == "open"
    assert len(bob.requests) == FAILURES

    complaint = refused(daemon, route="direct")
    assert complaint.kind == "unavailable" and complaint.data["retry_after_ms"] > 0
    assert len(bob.requests) == FAILURES
    # The platform may think otherwise.
    bob.does(echo)
    assert send(daemon)["route"] == "proxy"

    assert daemon.call("peers.invalidate", peer="bob") == {"dropped": True}
    assert listed(daemon, bob)["breaker"] == "closed"
    assert send(daemon)["route"] == "direct"


@pytest.mark.parametrize("deed", [echo, error(-32603, "not today"), body({}, 404), body({}, 400)],
                         ids=["an answer", "an error", "404", "400"])
def test_a_peer_that_talks_is_not_broken(daemon, scout, bob, deed):
    """Whatever it says. Two more failures than would do, with something said between them."""
    failure = body({}, 500)
    bob.does(*[failure] * (FAILURES - 1), deed, *[failure] * 3)
    for _ in range(FAILURES + 3):
        try:
            send(daemon, route="direct")
        except RpcError as refusal:
            assert refusal.kind == "peer_error"
    assert len(bob.requests) == FAILURES + 3
    assert listed(daemon, bob)["breaker"] == "closed"


def test_a_peer_that_dies_each_time_is_left_alone_too(daemon, scout, bob):
    bob.does(hang_up)
    for _ in range(FAILURES):
        assert refused(daemon, route="direct").kind == "unknown_outcome"
    assert listed(daemon, bob)["breaker"] == "open"
    assert refused(daemon, route="direct").kind == "unavailable"
    assert len(bob.requests) == FAILURES


@pytest.mark.slow
def test_a_peer_that_came_back_is_called_again(daemon, scout, bob):
    """After half a minute one call is let through, to see."""
    bob.does(*[body({}, 500)] * FAILURES, echo)
    for _ in range(FAILURES):
        refused(daemon, route="direct")
    began = time.monotonic()
    until(lambda: listed(daemon, bob)["breaker"] == "half_open", seconds=60)
    assert time.monotonic() - began > 20
    assert len(bob.requests) == FAILURES
    assert send(daemon, route="direct")["text"] == "echo: ping"
    assert listed(daemon, bob)["breaker"] == "closed"
