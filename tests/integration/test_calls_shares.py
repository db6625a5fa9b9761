# SPDX-License-Identifier: MIT
"""What one peer, or one caller, takes of the calls that may be out: never so much that others get none."""

import contextlib
import json
import socket

import pytest

from callfixtures import NEAR, here, make_bob, refused, send
from harness import QUIET
from harness.peer import Gate, echo, held, message

__all__ = ["make_bob"]

A_CONNECTION = 100      # calls of one client, which reads its answers late


@pytest.fixture
def start(platform, daemon):
    """Starts the daemon with these workspaces, whose peers may be on this host."""
    def start(*names, **calls):
        daemon.configure(defaults={"peer_networks": NEAR}, calls=calls)
        for name in names:
            daemon.add(platform.create(name), **QUIET)
        daemon.start()
        for name in names:
            daemon.wait_state(name, "online")
    return start


@pytest.fixture
def unreachable():
    """A port where nobody takes a connection, and nobody says so."""
    with contextlib.ExitStack() as ending:
        listener = ending.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            filler = ending.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def metric(daemon, name):
    text = daemon.call("daemon.metrics")["text"]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
            for line in text.splitlines() if line.startswith(name)}


def begin(client, to, count, **params):
    """So many calls at once; how they end is read later."""
    client.write("".join(json.dumps({"jsonrpc": "2.0", "id": f"{to}-{n}", "method": "a2a.send",
                                     "params": {"to": to, "text": "ping", **params}}) + "\n"
                         for n in range(count)))


def delegate(daemon, to):
    """A task, from here to its end."""
    created = daemon.call("delegation.create", to=to, task="do it")
    return daemon.call("delegation.wait", delegation_id=created["delegation_id"],
                       wait_ms=20_000)["status"]


@pytest.mark.smoke
def test_a_peer_that_does_not_answer_leaves_half_to_others(daemon, start, make_bob):
    slow, healthy = make_bob("slow"), make_bob("healthy")
    start("scout", max_calls=8, max_waiting=8)
    gate = Gate()
    slow.does(held(gate, message("at last")))
    healthy.does(echo)
    client = daemon.connect()
    begin(client, "slow", 12)
    complaints = [client.read()["error"] for _ in range(4)]
    slow.peer.wait(4)
    assert {complaint["data"]["kind"] for complaint in complaints} == {"overloaded"}
    assert all(complaint["data"]["retryable"] for complaint in complaints)
    assert "cannot call slow: " in complaints[0]["message"]
    assert "what is left is for other peers" in complaints[0]["message"]
    assert metric(daemon, "molecule_a2a_refused") == {
        'molecule_a2a_refused_total{share="all"}': 0, 'molecule_a2a_refused_total{share="peer"}': 4,
        'molecule_a2a_refused_total{share="caller"}': 0}
    assert metric(daemon, "molecule_a2a_in_flight")["molecule_a2a_in_flight"] == 4
    assert metric(daemon, "molecule_a2a_waiting")["molecule_a2a_waiting"] == 4

    # While it has them all: directly, through the platform, and as a task.
    for route in ("direct", "proxy", "direct", "proxy"):
        assert send(daemon, "healthy", route=route)["text"] == "echo: ping"
    assert delegate(daemon, "healthy") == "completed"
    assert refused(daemon, "slow").kind == "overloaded"
    assert len(slow.requests) == 4

    gate.open()
    assert [client.read()["result"]["text"] for _ in range(8)] == ["at last"] * 8
    assert send(daemon, "slow")["text"] == "at last"


def test_the_platform_that_waits_for_a_peer_leaves_half_to_others(daemon, start, make_bob):
    slow, healthy = make_bob("slow"), make_bob("healthy")
    start("scout", max_calls=8, max_waiting=8)
    gate = Gate()
    slow.does(held(gate, message("at last")))
    healthy.does(echo)
    client = daemon.connect()
    begin(client, "slow", 12, route="proxy")
    assert {client.read()["error"]["data"]["kind"] for _ in range(4)} == {"overloaded"}
    slow.peer.wait(4)
    for route in ("direct", "proxy", "direct", "proxy"):
        assert send(daemon, "healthy", route=route)["text"] == "echo: ping"
    assert delegate(daemon, "healthy") == "completed"
    gate.open()
    assert [client.read()["result"]["text"] for _ in range(8)] == ["at last"] * 8


def test_a_workspace_that_calls_everybody_leaves_something_to_others(daemon, start, make_bob):
    slow = [make_bob(f"slow-{n}") for n in range(8)]
    healthy = make_bob("healthy")
    start("greedy", "modest", max_calls=16, max_waiting=0)
    gate = Gate()
    healthy.does(echo)
    client = daemon.connect()
    for peer in slow:
        peer.does(held(gate, message("at last")))
        begin(client, peer.name, 8, workspace="greedy")
    refusals = []
    while not refusals or "other callers" not in refusals[-1]:
        refusals.append(client.read()["error"]["message"])
    assert "calls by user " in refusals[-1]
    assert sum(metric(daemon, f"molecule_a2a_{where}")[f"molecule_a2a_{where}"]
               for where in ("in_flight", "waiting")) == 14
    assert refused(daemon, "healthy", workspace="greedy").kind == "overloaded"
    assert send(daemon, "healthy", workspace="modest")["text"] == "echo: ping"
    gate.open()


def test_a_peer_that_cannot_be_reached_does_not_hold_up_others(daemon, platform, start, make_bob,
                                                               unreachable):
    """Each try to connect takes two seconds, and not so many are made at a time."""
    platform.register(platform.create("gone"), here(unreachable))
    healthy = make_bob("healthy")
    healthy.does(echo)
    start("scout")
    clients = [daemon.connect() for _ in range(3)]
    for client in clients:
        begin(client, "gone", A_CONNECTION, route="direct")
    while metric(daemon, "molecule_a2a_in_flight")["molecule_a2a_in_flight"] < 300:
        pass
    assert send(daemon, "healthy", route="direct")["text"] == "echo: ping"
    assert metric(daemon, "molecule_a2a_in_flight")["molecule_a2a_in_flight"] > 150
