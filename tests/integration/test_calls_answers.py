# SPDX-License-Identifier: MIT
"""Every shape in which agents answer, and what is made of it."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from callfixtures import bob, make_bob, refused, routes, scout, send
from harness.peer import body, break_off, echo, error, events, huge, message, only_1_0, says, \
    task, task_of

__all__ = ["bob", "make_bob", "scout"]

HERE = Path(__file__).resolve().parent
PARTS = [{"kind": "text", "text": "pong"}]
BOTH = pytest.mark.parametrize("route", ["direct", "proxy"])


@BOTH
@pytest.mark.parametrize("result", [
    {"kind": "message", "role": "agent", "messageId": "m", "parts": PARTS},
    {"parts": PARTS},
    {"parts": [{"type": "text", "text": "pong"}]},
    {"parts": [{"text": "pong"}]},
    {"parts": [{"kind": "data", "data": {}}, {"root": {"kind": "text", "text": "pong"}}]},
    {"parts": [], "artifacts": [{"parts": PARTS}]},
    {"kind": "task", "id": "t", "status": {"state": "completed"}, "artifacts": [{"parts": PARTS}]},
    {"kind": "task", "id": "t", "status": {"state": "failed", "message": {"parts": PARTS}}},
    {"id": "t", "status": {"state": "input-required", "message": {"parts": PARTS}}},
    {"message": {"role": "ROLE_AGENT", "messageId": "m", "parts": [{"text": "pong"}]}},
    {"task": {"id": "t", "status": {"state": "TASK_STATE_COMPLETED"},
              "artifacts": [{"parts": [{"text": "pong"}]}]}},
    "pong",
])
def test_results(daemon, scout, bob, route, result):
    bob.does(says(result))
    answer = send(daemon, route=route)
    assert (answer["outcome"], answer["route"], answer["text"]) == ("answered", route, "pong")
    assert answer["response"]["result"] == result


@BOTH
@pytest.mark.parametrize("result", [None, 7, [], {}, {"parts": [{"kind": "data", "data": {}}]},
                                    {"kind": "task", "status": {"state": "rejected"}}])
def test_results_without_a_text(daemon, scout, bob, route, result):
    bob.does(says(result))
    answer = send(daemon, route=route)
    assert answer["outcome"] == "answered" and answer["text"] is None
    assert answer["response"]["result"] == result


@BOTH
def test_what_the_python_sdk_answers(daemon, scout, bob, route):
    bob.does(body({"status": "ok", "result": "pong"}))
    answer = send(daemon, route=route)
    assert answer["text"] == "pong" and answer["response"] == {"status": "ok", "result": "pong"}


@BOTH
def test_a_stream_of_events(daemon, scout, bob, route):
    """The platform passes it on in one piece, and calls it JSON."""
    bob.does(events(task_of("working"),
                    {"kind": "artifact-update", "taskId": "t-1", "artifact": {"parts": PARTS}},
                    {"kind": "status-update", "taskId": "t-1", "final": True,
                     "status": {"state": "completed"}}))
    answer = send(daemon, route=route)
    assert (answer["outcome"], answer["text"]) == ("answered", "pong")
    assert answer["response"]["result"]["status"] == {"state": "completed"}


@BOTH
def test_a_task_is_followed_to_its_end(daemon, scout, bob, route):
    bob.does(task("submitted"), task("working"), task("completed", "pong"))
    answer = send(daemon, route=route)
    assert (answer["outcome"], answer["text"]) == ("answered", "pong")
    assert answer["response"]["result"]["status"]["state"] == "completed"
    assert [request.json["method"] for request in bob.requests] == [
        "message/send", "tasks/get", "tasks/get"]
    assert all(request.json["params"]["id"] == "t-1" for request in bob.requests[1:])
    assert set(routes(bob)) == {route}


def test_a_task_that_is_lost_has_no_known_outcome(daemon, scout, bob):
    """The peer took it: that nobody can ask any more does not undo that."""
    bob.does(task("working"))
    complaint = refused(daemon, timeout_ms=1500)
    assert complaint.kind == "unknown_outcome"
    methods = [request.json["method"] for request in bob.requests]
    assert methods[0] == "message/send" and set(methods[1:]) <= {"tasks/get"}


def test_a_task_that_the_peer_does_not_know_any_more(daemon, scout, bob):
    bob.does(task("working"), error(-32001, "Task not found"))
    complaint = refused(daemon)
    assert complaint.kind == "peer_error" and "Task not found" in complaint.text
    assert "took the message" in complaint.text     # it is not the message that was refused
    assert routes(bob) == ["direct", "direct"]


def test_the_response_comes_as_it_was_and_on_one_line(daemon, scout, bob):
    text = ('{\n\t"jsonrpc": "2.0",\r\n "id": 1, "result": {"parts": [ {"text": "a  b"} ],'
            ' "n": 12345678901234567890, "x": 1e400, "s": "\\u0000\\ud800"}\n}\n')
    bob.does(body(text.encode()))
    number = daemon.client.send("a2a.send", to="bob", text="ping")
    client = daemon.client
    while b"\n" not in client._input:
        client._input += client.socket.recv(65536)
    line = client._input.partition(b"\n")[0].decode()
    assert ('"response":{"jsonrpc":"2.0","id":1,"result":{"parts":[{"text":"a  b"}],'
            '"n":12345678901234567890,"x":1e400,"s":"\\u0000\\ud800"}}') in line
    assert client.answer(number)["text"] == "a  b"


def test_a_text_is_repaired(daemon, scout, bob):
    bob.does(body(b'{"result":{"parts":[{"text":"a\\u0000b\\ud83dc"}]}}'))
    assert send(daemon)["text"] == "a\ufffdb\ufffdc"


@pytest.mark.parametrize("data, content_type, says_why", [
    (b"", "application/json", "empty"),
    (b"<html>hello</html>", "text/html", "web page"),
    (b'{"jsonrpc":"2.0","id":1,"result":{"parts":[{"te', "application/json", "not JSON"),
    (b'{"result":"\xff"}', "application/json", "not JSON"),
    (b'{"ok":true}', "application/json", "no A2A reply"),
    (b"[]", "application/json", "no A2A reply"),
    (b'{"result":' + b"[" * 100 + b"]" * 100 + b"}", "application/json", "nested deeper"),
    (b": ping\n\n", "text/event-stream", "no reply"),
])
def test_what_is_no_answer(daemon, scout, bob, data, content_type, says_why):
    """The peer has acted, as like as not: it is not asked again."""
    bob.does(body(data, content_type=content_type), echo)
    complaint = refused(daemon)
    assert complaint.kind == "peer_error" and says_why in complaint.text
    assert routes(bob) == ["direct"]


@BOTH
def test_an_answer_that_is_too_deep(daemon, scout, bob, route):
    """The peer has answered, by whichever way: that is not a platform that broke down."""
    bob.does(body(b'{"result":' + b"[" * 500 + b"]" * 500 + b"}"), echo)
    complaint = refused(daemon, route=route)
    assert complaint.kind == "peer_error" and "nested deeper" in complaint.text
    assert routes(bob) == [route]


def test_an_answer_that_breaks_off(daemon, scout, bob):
    bob.does(break_off, echo)
    assert refused(daemon).kind == "unknown_outcome"
    assert routes(bob) == ["direct"]


def until_it_closes(data, version="1.0"):
    """As the simplest of servers answer: the end of the connection is that of the answer."""
    def deed(exchange):
        exchange.send(f"HTTP/{version} 200 OK\r\nContent-Type: application/json\r\n\r\n".encode())
        exchange.send(data)
        exchange.close()
    return deed


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_answer_that_ends_with_its_connection(daemon, scout, bob, version):
    whole = json.dumps({"jsonrpc": "2.0", "id": 1, "result": "pong"}).encode()
    bob.does(until_it_closes(whole, version), until_it_closes(whole[:-2], version))
    assert send(daemon)["text"] == "pong"
    complaint = refused(daemon)
    assert complaint.kind == "unknown_outcome" and "not whole" in complaint.text
    assert routes(bob) == ["direct"] * 2


def test_an_answer_that_breaks_off_behind_the_platform(daemon, scout, bob):
    bob.does(break_off, echo)
    assert refused(daemon, route="proxy").kind == "unknown_outcome"
    assert routes(bob) == ["proxy"]


@BOTH
def test_an_answer_that_does_not_end(daemon, scout, bob, route):
    bob.does(huge(64 << 20), echo)
    complaint = refused(daemon, route=route)
    assert complaint.kind in ("too_large", "unknown_outcome", "peer_error")
    assert routes(bob) == [route]
    assert send(daemon)["outcome"] == "answered"


def test_an_error_of_the_peer_behind_the_platform(daemon, scout, bob):
    """The platform keeps the status and one sentence of it."""
    for status in (400, 401, 402, 403, 404, 409, 500):
        bob.does(body({"error": "out of order"}, status))
        complaint = refused(daemon, route="proxy")
        assert complaint.kind == "peer_error" and complaint.data["http_status"] == status
        assert "out of order" in complaint.text


def test_a_peer_that_wants_fewer_requests(daemon, scout, bob):
    bob.does(body({"error": "slow down"}, 429, [("Retry-After", "7")]), echo)
    complaint = refused(daemon)
    assert complaint.kind == "rate_limited" and complaint.data["retryable"]
    assert complaint.data["retry_after_ms"] == 7000
    assert routes(bob) == ["direct"]


# ---- the other version ----

def test_a_peer_of_1_0_is_spoken_to_in_its_words(daemon, scout, bob):
    """It is found out once."""
    bob.does(only_1_0)
    for text in ("ping", "pong"):
        answer = send(daemon, text=text)
        assert (answer["route"], answer["text"]) == ("direct", f"one: {text}")
    assert [request.json["method"] for request in bob.requests] == [
        "message/send", "SendMessage", "SendMessage"]
    first, second, third = bob.requests
    assert not first.header("A2A-Version") and second.header("A2A-Version") == "1.0"
    assert first.message["messageId"] == second.message["messageId"]
    assert second.message == {"role": "ROLE_USER", "messageId": first.message["messageId"],
                              "parts": [{"text": "ping"}]}
    assert third.message["messageId"] != first.message["messageId"]


def test_a_peer_that_speaks_neither_version(daemon, scout, bob):
    bob.does(error(-32601, "Method not found"))
    complaint = refused(daemon)
    assert complaint.kind == "peer_error" and "Method not found" in complaint.text
    assert [request.json["method"] for request in bob.requests] == ["message/send", "SendMessage"]


def test_a_peer_that_went_back_to_0_3(daemon, scout, bob):
    bob.does(only_1_0)
    send(daemon)
    bob.does(error(-32601, "Method not found"), message("pong"))
    assert send(daemon)["text"] == "pong"
    assert bob.requests[-1].json["method"] == "message/send"


# ---- agents of other people ----

@pytest.fixture
def stranger():
    """Starts an agent on somebody else's SDK: its URL, by the name that the platform takes."""
    modules = os.environ.get("MOLECULE_NODE_MODULES", "")
    if not os.path.isdir(modules):
        pytest.skip("no packages of npm: set MOLECULE_NODE_MODULES to what tools/node-modules "
                    "prints")
    started = []

    def start(version):
        process = subprocess.Popen(["node", HERE / "peers" / f"a2a-{version}.js"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True,
                                   env={**os.environ, "NODE_PATH": modules})
        started.append(process)
        url = process.stdout.readline().strip()
        assert url, "the agent has not started"
        return url.replace("127.0.0.1", "localhost")

    yield start
    for process in started:
        process.stdin.close()
        assert process.wait(20) == 0


@BOTH
def test_the_sdk_for_0_3(daemon, scout, bob, stranger, route):
    bob.register(stranger("0.3"))
    daemon.call("peers.list", refresh=True)
    answer = send(daemon, route=route)
    assert (answer["outcome"], answer["route"], answer["text"]) == ("answered", route, "0.3: ping")
    given = {"parts": [{"text": "a"}, {"data": {"n": 1}}, {"file": {"uri": "u", "name": "f"}}]}
    assert send(daemon, message=given, route=route)["text"] == '0.3: a|{"n":1}|f=u'
    for state in ("completed", "input-required", "failed"):
        answer = send(daemon, text=f"task {state}", route=route)
        assert answer["text"] == f"0.3: task {state}"
        assert answer["response"]["result"]["status"]["state"] == state


def test_the_sdk_for_1_0(daemon, scout, bob, stranger):
    """It does not understand 0.3, which the platform's own agents speak."""
    bob.register(stranger("1.0"))
    daemon.call("peers.list", refresh=True)
    answer = send(daemon)
    assert (answer["outcome"], answer["route"], answer["text"]) == (
        "answered", "direct", "1.0: ping")
    given = {"parts": [{"kind": "text", "text": "a"}, {"kind": "data", "data": {"n": 1}},
                       {"kind": "file", "file": {"bytes": "YQ==", "name": "f"}},
                       {"kind": "file", "file": {"uri": "u", "name": "g"}}], "extra": 1}
    assert send(daemon, message=given)["text"] == '1.0: a|{"n":1}|f=YQ==|g=u'
    for state in ("COMPLETED", "INPUT_REQUIRED", "FAILED"):
        answer = send(daemon, text=f"task TASK_STATE_{state}")
        assert answer["text"] == f"1.0: task TASK_STATE_{state}"
        assert json.dumps(answer["response"]).count(f'"state": "TASK_STATE_{state}"') == 1


@pytest.mark.dev_platform
def test_the_stand_ins_own_agents(platform, daemon, scout, bob):
    agent = platform.dev.call("POST", "agents", {"name": "echo"})
    bob.register(agent["url"].replace("127.0.0.1", "localhost"))
    daemon.call("peers.list", refresh=True)
    for route in ("direct", "proxy"):
        assert send(daemon, route=route)["text"] == "echo: ping"
    platform.dev.call("DELETE", "agents/echo")
