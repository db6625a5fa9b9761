# SPDX-License-Identifier: MIT
"""Answers of the platform that are not what they should be, made from those that are.

Cut off at every byte, every field of every other type, no JSON, too much of it. What
is held stays; nothing is believed that was not said; and the daemon says what is
wrong, once.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re

import pytest

import bodies
from devplatform.harness import DevError
from harness import QUIET, RpcError
from wire import rss_kib

pytestmark = pytest.mark.dev_platform

SECRETS = {"KEY": "canary of many bodies", "OTHER": "another canary"}
URL = "http://localhost:9/a2a"
# Alive as far as anybody has said, and nothing that somebody would have to act upon.
HARMLESS = {"online", "degraded", "unreachable"}


@pytest.fixture
def home(start_platform):
    """One that does not count requests."""
    return start_platform(settings="rate_limit=0")


@pytest.fixture
def scout(home, daemon):
    scout = home.create("scout", agent_card={"name": "scout", "skills": [{"id": "look"}]})
    home.create("peer")
    for key, value in SECRETS.items():
        home.set_secret(scout, key, value)
    daemon.configure(daemon={"log_level": "notice"})
    daemon.add(scout, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    daemon.call("secrets.refresh", workspace="scout")
    return scout


def good_answer(home, method, path, scout, body=None, headers=None):
    reply = home.call(method, path, body, token=scout.token,
                      headers={"X-Workspace-ID": scout.id, **(headers or {})})
    assert reply.status == 200, (path, reply.status, reply.body)
    text = reply.body.decode()
    json.loads(text)
    return text


def all_bad(good, step=1):
    yield from bodies.truncated(good.rstrip(), step)
    yield from bodies.not_json()
    yield from bodies.whole()
    yield from bodies.retyped(good)


def each(tally, home, daemon, scout, endpoint, bad, **rule):
    """Serves one after the other; whoever loops over it calls, and looks what has come of it."""
    for name, text in bad:
        tally.add()
        fault = home.dev.fault(endpoint, scout, status=200, raw_base64=framed(text), **rule)
        try:
            yield name, text
        except Exception as why:
            raise AssertionError(f"{endpoint}: {name}") from why
        assert daemon.process.poll() is None, f"{endpoint}: {name}"
        # Some clear all faults, to look how things are without.
        with contextlib.suppress(DevError):
            fault.remove()


def framed(text):
    """A whole HTTP answer; its body may be what no text can be."""
    body = text.encode("latin-1") if "\xff" in text else text.encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return base64.b64encode(head.encode() + body).decode()


def attempt(daemon, method, **params):
    """The result, or None for an error that is one of the platform's."""
    try:
        return daemon.call(method, workspace="scout", **params)
    except RpcError as error:
        assert error.kind in ("platform_error", "unavailable", "unauthorized"), repr(error)
        assert error.text and "canary" not in error.text
        return None


def all_is_well(home, daemon, scout):
    home.dev.clear_faults()
    status = daemon.refresh("scout")
    assert (status["state"], status["token"]["prefix"]) == ("online", scout.token[:8])
    assert daemon.call("secrets.get", workspace="scout", max_age_ms=0)["values"] == SECRETS


def warnings(daemon, since):
    return [line for line in daemon.log[since:].splitlines() if re.match(r"<[0-4]>", line)]


@pytest.mark.fast
def test_secrets(home, daemon, scout, tally):
    good = good_answer(home, "GET", f"/workspaces/{scout.id}/secrets/values", scout)
    since = len(daemon.log)
    count = 0
    for name, text in each(tally, home, daemon, scout, "secrets", all_bad(good)):
        taken = attempt(daemon, "secrets.refresh")
        served = daemon.call("secrets.get", workspace="scout")
        if name.startswith("no "):
            # A secret that is not there any more was deleted.
            assert served["values"] == json.loads(text)
            home.dev.clear_faults()
            daemon.call("secrets.refresh", workspace="scout")
            continue
        assert taken is None, f"{name} was taken"
        assert served["values"] == SECRETS and served["stale"] is True, name
        count += 1
    assert count > 60
    all_is_well(home, daemon, scout)
    # Once for all of one kind; after each that went well it is news again.
    assert len(warnings(daemon, since)) <= 4, warnings(daemon, since)


@pytest.mark.fast
def test_state(home, daemon, scout, tally):
    good = good_answer(home, "GET", f"/workspaces/{scout.id}/state", scout)
    since = len(daemon.log)
    for name, text in each(tally, home, daemon, scout, "state", all_bad(good)):
        if name in ("paused is true", "deleted is true"):
            continue
        attempt(daemon, "workspace.refresh")
        assert daemon.status("scout")["state"] in HARMLESS, name
        assert daemon.call("secrets.get", workspace="scout")["values"] == SECRETS, name
    all_is_well(home, daemon, scout)
    assert not re.search(r"<[0-3]>", daemon.log[since:])


def test_heartbeat(home, daemon, scout, tally):
    body = {"workspace_id": scout.id, "error_rate": 0, "active_tasks": 0, "uptime_seconds": 1,
            "current_task": "", "sample_error": ""}
    good = good_answer(home, "POST", "/registry/heartbeat", scout, body)
    for name, text in each(tally, home, daemon, scout, "heartbeat", all_bad(good)):
        attempt(daemon, "workspace.refresh")
        assert daemon.status("scout")["state"] in HARMLESS, name
    all_is_well(home, daemon, scout)


@pytest.mark.fast
def test_peers(home, daemon, scout, tally):
    known = daemon.call("peers.list", workspace="scout", refresh=True)["peers"]
    assert known
    good = good_answer(home, "GET", f"/registry/{scout.id}/peers", scout)
    rows = 0
    for name, text in each(tally, home, daemon, scout, "peers", all_bad(good)):
        taken = attempt(daemon, "peers.list", refresh=True)
        if taken is None:
            assert daemon.call("peers.list", workspace="scout")["peers"], name
            continue
        # A list in which one row is none, or lacks something; the others are believed.
        assert not name.startswith("its first") and name not in bodies.NO_JSON, name
        assert len(taken["peers"]) <= len(known), name
        for row in taken["peers"]:
            assert isinstance(row["id"], str), name
            assert row["name"] is None or isinstance(row["name"], str), name
        rows += 1
        home.dev.clear_faults()
        assert daemon.call("peers.list", workspace="scout", refresh=True)["peers"] == known
    assert rows
    all_is_well(home, daemon, scout)


def test_discovery(home, daemon, scout, tally):
    peer = home.create("found", url="http://127.0.0.1:9/a2a")
    registered = {"id": peer.id, "url": "http://127.0.0.1:9/a2a", "agent_card": {"name": "found"}}
    home.call("POST", "/registry/register", registered, token=peer.token)
    reply = home.call("GET", f"/registry/discover/{peer.id}", token=scout.token,
                      headers={"X-Workspace-ID": scout.id})
    good = (reply.body if reply.status == 200 else json.dumps(
        {"id": peer.id, "url": "http://127.0.0.1:9/a2a", "name": "found"}).encode()).decode()
    for name, text in each(tally, home, daemon, scout, "discover", all_bad(good)):
        taken = attempt(daemon, "peers.discover", peer=peer.id, refresh=True)
        if taken is None:
            continue
        assert name not in bodies.NO_JSON and not name.startswith("its first"), name
        assert taken["url"] is None or isinstance(taken["url"], str), name
    all_is_well(home, daemon, scout)


def test_the_workspace_as_anybody_sees_it(home, daemon, scout, tally):
    """Asked when the token is refused. Deleted is what says so, and nothing else."""
    good = good_answer(home, "GET", f"/workspaces/{scout.id}", scout)
    home.dev.fault("state", scout, status=401, json={"error": "invalid token"})
    home.dev.fault("heartbeat", scout, status=401, json={"error": "invalid token"})
    for name, text in each(tally, home, daemon, scout, "workspace", all_bad(good)):
        attempt(daemon, "workspace.refresh")
        assert daemon.status("scout")["state"] in HARMLESS | {"auth_lost"}, name
    all_is_well(home, daemon, scout)


@pytest.mark.fast
def test_a_minted_token(home, daemon, scout, tally):
    good = json.dumps({"auth_token": "x" * 43, "workspace_id": scout.id})
    for name, text in each(tally, home, daemon, scout, "tokens", all_bad(good), method="POST"):
        assert attempt(daemon, "token.rotate") is None, name
        assert list(daemon.state.glob("tokens/*")) == [], name
    all_is_well(home, daemon, scout)


def test_the_list_of_tokens(home, daemon, scout, tally):
    """The new one is in use by then; the old one is left, which is said."""
    good = json.dumps({"tokens": home.tokens(scout)})
    for number, (name, text) in enumerate(each(tally, home, daemon, scout, "tokens", all_bad(good),
                                               method="GET")):
        since = len(daemon.log)
        prefix = daemon.call("token.rotate", workspace="scout")["prefix"]
        assert daemon.kept_token(scout)[:8] == prefix, name
        daemon.wait_log("was not revoked", since=since)
        if number % 20 == 0:
            home.dev.clear_faults()
            thin_out(home, daemon, scout)
    home.dev.clear_faults()
    assert daemon.refresh("scout")["state"] == "online"


def thin_out(home, daemon, scout):
    for row in home.tokens(scout):
        if not daemon.kept_token(scout).startswith(row["prefix"]):
            home.admin("DELETE", f"/workspaces/{scout.id}/tokens/{row['id']}")


@pytest.mark.fast
def test_a_register(home, daemon, tally):
    """Nothing that came of it is taken for a token."""
    scout = home.create("scout", token=False)
    daemon.configure(daemon={"log_level": "notice"})
    daemon.platforms.add(home)
    daemon.start()
    good = json.dumps({"status": "registered", "delivery_mode": "push", "auth_token": "x" * 43})
    for name, text in each(tally, home, daemon, scout, "register", all_bad(good)):
        since = home.dev.mark()
        number = daemon.client.send("workspace.join", platform_url=home.url, name="scout",
                                    workspace_id=scout.id, reported_url=URL)
        home.dev.wait(scout, since=since, endpoint="register")
        if name not in ("no status", "no delivery_mode") and "status is" not in name \
                and "delivery_mode is" not in name:
            status = daemon.status("scout")
            assert status["state"] in ("joining", "auth_lost", "unreachable"), (name, status)
            assert not status["token"]["present"], name
        daemon.call("workspace.leave", workspace="scout", forget=True)
        try:
            daemon.client.answer(number)
        except RpcError:
            pass
    home.dev.clear_faults()
    assert daemon.call("workspace.join", platform_url=home.url, workspace_id=scout.id, name="scout",
                       reported_url=URL)["state"] == "online"


@pytest.mark.fast
def test_the_same_mistake_is_told_once(home, daemon, scout):
    home.dev.fault("secrets", scout, json={"KEY": 1})
    since = len(daemon.log)
    for _ in range(30):
        assert attempt(daemon, "secrets.refresh") is None
    assert len(warnings(daemon, since)) == 1, warnings(daemon, since)


@pytest.mark.fast
@pytest.mark.parametrize("endpoint, method, params", [
    ("secrets", "secrets.refresh", {}), ("state", "workspace.refresh", {}),
    ("heartbeat", "workspace.refresh", {}), ("peers", "peers.list", {"refresh": True})])
def test_what_does_not_end_is_not_kept(home, daemon, scout, endpoint, method, params):
    before = rss_kib(daemon.pid)
    home.dev.fault(endpoint, scout, huge_body_mib=100)
    attempt(daemon, method, **params)
    assert rss_kib(daemon.pid) - before < 48 * 1024
    all_is_well(home, daemon, scout)
