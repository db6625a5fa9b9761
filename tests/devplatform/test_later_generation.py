# SPDX-License-Identifier: MIT
"""The later generation of the API, as far as it is known: polling, cursors, 410."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from .harness import ADMIN_TOKEN, Created, Reply, Standin


@pytest.fixture(scope="module")
def running() -> Iterator[Standin]:
    with Standin.start(generation="2026-08") as standin:
        yield standin


def register(standin: Standin, workspace: Created, **members: Any) -> Reply:
    return standin.call("POST", "/registry/register", {
        "id": workspace.id, "agent_card": {}, **members}, token=workspace.token)


def beat(standin: Standin, workspace: Created, **members: Any) -> Any:
    return standin.call("POST", "/registry/heartbeat", {"workspace_id": workspace.id, **members},
                        token=workspace.token).json()


def status(standin: Standin, workspace: Created) -> str:
    return standin.workspace(workspace.id)["status"]


def say(standin: Standin, target: Created, text: str, caller: Created | None = None) -> Reply:
    return standin.call("POST", f"/workspaces/{target.id}/a2a", {
        "jsonrpc": "2.0", "id": "1", "method": "message/send", "params": {"message": {
            "role": "user", "messageId": str(uuid.uuid4()),
            "parts": [{"kind": "text", "text": text}]}}},
        token=caller.token if caller else "",
        headers={"X-Workspace-ID": caller.id} if caller else {})


def activity(standin: Standin, workspace: Created, query: str = "") -> Reply:
    return standin.call("GET", f"/workspaces/{workspace.id}/activity?{query}",
                        token=workspace.token)


def texts(reply: Reply) -> list[str]:
    assert reply.status == 200, reply.body
    return [row["request_body"]["params"]["message"]["parts"][0]["text"]
            for row in reply.json()]


@pytest.fixture
def poller(standin: Standin) -> Created:
    workspace = standin.create("poller")
    assert register(standin, workspace, delivery_mode="poll").status == 200
    return workspace


# ---- joining ----

def test_a_polling_agent_needs_no_url(standin: Standin) -> None:
    workspace = standin.create()
    reply = register(standin, workspace, delivery_mode="poll")
    assert reply.json() == {"status": "registered", "delivery_mode": "poll",
                            "platform_inbound_secret": reply.json()["platform_inbound_secret"]}
    assert status(standin, workspace) == "online"
    # What it once said holds until it says something else.
    assert register(standin, workspace).json()["delivery_mode"] == "poll"
    assert register(standin, workspace, url="remote://no-inbound").status == 200


@pytest.mark.parametrize(("members", "error"), [
    ({}, "url is required for push-mode workspaces"),
    ({"delivery_mode": "push"}, "url is required for push-mode workspaces"),
    ({"delivery_mode": "pull"}, "delivery_mode must be 'push' or 'poll'"),
    ({"url": "remote://no-inbound"}, "url scheme must be http or https"),
    ({"url": "http://127.0.0.1/"}, "url resolves to a blocked address")])
def test_a_refusal_says_why(standin: Standin, members: dict[str, Any], error: str) -> None:
    reply = register(standin, standin.create(), **members)
    assert (reply.status, reply.json()) == (400, {"error": error})


def test_the_earlier_generation_knows_none_of_this() -> None:
    with Standin.start() as early:
        workspace = early.create()
        reply = register(early, workspace, delivery_mode="poll")
        assert (reply.status, reply.json()) == (400, {"error": "invalid request body"})
        register(early, workspace, url="http://localhost:9/")
        assert beat(early, workspace) == {"status": "ok"}
        assert activity(early, workspace, f"since_id={uuid.uuid4()}").json() == []
        report = early.call("POST", f"/workspaces/{workspace.id}/plugin-install-report", {},
                            token=workspace.token)
        assert (report.status, report.body) == (404, b"404 page not found")


def test_a_heartbeat_tells_the_inbound_secret(standin: Standin, poller: Created) -> None:
    secret = standin.workspace(poller.id)["inbound_secret"]
    assert beat(standin, poller) == {"status": "ok", "platform_inbound_secret": secret}


def test_a_heartbeat_may_bring_a_card(standin: Standin, poller: Created) -> None:
    beat(standin, poller, agent_card={"name": "new"})
    assert standin.workspace(poller.id)["agent_card"] == {"name": "new"}
    beat(standin, poller)
    assert standin.workspace(poller.id)["agent_card"] == {"name": "new"}


@pytest.mark.parametrize("before", ["awaiting_agent", "failed", "offline", "provisioning"])
def test_a_heartbeat_revives(standin: Standin, poller: Created, before: str) -> None:
    standin.dev("POST", f"workspaces/{poller.id}", {"status": before})
    beat(standin, poller)
    assert status(standin, poller) == "online"


def test_a_new_workspace_awaits_its_agent(standin: Standin) -> None:
    assert status(standin, standin.create()) == "awaiting_agent"


def test_a_silent_agent_is_awaited(standin: Standin, poller: Created) -> None:
    standin.dev("POST", f"workspaces/{poller.id}", {"heartbeat_age_s": 91})
    standin.dev("POST", "sweep")
    assert status(standin, poller) == "awaiting_agent"


def test_a_register_may_leave_a_pause_alone(standin: Standin, poller: Created) -> None:
    standin.call("POST", f"/workspaces/{poller.id}/pause", token=ADMIN_TOKEN)
    standin.dev("POST", "settings", {"keep_paused": True})
    try:
        assert register(standin, poller).status == 200
        assert status(standin, poller) == "paused"
    finally:
        standin.dev("POST", "settings", {"keep_paused": False})
    register(standin, poller)
    assert status(standin, poller) == "online"


def test_a_removed_workspace_is_gone(standin: Standin) -> None:
    workspace = standin.create()
    standin.call("DELETE", f"/workspaces/{workspace.id}", token=ADMIN_TOKEN)
    reply = standin.call("GET", f"/workspaces/{workspace.id}")
    assert reply.status == 410
    assert set(reply.json()) == {"error", "id", "removed_at", "hint"}
    reply = standin.call("GET", f"/workspaces/{workspace.id}?include_removed=true")
    assert (reply.status, reply.json()["status"]) == (200, "removed")


# ---- messages ----

def test_a_message_waits_in_the_log(standin: Standin, poller: Created) -> None:
    caller = standin.create("caller")
    reply = say(standin, poller, "hello", caller)
    assert (reply.status, reply.json()) == (200, {
        "status": "queued", "delivery_mode": "poll", "method": "message/send"})
    [row] = activity(standin, poller, "type=a2a_receive").json()
    assert (row["source_id"], row["method"], row["status"]) == (caller.id, "message/send", "ok")
    assert isinstance(row["seq"], int)


def test_a_cursor_goes_forward(standin: Standin, poller: Created) -> None:
    for text in ("one", "two", "three"):
        say(standin, poller, text)
    newest_first = activity(standin, poller)
    assert texts(newest_first) == ["three", "two", "one"]
    cursor = newest_first.json()[2]["id"]
    assert texts(activity(standin, poller, f"since_id={cursor}")) == ["two", "three"]
    assert texts(activity(standin, poller, f"since_id={cursor}&limit=1")) == ["two"]
    last = newest_first.json()[0]["id"]
    assert activity(standin, poller, f"since_id={last}").json() == []


def test_a_cursor_that_is_unknown_or_foreign_is_a_410(standin: Standin,
                                                       poller: Created) -> None:
    other = standin.create()
    register(standin, other, delivery_mode="poll")
    say(standin, other, "elsewhere")
    foreign = activity(standin, other).json()[0]["id"]
    for cursor in (foreign, str(uuid.uuid4())):
        reply = activity(standin, poller, f"since_id={cursor}")
        assert reply.status == 410
        assert "omit" in reply.json()["error"]


def test_narrowing_by_time_and_peer(standin: Standin, poller: Created) -> None:
    caller = standin.create("narrow")
    say(standin, poller, "from the canvas")
    say(standin, poller, "from a peer", caller)
    middle = activity(standin, poller).json()[0]["created_at"]
    assert texts(activity(standin, poller, f"peer_id={caller.id}")) == ["from a peer"]
    assert texts(activity(standin, poller, f"before_ts={middle}")) == ["from the canvas"]
    assert len(texts(activity(standin, poller, "since_secs=60"))) == 2
    try:
        standin.dev("POST", "clock", {"shift_s": 120})
        assert texts(activity(standin, poller, "since_secs=60")) == []
    finally:
        standin.dev("POST", "clock", {"shift_s": 0})
    [named] = activity(standin, poller, f"include=peer_info&peer_id={caller.id}").json()
    assert named["peer_name"] == "narrow"


@pytest.mark.parametrize("query", ["since_secs=0", "since_secs=x", "peer_id=x",
                                   "before_ts=yesterday"])
def test_a_bad_parameter_is_a_400(standin: Standin, poller: Created, query: str) -> None:
    assert activity(standin, poller, query).status == 400


def test_a_call_to_an_agent_carries_its_secret(standin: Standin) -> None:
    agent = standin.dev("POST", "agents", {"name": "pushed"})
    workspace = standin.create()
    secret = register(standin, workspace, url=agent["url"]).json()["platform_inbound_secret"]
    assert say(standin, workspace, "hi").status == 200
    [seen] = standin.dev("GET", "agents/pushed/received")["received"]
    assert seen["headers"]["authorization"] == f"Bearer {secret}"
    standin.dev("DELETE", "agents/pushed")


def test_one_heartbeat_brings_several_messages(standin: Standin) -> None:
    agent = standin.dev("POST", "agents", {"name": "busy", "mode": "hang_up"})
    workspace = standin.create()
    register(standin, workspace, url=agent["url"])
    assert [say(standin, workspace, text).status for text in "abc"] == [202] * 3
    standin.dev("POST", "agents/busy", {"mode": "echo"})
    standin.dev("DELETE", "agents/busy/received")
    beat(standin, workspace)
    seen = standin.dev("GET", "agents/busy/received?count=3&wait_ms=5000")["received"]
    assert len(seen) == 3
    standin.wait_workspace(workspace.id, "queue", [])
    standin.dev("DELETE", "agents/busy")


def test_a_busy_agent_loses_no_message(standin: Standin) -> None:
    agent = standin.dev("POST", "agents", {"name": "keeps", "mode": ["hang_up", "hang_up",
                                                                     "echo"]})
    workspace = standin.create()
    register(standin, workspace, url=agent["url"])
    say(standin, workspace, "once")
    deadline = time.monotonic() + 10
    while standin.workspace(workspace.id)["queue"]:
        assert time.monotonic() < deadline
        beat(standin, workspace)
    received = standin.dev("GET", "agents/keeps/received")["received"]
    assert len(received) == 3
    assert len({seen["body"] for seen in received}) == 1
    standin.dev("DELETE", "agents/keeps")


def test_an_agent_may_report_a_plugin(standin: Standin, poller: Created) -> None:
    reply = standin.call("POST", f"/workspaces/{poller.id}/plugin-install-report",
                         {"plugin": "p", "status": "installed"}, token=poller.token)
    assert (reply.status, reply.body) == (204, b"")
