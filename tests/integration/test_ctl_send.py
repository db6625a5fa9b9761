# SPDX-License-Identifier: MIT
"""molecule-agentctl send: a message to a peer, and what comes back."""

import json
import uuid

import pytest

from ctlfixtures import talk
from fakedaemon import HANG_UP, Error

pytest_plugins = "ctlfixtures"

RESPONSE = {"jsonrpc": "2.0", "id": "1", "result": {"parts": [{"kind": "data", "data": {"n": 1}}]}}
ANSWERED = {"outcome": "answered", "route": "direct", "message_id": "m-1", "text": "pong,\n“well”",
            "response": RESPONSE, "queue_id": None}
QUEUED = {"outcome": "queued", "route": "proxy", "message_id": "m-1", "text": None,
          "response": None, "queue_id": "q-1"}


def test_the_answer_is_printed(fake, run):
    fake.answers["a2a.send"] = ANSWERED
    assert run("-w", "laptop", "send", "lab", "ping") == "pong,\n“well”\n"
    assert json.loads(run("send", "lab", "ping", "--json")) == ANSWERED
    sent = fake.params_of("a2a.send")
    assert len({uuid.UUID(params.pop("message_id")) for params in sent}) == 2
    assert sent == [
        {"workspace": "laptop", "to": "lab", "text": "ping"}, {"to": "lab", "text": "ping"}]


def test_an_answer_without_text_is_printed_whole(fake, run):
    fake.answers["a2a.send"] = {**ANSWERED, "text": None}
    assert json.loads(run("send", "lab", "ping")) == RESPONSE


def test_a_peer_cannot_act_on_a_terminal(fake, run):
    """Whoever pipes it on gets it as it is; on a terminal it is lines of text."""
    said = "one\ttwo\n\x1b]0;mine\x07\x1b[2J\u202e\x9b31m“three”\r\n"
    fake.answers["a2a.send"] = {**ANSWERED, "text": said}
    assert run("send", "lab", "ping") == said.replace("\r\n", "\n") + "\n"  # text mode reads \r\n so
    shown, status = talk(run, "send", "lab", "ping")
    assert status == 0
    assert shown.replace("\r\n", "\n") == (
        "one\ttwo\n\ufffd]0;mine\ufffd\ufffd[2J\ufffd\ufffd31m“three” \n\n")


def test_the_text_comes_from_standard_input(fake, run):
    fake.answers["a2a.send"] = ANSWERED
    run("send", "lab", "-", stdin="two\nlines \"here\"\n")
    assert fake.params_of("a2a.send")[0]["text"] == "two\nlines \"here\"\n"


def test_no_text_is_none(fake, run):
    run("send", "lab", "-", stdin="", status=64, said="the text is empty")
    run("send", "lab", "", status=64, said="the text is empty")
    run("send", "lab", "-", stdin="a\0b", status=65, said="NUL")
    run("send", "lab", b"\xffa", status=65, said="not UTF-8")
    run("send", "lab", b"cut: \xe2\x82", status=65, said="not UTF-8")
    run("send", "lab", status=64)
    assert fake.calls == []


def test_route_id_and_time_go_along(fake, run):
    fake.answers["a2a.send"] = ANSWERED
    run("send", "--route", "proxy", "--message-id", "m-1", "--timeout", "2min", "lab", "ping")
    assert fake.params_of("a2a.send") == [{"to": "lab", "text": "ping", "route": "proxy",
                                           "message_id": "m-1", "timeout_ms": 120000}]


def test_a_queued_message_has_an_exit_status_of_its_own(fake, run):
    fake.answers["a2a.send"] = QUEUED
    assert run("send", "lab", "ping", status=13, said="queued the message") == ""
    assert json.loads(run("send", "--json", "lab", "ping", status=13, said="queued")) == QUEUED


@pytest.mark.parametrize("code, kind, status", [
    (-32004, "unavailable", 69), (-32007, "timeout", 75), (-32011, "unknown_outcome", 12),
    (-32012, "peer_error", 76), (-32013, "not_permitted", 77), (-32010, "too_large", 65)])
def test_what_became_of_it_is_the_exit_status(fake, run, code, kind, status):
    fake.answers["a2a.send"] = Error(code, kind, f"it was {kind}")
    run("send", "lab", "ping", status=status, said=f"it was {kind}")


def test_a_daemon_that_goes_away_may_have_sent_it(fake, run):
    fake.answers["a2a.send"] = HANG_UP
    run("send", "--message-id", "m-1", "lab", "ping", status=12, said="--message-id m-1")


def test_whoever_is_told_to_use_the_same_id_is_told_which(fake, run):
    fake.answers["a2a.send"] = Error(-32011, "unknown_outcome", "nobody knows")
    child = run.start("send", "lab", "ping")
    said = child.communicate()[1]
    assert child.returncode == 12
    [params] = fake.params_of("a2a.send")
    assert f"--message-id {params['message_id']}\n" in said


def test_completion_knows_peers_and_routes(fake, run):
    fake.answers["peers.list"] = {"peers": [{"id": "1", "name": "lab"}, {"id": "2", "name": "ops"}]}

    def offered(*words):
        return [line.split("\t")[0] for line in run("_complete", "--", *words).splitlines()]

    assert offered("send", "") == ["lab", "ops"]
    assert offered("send", "lab", "") == []
    assert offered("send", "--route", "") == ["auto", "direct", "proxy"]
