# SPDX-License-Identifier: MIT
"""Each allocation of a call to a peer fails, on every way that a call can take.

What is told of it must be true all the same: who hears that nothing was done will
send again, and then the peer must not have heard it already. And nobody hears a
message twice on one way.
"""

from __future__ import annotations

import collections

import pytest

from harness import QUIET, Closed, Peer, RpcError
from harness.peer import body, echo, events, only_1_0, task, task_of
from nthmalloc import Scarcity

pytestmark = [pytest.mark.dev_platform, pytest.mark.plain]

MOST = 3000
#: Nothing was sent, or so they say.
NOTHING_DONE = ("unavailable", "timeout", "overloaded", "not_found", "rate_limited")

WAYS = {
    "direct": ({"route": "direct"}, [echo]),
    "proxy": ({"route": "proxy"}, [echo]),
    "both": ({}, [body({"error": "out of order"}, 500), echo]),
    "task": ({"route": "direct"}, [task("working"), task("completed", "echo: ping")]),
    "1.0": ({"route": "direct"}, [only_1_0]),
    "stream": ({"route": "direct"}, [events(task_of("working"), {"parts": [{"text": "echo: ping"}]})]),
    "refusal": ({"route": "direct"}, [body({"error": "not for you"}, 403)]),
}
FAST = {"direct", "both"}


@pytest.fixture
def friend(platform):
    """A peer, and the agent at its address."""
    with Peer() as agent:
        workspace = platform.create("friend")
        platform.dev.change(workspace, url=f"http://localhost:{agent.port}/a2a")
        yield workspace, agent


def forget(daemon, workspace):
    """How calls to it went, so that each of them begins alike."""
    daemon.call("peers.list", refresh=True)
    daemon.call("peers.invalidate", peer=workspace.id)
    daemon.call("peers.list", refresh=True)


def try_at(daemon, scarcity, friend, way, number, forever):
    """Whether anything was there to fail."""
    workspace, agent = friend
    params, deeds = WAYS[way]
    agent.does(*deeds)
    # The platform may still be about to deliver an earlier one.
    name = f"m-{number}-{forever}"
    forget(daemon, workspace)
    said = ""
    with daemon.connect() as client:
        with scarcity.at(number, forever):
            try:
                client.call("a2a.send", to=workspace.id, text="ping", message_id=name, **params)
            except RpcError as error:
                assert error.text and error.code, repr(error)
                said = error.kind
            except (Closed, ConnectionError):
                pass
        failed = scarcity.failed
    heard = [request for request in agent.requests
             if request.json["method"] in ("message/send", "SendMessage")
             and request.message["messageId"] == name]
    if said in NOTHING_DONE and way not in ("1.0", "both"):
        assert not heard, f"{said}, and yet the peer has heard it"
    told = collections.Counter((request.json["method"], bool(request.header("X-Workspace-ID")))
                               for request in heard)
    assert all(count == 1 for count in told.values()), told
    return failed > 0


@pytest.mark.parametrize("forever", [False, True], ids=["once", "for ever"])
@pytest.mark.parametrize("way", [
    pytest.param(name, marks=pytest.mark.fast if name in FAST else ()) for name in WAYS])
def test_in_a_call_to_a_peer(platform, daemon, friend, tally, way, forever):
    daemon.configure(daemon={"log_level": "warning"})
    daemon.add(platform.create("scout"), **QUIET, peer_networks="127.0.0.0/8 ::1")
    scarcity = Scarcity(daemon)
    daemon.start(env=scarcity.env)
    daemon.wait_state("scout", "online")
    for number in range(1, MOST):
        tally.add()
        try:
            if not try_at(daemon, scarcity, friend, way, number, forever):
                break
        except Exception as why:
            raise AssertionError(f"without allocation {number}"
                                 + (" and those after it" if forever else "")) from why
    else:
        raise AssertionError("it never ends")
    assert number > 10

    workspace, agent = friend
    agent.does(echo)
    forget(daemon, workspace)
    answer = daemon.call("a2a.send", to=workspace.id, text="ping")
    assert (answer["route"], answer["text"]) == ("direct", "echo: ping")
