# SPDX-License-Identifier: MIT
"""Calling a peer: by which way, how often, and what is told of it."""

import time
import uuid

import pytest

from callfixtures import NEAR, bob, here, is_direct, make_bob, message_ids, refused, \
    routes, scout, send
from harness import QUIET, Client, Gate, Peer, RpcError
from harness.peer import Deaf, body, echo, error, hang_up, held, message, self_signed

__all__ = ["bob", "make_bob", "scout"]


# ---- an answer ----

@pytest.mark.smoke
def test_a_peer_answers(daemon, scout, bob):
    answer = send(daemon, "bob", "ping “ü”")
    assert answer["outcome"] == "answered" and answer["route"] == "direct"
    assert answer["text"] == "echo: ping “ü”"
    assert answer["response"]["result"]["parts"][0]["text"] == answer["text"]
    assert uuid.UUID(answer["message_id"])
    [request] = bob.requests
    assert request.method == "POST" and request.path == "/a2a" and is_direct(request)
    assert request.json["jsonrpc"] == "2.0" and request.json["method"] == "message/send"
    assert request.message == {
        "kind": "message", "role": "user", "messageId": answer["message_id"],
        "parts": [{"kind": "text", "text": "ping “ü”"}]}


def test_a_peer_answers_by_way_of_the_platform(daemon, scout, bob):
    answer = send(daemon, route="proxy")
    assert (answer["outcome"], answer["route"], answer["text"]) == (
        "answered", "proxy", "echo: ping")
    assert routes(bob) == ["proxy"]
    assert message_ids(bob) == {answer["message_id"]}


def test_who_may_not_be_called_directly_is_called_by_way_of_the_platform(platform, daemon, bob):
    """Loopback is not where a stranger should be sent, unless somebody said so."""
    daemon.add(platform.create("scout"), **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    assert send(daemon)["route"] == "proxy"
    assert routes(bob) == ["proxy"]
    assert refused(daemon, route="direct").kind == "unavailable"
    assert routes(bob) == ["proxy"]


def test_why_a_peer_cannot_be_called_directly(daemon, scout, bob, make_bob):
    shy = make_bob("shy", registered=False)
    bob.register(f"http://somebody@localhost:{bob.peer.port}/a2a")
    assert "it has registered no URL" in refused(daemon, shy, route="direct").text
    assert "peer_networks in agentd.conf(5) says which" in refused(daemon, route="direct").text


def test_a_peer_is_known_by_id_and_by_name(daemon, scout, bob):
    for to in (bob.id, bob.id.upper(), "bob"):
        assert send(daemon, to)["text"] == "echo: ping"


def test_a_name_that_two_have_is_ambiguous(daemon, scout, bob, make_bob):
    other = make_bob("bob")
    error = refused(daemon)
    assert error.kind == "conflict" and "give its id" in error.text
    assert send(daemon, other)["outcome"] == "answered"
    assert (len(bob.requests), len(other.requests)) == (0, 1)


def test_nobody_of_that_name(daemon, scout):
    assert refused(daemon, "nobody-at-all").kind == "not_found"


def test_nobody_of_that_id(daemon, scout):
    """The platform does not say whether there is one who may not be called."""
    assert refused(daemon, str(uuid.uuid4())).kind in ("not_found", "not_permitted")


def test_strangers_may_not_talk(daemon, scout, bob, make_bob):
    """Uncle and nephew: the platform's hierarchy."""
    nephew = make_bob("nephew", parent_id=bob.id)
    assert refused(daemon, nephew).kind == "not_permitted"
    assert nephew.requests == []


def test_ones_own_message_id(daemon, scout, bob):
    assert send(daemon, message_id="m-7")["message_id"] == "m-7"
    assert message_ids(bob) == {"m-7"}


def test_many_calls_at_once(daemon, scout, make_bob):
    """Each gets its own answer, in whatever order they come."""
    bobs = [make_bob(f"bob-{number}") for number in range(4)]
    numbers = [daemon.client.send("a2a.send", to=bobs[n % 4].id, text=f"ping {n}")
               for n in range(64)]
    for n, number in enumerate(numbers):
        assert daemon.client.answer(number)["text"] == f"echo: ping {n}"
    assert sum(len(bob.requests) for bob in bobs) == 64
    assert len(message_ids(*bobs)) == 64


# ---- a message of one's own ----

def test_a_whole_message(daemon, scout, bob):
    given = {"contextId": "c-1", "taskId": "t-1", "metadata": {"source": "test", "n": 1},
             "extra": [1.0, None], "parts": [
                 {"text": "bare"}, {"type": "text", "text": "typed"},
                 {"kind": "file", "file": {"uri": "workspace:/a", "name": "a", "size": 3}},
                 {"data": {"answer": 42}}]}
    answer = send(daemon, message=given)
    heard = bob.requests[0].message
    assert heard.pop("messageId") == answer["message_id"]
    assert heard == {**given, "kind": "message", "role": "user", "parts": [
        {"kind": "text", "text": "bare"}, {"kind": "text", "text": "typed"},
        {"kind": "file", "file": {"uri": "workspace:/a", "name": "a", "size": 3}},
        {"kind": "data", "data": {"answer": 42}}]}


def test_a_message_brings_its_id(daemon, scout, bob):
    parts = [{"text": "ping"}]
    assert send(daemon, message={"messageId": "m-8", "parts": parts})["message_id"] == "m-8"
    answer = send(daemon, message={"parts": parts}, message_id="m-9")
    assert answer["message_id"] == "m-9"
    assert [request.message["messageId"] for request in bob.requests] == ["m-8", "m-9"]
    complaint = refused(daemon, message={"messageId": "m-8", "parts": parts}, message_id="m-9")
    assert complaint.kind == "invalid_params" and "differ" in complaint.text


@pytest.mark.parametrize("params, says", [
    ({"text": None}, "text"),
    ({"text": None, "message": None}, "text"),
    ({"message": {}}, "parts"), ({"message": {"parts": []}}, "at least one part"),
    ({"message": []}, "message"), ({"message": {"parts": [{"kind": "x"}]}}, "message.parts[0]"),
    ({"text": 7}, "text"), ({"text": "a", "message_id": ""}, "message_id"),
    ({"text": "a", "message_id": "x" * 257}, "message_id"),
    ({"text": "a", "route": "scenic"}, "route"), ({"text": "a", "timeout_ms": 0}, "timeout_ms"),
    ({"text": "a", "timeout_ms": "1s"}, "timeout_ms"),
])
def test_what_cannot_be_sent_says_why(daemon, scout, bob, params, says):
    complaint = refused(daemon, **params)
    assert complaint.kind == "invalid_params" and says in complaint.text
    assert bob.requests == []


def test_a_text_or_a_message_and_not_both(daemon, scout, bob):
    with pytest.raises(RpcError) as caught:
        daemon.call("a2a.send", to="bob", text="a", message={"parts": [{"text": "a"}]})
    assert caught.value.kind == "invalid_params" and "text" in caught.value.text
    assert bob.requests == []


def test_a_message_that_the_platform_would_cut_off(daemon, scout, bob):
    complaint = refused(daemon, text="x" * (1 << 20))
    assert complaint.kind == "too_large" and "1048576" in complaint.text
    assert refused(daemon, text="x" * (1 << 20), route="direct").kind == "too_large"
    assert bob.requests == []
    long = "x" * ((1 << 20) - 1000)
    for route in ("direct", "proxy"):
        assert send(daemon, text=long, route=route)["text"] == f"echo: {long}"


# ---- the other way ----

def test_a_dead_peer_is_called_by_way_of_the_platform(daemon, scout, bob):
    """What the daemon remembers is old: the peer has moved, as the platform knows."""
    with Peer() as grave:
        dead = grave.port
    bob.register(here(dead))
    daemon.call("peers.list", refresh=True)
    bob.register()
    answer = send(daemon)
    assert (answer["route"], answer["text"]) == ("proxy", "echo: ping")
    assert routes(bob) == ["proxy"]
    assert message_ids(bob) == {answer["message_id"]}


def test_a_peer_that_nobody_reaches(daemon, scout, bob):
    bob.peer.stop()
    complaint = refused(daemon)
    assert complaint.kind == "unavailable" and complaint.data["retryable"]
    assert refused(daemon, route="direct").kind == "unavailable"


def test_a_broken_peer_is_called_by_way_of_the_platform(daemon, scout, bob):
    bob.does(body({"error": "out of order"}, 500), echo)
    answer = send(daemon)
    assert (answer["route"], answer["text"]) == ("proxy", "echo: ping")
    assert routes(bob) == ["direct", "proxy"]
    assert message_ids(bob) == {answer["message_id"]}
    assert len({request.json["id"] for request in bob.requests}) == 1


def test_a_peer_that_is_broken_on_both_ways(daemon, scout, bob):
    bob.does(body({"error": "out of order"}, 500))
    complaint = refused(daemon)
    assert complaint.kind == "peer_error" and complaint.data["http_status"] == 500
    assert complaint.data["retryable"] and "out of order" in complaint.text
    assert routes(bob) == ["direct", "proxy"]


def test_a_peer_that_nobody_lets_in(daemon, scout, bob):
    """Its host is there, and its queue full: that shows after a while, and nothing was sent."""
    with Deaf() as deaf:
        bob.register(deaf.url.replace("127.0.0.1", "localhost"))
        daemon.call("peers.list", refresh=True)
        bob.register()
        answer = send(daemon)
        assert (answer["route"], answer["text"]) == ("proxy", "echo: ping")
    assert routes(bob) == ["proxy"]


def test_a_certificate_that_nobody_trusts(daemon, scout, bob, tmp_path):
    with Peer(tls=self_signed(tmp_path)) as impostor:
        bob.register(f"https://localhost:{impostor.port}/a2a")
        daemon.call("peers.list", refresh=True)
        complaint = refused(daemon, route="direct")
        assert complaint.kind == "unavailable" and "trust" in complaint.text
        bob.register()
        assert send(daemon)["route"] == "proxy"
        assert impostor.requests == []
    assert routes(bob) == ["proxy"]


@pytest.mark.parametrize("code", [-32603, -32001, -1])
def test_a_peer_that_says_no_is_not_asked_twice(daemon, scout, bob, code):
    bob.does(error(code, "not today"), echo)
    complaint = refused(daemon)
    assert complaint.kind == "peer_error" and "not today" in complaint.text
    assert str(code) in complaint.text and not complaint.data["retryable"]
    assert routes(bob) == ["direct"]


@pytest.mark.parametrize("status", [400, 401, 403, 409, 422])
def test_a_peer_that_refuses_is_not_asked_twice(daemon, scout, bob, status):
    bob.does(body({"error": "not for you"}, status), echo)
    complaint = refused(daemon)
    assert complaint.kind == "peer_error" and complaint.data["http_status"] == status
    assert "not for you" in complaint.text and routes(bob) == ["direct"]


# ---- nobody knows ----

def test_a_peer_that_takes_the_message_and_dies(daemon, scout, bob):
    bob.does(hang_up, echo)
    complaint = refused(daemon, message_id="m-1")
    assert complaint.kind == "unknown_outcome" and not complaint.data["retryable"]
    # Whoever called may ask again, and says that it is the same message.
    assert send(daemon, message_id="m-1")["text"] == "echo: ping"
    assert len(bob.requests) == 2 and message_ids(bob) == {"m-1"}


def test_an_id_that_was_made_up_is_told_for_the_next_try(daemon, scout, bob):
    """Else whoever gave none could not send the same message again."""
    bob.does(hang_up, echo)
    made_up = refused(daemon).data["message_id"]
    assert send(daemon, message_id=made_up)["text"] == "echo: ping"
    assert len(bob.requests) == 2 and message_ids(bob) == {made_up}
    # What was never begun has none.
    assert "message_id" not in refused(daemon, text=None).data


def test_a_kept_connection_that_dies_with_the_message(daemon, scout, bob):
    """A request on a connection that was good a moment ago is not sent again behind our back."""
    bob.does(echo, hang_up, echo)
    send(daemon)
    assert refused(daemon).kind == "unknown_outcome"
    assert len(bob.requests) == 2


def test_a_peer_that_closes_connections_unannounced_is_dialled_each_time(daemon, scout, bob):
    """As simple servers do. Once nobody knows what became of a message; not time and again."""
    bob.does(echo, hang_up, echo)
    send(daemon)
    assert refused(daemon).kind == "unknown_outcome"
    for _ in range(3):
        send(daemon)
    connections = [request.connection for request in bob.requests]
    assert connections[0] == connections[1] and len(set(connections[1:])) == 4


def test_a_peer_that_does_not_answer_in_time(daemon, scout, bob):
    gate = Gate()
    bob.does(held(gate, echo), echo)
    complaint = refused(daemon, timeout_ms=600)
    assert complaint.kind == "unknown_outcome" and routes(bob) == ["direct"]
    gate.open()
    assert send(daemon)["outcome"] == "answered"
    assert routes(bob)[0] == "direct" and len(bob.requests) == 2


def test_a_platform_that_does_not_answer_in_time(daemon, scout, bob):
    gate = Gate()
    bob.does(held(gate, echo))
    complaint = refused(daemon, timeout_ms=600, route="proxy")
    assert complaint.kind == "unknown_outcome" and routes(bob) == ["proxy"]
    gate.open()


def test_time_that_runs_out_before_anything_was_sent(daemon, scout, bob):
    with Deaf() as deaf:
        bob.register(deaf.url.replace("127.0.0.1", "localhost"))
        daemon.call("peers.list", refresh=True)
        complaint = refused(daemon, route="direct", timeout_ms=500)
    assert complaint.kind == "timeout" and complaint.data["retryable"]
    assert bob.requests == []


def test_both_ways_together_end_in_time(daemon, scout, bob):
    """Two seconds for somebody who does not let us in; the rest is for the platform."""
    gate = Gate()
    bob.does(held(gate, echo))
    with Deaf() as deaf:
        bob.register(deaf.url.replace("127.0.0.1", "localhost"))
        daemon.call("peers.list", refresh=True)
        bob.register()
        began = time.monotonic()
        complaint = refused(daemon, timeout_ms=3500)
        assert time.monotonic() - began > 3.4
    assert complaint.kind == "unknown_outcome"
    assert routes(bob) == ["proxy"]
    gate.open()


# ---- later ----

def test_a_busy_peer_gets_it_later(daemon, scout, bob):
    """The platform keeps what a peer hung up on, and never tells what became of it."""
    bob.does(hang_up)
    answer = send(daemon, route="proxy")
    assert answer["outcome"] == "queued" and answer["route"] == "proxy"
    assert uuid.UUID(answer["queue_id"]) and answer["message_id"]
    assert answer["text"] is None and answer["response"] is None


@pytest.mark.dev_platform
def test_a_peer_that_polls_gets_it_later(start_platform, start_daemon):
    platform = start_platform(generation="2026-08")
    scout, bob = platform.create("scout"), platform.create("bob")
    reply = platform.call("POST", "/registry/register", {
        "id": bob.id, "delivery_mode": "poll", "agent_card": {"name": "bob"}}, token=bob.token)
    assert reply.status == 200, reply.body
    daemon = start_daemon()
    daemon.add(scout, peer_networks=NEAR, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    answer = send(daemon)
    assert (answer["outcome"], answer["route"]) == ("queued", "proxy")
    assert not answer.get("queue_id")
    rows = platform.call("GET", f"/workspaces/{bob.id}/activity", token=bob.token).json()
    assert [row["request_body"]["params"]["message"]["messageId"] for row in rows
            if row["activity_type"] == "a2a_receive"] == [answer["message_id"]]


def test_a_peer_whose_budget_is_spent(daemon, scout, make_bob):
    bob = make_bob(budget_limit=100)
    bob.beat(monthly_spend=100)
    complaint = refused(daemon, bob, route="proxy")
    assert complaint.kind == "budget_exceeded" and complaint.data["http_status"] == 402
    assert bob.requests == []


# ---- not now, no more ----

def test_a_call_that_is_cancelled(daemon, scout, bob):
    gate = Gate()
    bob.does(held(gate, echo))
    number = daemon.client.send("a2a.send", to="bob", text="ping")
    bob.peer.wait(1)
    daemon.client.notify("rpc.cancel", id=number)
    with pytest.raises(RpcError) as caught:
        daemon.client.answer(number)
    assert caught.value.kind == "cancelled"
    gate.open()
    bob.does(message("still here"))
    assert send(daemon)["text"] == "still here"


def test_who_hangs_up_cancels_its_calls(daemon, scout, bob):
    gate = Gate()
    bob.does(held(gate, echo))
    with Client(daemon.socket) as client:
        client.send("a2a.send", to="bob", text="ping")
        bob.peer.wait(1)
    gate.open()
    bob.does(echo)
    assert send(daemon)["outcome"] == "answered"
    assert len(bob.requests) == 2


def test_a_paused_workspace_calls_nobody(platform, daemon, scout, bob):
    gate = Gate()
    bob.does(held(gate, echo))
    number = daemon.client.send("a2a.send", to="bob", text="ping")
    bob.peer.wait(1)
    platform.pause(scout)
    daemon.retry("scout")
    daemon.wait_state("scout", "paused")
    assert refused(daemon).kind == "paused"
    # What was out already may come home.
    gate.open()
    try:
        assert daemon.client.answer(number)["outcome"] == "answered"
    except RpcError as ended:
        assert ended.kind == "paused"
    assert len(bob.requests) == 1


def test_a_workspace_that_leaves_says_so_to_who_waits(daemon, scout, bob):
    gate = Gate()
    bob.does(held(gate, echo))
    number = daemon.client.send("a2a.send", to="bob", text="ping")
    bob.peer.wait(1)
    with daemon.connect() as other:
        other.call("workspace.leave")
    with pytest.raises(RpcError, match="it was sent, and scout is leaving; the peer may") as caught:
        daemon.client.answer(number)
    gate.open()
    assert caught.value.kind == "unknown_outcome"
    assert message_ids(bob) == {caught.value.data["message_id"]}


def test_a_deleted_workspace_calls_nobody(platform, daemon, scout, bob):
    platform.delete(scout)
    daemon.retry("scout")
    daemon.wait_state("scout", "removed")
    assert refused(daemon).kind == "removed"
    assert bob.requests == []


def test_stopping_answers_those_who_wait(daemon, scout, bob):
    """Within stop_timeout they may still get their answer."""
    gate = Gate()
    bob.does(held(gate, echo))
    number = daemon.client.send("a2a.send", to="bob", text="ping")
    bob.peer.wait(1)
    daemon.signal(15)
    daemon.wait_message("STOPPING=1")
    gate.open()
    assert daemon.client.answer(number)["text"] == "echo: ping"
    assert daemon.wait_exit() == 0
