# SPDX-License-Identifier: MIT
"""Calls to peers: who may be called, how many at a time, and how they end with the daemon."""

import json
import signal

import pytest

from harness import RpcError
from harness.peer import Gate, body, held, message

LOOPBACK = "127.0.0.0/8"


@pytest.fixture
def other(platform, peer):
    """The workspace that stands at the peer's URL."""
    other = platform.create("other")
    platform.register(other, f"http://localhost:{peer.port}/a2a")
    return other


@pytest.fixture
def start(platform, daemon, other):
    """Starts the daemon with one workspace, scout, whose peers may be on this host."""
    def start(**sections):
        networks = sections.pop("peer_networks", LOOPBACK)
        scout = platform.create("scout")
        daemon.configure(**sections)
        daemon.add(scout, peer_networks=networks)
        daemon.start()
        daemon.wait_state("scout", "online")
    return start


def send(daemon, **params):
    return daemon.call("a2a.send", to="other", text="ping", **params)


def metric(daemon, name):
    text = daemon.call("daemon.metrics")["text"]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
            for line in text.splitlines() if line.startswith(name)}


def begin(client, *numbers):
    """A call for each number, all at once."""
    client.write("".join(json.dumps({"jsonrpc": "2.0", "id": number, "method": "a2a.send",
                                     "params": {"to": "other", "text": str(number)}}) + "\n"
                         for number in numbers))


@pytest.mark.smoke
@pytest.mark.dev_platform
def test_a_peer_of_this_host_is_called_directly_where_that_was_allowed(daemon, start, peer):
    start()
    peer.does(message("pong"))
    answer = send(daemon)
    assert answer["route"] == "direct" and answer["text"] == "pong"
    heard = peer.wait(1)[0]
    assert heard.header("X-Workspace-ID") and not heard.header("Authorization")
    assert heard.message["messageId"] == answer["message_id"]
    assert answer["response"]["result"]["parts"][0]["text"] == "pong"


@pytest.mark.dev_platform
def test_and_through_the_platform_where_it_was_not(daemon, start, peer):
    start(peer_networks=None)
    peer.does(message("pong"))
    assert send(daemon)["route"] == "proxy"
    # It was the platform that came.
    assert not peer.wait(1)[0].header("X-Workspace-ID")
    assert peer.n_connections == 1
    [row] = daemon.call("peers.list", query="other")["peers"]
    assert row["route"] == "proxy" and row["breaker"] == "closed"
    with pytest.raises(RpcError) as refused:
        send(daemon, route="direct")
    assert refused.value.kind == "unavailable"
    assert peer.n_connections == 1


@pytest.mark.dev_platform
def test_what_a_peer_failed_at_goes_on_through_the_platform(daemon, start, peer):
    start()
    peer.does(body("", 503), message("pong"))
    answer = send(daemon)
    assert answer["route"] == "proxy" and answer["text"] == "pong"
    first, second = peer.wait(2)
    assert first.header("X-Workspace-ID") and not second.header("X-Workspace-ID")
    assert first.message == second.message and first.json["id"] == second.json["id"]
    assert metric(daemon, "molecule_a2a_fallbacks_total") == {"molecule_a2a_fallbacks_total": 1}
    [row] = daemon.call("peers.list", query="other")["peers"]
    assert row["route"] == "proxy"
    # For a while; unless somebody knows better.
    assert send(daemon)["route"] == "proxy"
    daemon.call("peers.invalidate", peer="other")
    assert send(daemon)["route"] == "direct"


@pytest.mark.dev_platform
def test_who_comes_after_so_many_is_told_so_and_the_others_are_served(daemon, start, peer):
    start(calls={"max_calls": 4, "max_waiting": 6})     # of which one peer may have half
    gate = Gate()
    peer.does(held(gate, message("pong")))
    client = daemon.connect()
    begin(client, *range(7))
    refused = [client.read(), client.read()]
    assert {answer["error"]["data"]["kind"] for answer in refused} == {"overloaded"}
    assert all(answer["error"]["data"]["retryable"] for answer in refused)
    assert [answer["id"] for answer in refused] == [5, 6]
    peer.wait(2)
    assert metric(daemon, "molecule_a2a_in_flight")["molecule_a2a_in_flight"] == 2
    assert metric(daemon, "molecule_a2a_waiting")["molecule_a2a_waiting"] == 3
    # Nothing else waits for them.
    daemon.call("secrets.refresh")
    daemon.refresh("scout")

    gate.open()
    assert {client.read()["id"] for _ in range(5)} == {0, 1, 2, 3, 4}
    assert len(peer.requests) == 5
    calls = metric(daemon, "molecule_a2a_calls_total")
    assert calls['molecule_a2a_calls_total{route="direct",outcome="answered"}'] == 5
    assert calls['molecule_a2a_calls_total{route="none",outcome="overloaded"}'] == 2


@pytest.mark.dev_platform
def test_limits_can_be_changed_while_calls_are_out(daemon, start, peer):
    start(calls={"max_calls": 1, "max_waiting": 8})
    gate = Gate()
    peer.does(held(gate, message("pong")))
    client = daemon.connect()
    begin(client, 1, 2)
    peer.wait(1)
    daemon.configure(calls={"max_calls": 3})
    assert daemon.call("daemon.reload")["changed"]
    peer.wait(2)
    gate.open()
    assert {client.read()["id"] for _ in range(2)} == {1, 2}


@pytest.mark.dev_platform
def test_a_call_that_is_cancelled_ends_here(daemon, start, peer):
    start()
    gate = Gate()
    peer.does(held(gate, message("pong")))
    client = daemon.connect()
    begin(client, 1)
    peer.wait(1)
    client.write('{"jsonrpc":"2.0","method":"rpc.cancel","params":{"id":1}}\n')
    assert client.read()["error"]["data"]["kind"] == "cancelled"
    begin(client, 2)
    peer.wait(2)
    client.close()
    cancelled = 'molecule_a2a_calls_total{route="direct",outcome="cancelled"}'
    while metric(daemon, "molecule_a2a_calls_total").get(cancelled) != 2:
        pass
    assert metric(daemon, "molecule_a2a_in_flight")["molecule_a2a_in_flight"] == 0
    gate.open()


@pytest.mark.dev_platform
def test_a_daemon_that_stops_waits_for_the_answers(daemon, start, peer):
    start()
    gate = Gate()
    peer.does(held(gate, message("pong")))
    client = daemon.connect()
    begin(client, 1)
    peer.wait(1)
    daemon.signal(signal.SIGTERM)
    daemon.wait_message("STOPPING=1")
    gate.open()
    assert client.read()["result"]["text"] == "pong"
    assert daemon.wait_exit() == 0


@pytest.mark.dev_platform
def test_but_not_for_ever(daemon, start, peer):
    start(daemon={"stop_timeout": "200ms"})
    gate = Gate()
    peer.does(held(gate, message("pong")))
    client = daemon.connect()
    begin(client, 1)
    peer.wait(1)
    daemon.signal(signal.SIGTERM)
    assert client.read()["error"]["data"]["kind"] == "cancelled"
    assert daemon.wait_exit() == 0
    gate.open()


@pytest.mark.dev_platform
def test_time_that_runs_out_says_what_was_done(daemon, start, peer):
    start()
    gate = Gate()
    peer.does(held(gate, message("pong")))
    with pytest.raises(RpcError) as failed:
        send(daemon, timeout_ms=300)
    assert failed.value.kind == "unknown_outcome"
    gate.open()
