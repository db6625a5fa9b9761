# SPDX-License-Identifier: MIT
"""What the platform answers, taken as evidence: each row of the table, and what it proves.

The workspace is online, has a secret, and asks nothing by itself.
"""

import datetime
import email.utils
import json

import pytest

from harness import QUIET, RpcError

EMPTY = {"status": 404, "raw": "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"}


@pytest.fixture
def scout(platform, daemon):
    scout = platform.create()
    platform.set_secret(scout, "KEY", "canary-in-the-table")
    daemon.add(scout, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    daemon.call("secrets.refresh", workspace="scout")
    return scout


def refused(daemon, method, **params):
    with pytest.raises(RpcError) as caught:
        daemon.call(method, workspace="scout", **params)
    return caught.value


def recovers(platform, daemon, scout):
    """Nothing was lost, and no person had to come."""
    platform.dev.clear_faults()
    status = daemon.refresh("scout")
    assert (status["state"], status["token"]["prefix"]) == ("online", scout.token[:8])
    assert daemon.call("secrets.get", workspace="scout")["values"] == {
        "KEY": "canary-in-the-table"}


# ---- it is down ----

@pytest.mark.dev_platform
@pytest.mark.parametrize("fault", [
    {"status": 500}, {"status": 502, "body": "<html>Bad Gateway</html>"}, {"status": 503},
    {"status": 500, "body": ""}, {"status": 504, "headers": {"Content-Type": "text/html"}},
    {"drop": "reply"}, {"drop": "headers"}, {"drop": "body"}, {"drop": "request", "rst": True},
    {"malformed": True}, {"cut": 1}, {"wrong_types": True}, {"http09": True},
    {"length_off": -1}, {"bad_chunk": True}, {"huge_headers": {"count": 3000, "bytes": 100}},
    {"json": {"workspace_id": "another", "status": "online", "paused": False}},
    {"json": []}, {"json": {}}, {"status": 200, "body": ""}, {"status": 200, "body": "ok"},
], ids=lambda fault: "-".join(f"{key}-{value}" for key, value in fault.items())[:40])
def test_a_platform_that_is_down_is_asked_again(platform, daemon, scout, fault):
    platform.dev.fault("state", scout, **fault)
    platform.dev.fault("heartbeat", scout, **{"status": 500})
    for _ in range(3):
        daemon.retry("scout")
    status = daemon.wait_state("scout", "unreachable")
    assert status["last_error"] and status["next_attempt_at"]
    assert daemon.call("secrets.get", workspace="scout")["stale"] is True
    recovers(platform, daemon, scout)


@pytest.mark.dev_platform
def test_one_that_does_not_answer_in_time_is_down(platform, daemon):
    scout = platform.create()
    daemon.add(scout, heartbeat_interval="1s", state_poll_interval="1h")
    daemon.start()
    daemon.wait_state("scout", "online")
    platform.dev.fault("heartbeat", scout, slow={"bytes": 1, "every_ms": 300, "part": "all"})
    status = daemon.wait_state("scout", "unreachable")
    assert "answer" in status["last_error"]


# ---- the token is refused ----

@pytest.mark.smoke
def test_a_token_that_was_revoked_is_lost(platform, daemon, scout):
    platform.revoke_all(scout)
    daemon.retry("scout")
    status = daemon.wait_state("scout", "auth_lost")
    assert "have an operator mint one" in status["last_error"]
    assert refused(daemon, "secrets.refresh").kind == "unauthorized"
    assert daemon.call("secrets.get", workspace="scout")["stale"] is True
    if platform.standin:
        assert platform.dev.wait(scout, endpoint="workspace", status=200)


@pytest.mark.smoke
@pytest.mark.parametrize("purge", [False, True], ids=["deleted", "purged"])
def test_a_token_that_is_refused_as_the_workspace_is_gone(platform, daemon, scout, purge):
    platform.delete(scout, purge)
    daemon.retry("scout")
    status = daemon.wait_state("scout", "removed")
    assert "was deleted" in status["last_error"]
    assert refused(daemon, "secrets.get").kind == "removed"


@pytest.mark.dev_platform
@pytest.mark.parametrize("answer", [
    {"status": 500}, {"status": 401, "json": {"error": "no"}}, {"drop": "reply"},
    {"status": 429}, {"json": {"id": "00000000-0000-4000-8000-000000000000", "status": "removed"}},
    {"status": 404, "body": ""}, {"status": 404, "body": "404 page not found"},
    {"status": 403, "body": ""}, {"status": 410, "headers": {"Content-Type": "text/html"},
                                  "body": "<html>gone</html>"},
], ids=lambda answer: "-".join(f"{key}-{value}" for key, value in answer.items())[:40])
def test_a_refused_token_alone_proves_nothing(platform, daemon, scout, answer):
    """The question that follows it has no clear answer: so neither lost nor removed."""
    platform.dev.fault("state", scout, status=401, json={"error": "invalid workspace auth token"})
    platform.dev.fault("heartbeat", scout, status=500)
    platform.dev.fault("workspace", scout, **answer)
    events = daemon.events("workspace.state")
    for _ in range(4):
        daemon.retry("scout")
    daemon.wait_state("scout", "unreachable", "misrouted", "online")
    seen = {event["data"]["state"] for event in events.pending()}
    assert not seen & {"removed", "auth_lost"}, seen
    recovers(platform, daemon, scout)


@pytest.mark.dev_platform
@pytest.mark.parametrize("gone", [
    {"json": {"status": "removed"}}, {"status": 404, "json": {"error": "workspace not found"}},
    {"status": 410, "json": {"error": "workspace removed"}},
], ids=["status", "404", "410"])
def test_a_refused_token_of_a_workspace_that_is_gone(platform, daemon, scout, gone):
    if "status" in gone.get("json", {}):
        gone["json"]["id"] = scout.id
    platform.dev.fault("state", scout, status=401, json={"error": "invalid workspace auth token"})
    platform.dev.fault("workspace", scout, **gone)
    daemon.retry("scout")
    daemon.wait_state("scout", "removed")
    asked = platform.dev.requests(scout, endpoint="workspace")
    assert "Authorization" not in dict(asked[-1]["headers"])


# ---- it is gone ----

@pytest.mark.dev_platform
@pytest.mark.parametrize("status", [404, 410])
def test_deleted_in_so_many_words(platform, daemon, scout, status):
    platform.dev.fault("state", scout, status=status,
                       json={"deleted": True, "status": "removed", "workspace_id": scout.id})
    daemon.retry("scout")
    daemon.wait_state("scout", "removed")


@pytest.mark.dev_platform
@pytest.mark.parametrize("body", [
    {"deleted": True}, {"deleted": True, "workspace_id": "00000000-0000-4000-8000-000000000000"},
    {"deleted": "true", "workspace_id": "SCOUT"}, {"deleted": False, "workspace_id": "SCOUT"},
    {"error": "workspace not found"},
], ids=["no-id", "other-id", "text", "false", "not-found"])
def test_a_404_that_does_not_say_so_is_followed_by_a_question(platform, daemon, scout, body):
    text = json.loads(json.dumps(body).replace("SCOUT", scout.id))
    platform.dev.fault("state", scout, status=404, json=text)
    daemon.retry("scout")
    platform.dev.wait(scout, endpoint="workspace")
    status = daemon.wait_state("scout", "auth_lost", "online")
    assert status["state"] != "removed"
    recovers(platform, daemon, scout)


# ---- it is not our platform that answers ----

@pytest.mark.dev_platform
@pytest.mark.parametrize("fault, named", [
    ({"status": 404, "body": ""}, "org_id"),
    ({"status": 404, "body": "404 page not found"}, "platform_url"),
    ({"status": 404, "body": "<html>no</html>", "headers": {"Content-Type": "text/html"}},
     "platform_url"),
    ({"status": 403, "body": ""}, "Origin"),
    ({"status": 401, "body": "<html>log in</html>"}, "asks for a login"),
    ({"status": 401, "body": ""}, "asks for a login"),
    ({"status": 200, "body": "<!doctype html><title>Log in</title>",
      "headers": {"Content-Type": "text/html; charset=utf-8"}}, "web page"),
    ({"status": 400, "body": "<html>", "headers": {"Content-Type": "text/html"}}, "web page"),
    ({"status": 410, "json": {"id": "00000000-0000-4000-8000-000000000000"}}, "another workspace"),
], ids=["404-empty", "404-text", "404-html", "403-empty", "401-html", "401-empty", "200-html",
        "400-html", "410-other"])
def test_misrouted(platform, daemon, scout, fault, named):
    platform.dev.fault(workspace=scout, **fault)
    events = daemon.events("workspace.state")
    daemon.retry("scout")
    status = daemon.wait_state("scout", "misrouted")
    assert named in status["last_error"]
    for _ in range(3):
        daemon.retry("scout")
    assert {event["data"]["state"] for event in events.pending()} == {"misrouted"}
    assert status["next_attempt_at"], "it keeps trying"
    recovers(platform, daemon, scout)


@pytest.mark.dev_platform
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(platform, daemon, scout, status):
    trap = platform.dev.call("POST", "agents", {"name": f"trap-{status}"})
    platform.dev.fault(workspace=scout, redirect={"location": trap["url"], "status": status})
    daemon.retry("scout")
    assert "redirects elsewhere" in daemon.wait_state("scout", "misrouted")["last_error"]
    refused(daemon, "secrets.refresh")
    received = platform.dev.call("GET", f"agents/trap-{status}/received")
    platform.dev.call("DELETE", f"agents/trap-{status}")
    assert not received.get("received", received.get("requests")), received
    recovers(platform, daemon, scout)


# ---- it wants us to wait ----

def on(seconds):
    """A date so far from now, as HTTP writes dates."""
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return email.utils.format_datetime(when, usegmt=True)


@pytest.mark.dev_platform
@pytest.mark.parametrize("value, least, most", [
    ("2", 2000, 2000), ("0", 0, 0), (lambda: on(20), 18000, 20000),
    (lambda: on(-20), 0, 0), ("Sunday, 06-Nov-94 08:49:37 GMT", 0, 0),
    ("999999999999999999999", 0, 60000), ("86400", 60000, 60000),
    ("-5", 0, 0), ("soon", 0, 0), ("", 0, 0), ("1.5", 0, 2000), ("2, 7", 0, 2000),
], ids=["seconds", "zero", "date", "past", "old-date", "absurd", "a-day", "negative", "word",
        "empty", "fraction", "two"])
def test_a_429_says_how_long_to_wait(platform, daemon, scout, value, least, most):
    platform.dev.fault("secrets", scout, status=429, times=1,
                       retry_after=value() if callable(value) else value)
    error = refused(daemon, "secrets.refresh")
    assert (error.kind, error.data["http_status"]) == ("rate_limited", 429)
    assert least <= error.data.get("retry_after_ms", 0) <= most
    assert daemon.status("scout")["state"] == "online", "it is there, and busy"


@pytest.mark.dev_platform
def test_a_429_keeps_all_workspaces_of_the_platform_quiet(platform, daemon, scout):
    other = platform.create("other")
    daemon.add(other, state_poll_interval="1h", heartbeat_interval="10min")
    daemon.call("daemon.reload")
    daemon.wait_state("other", "online")
    platform.dev.fault("secrets", scout, status=429, retry_after="1", times=1)
    assert refused(daemon, "secrets.refresh").data["retry_after_ms"] == 1000
    since = platform.dev.mark()
    told = platform.dev.requests(scout, endpoint="secrets", status=429)[-1]
    daemon.call("secrets.refresh", workspace="other")
    [asked] = platform.dev.requests(other, since=since, endpoint="secrets")
    assert asked["time"] - told["answered"] >= 0.95


@pytest.mark.dev_platform
def test_a_429_is_no_outage(platform, daemon, scout):
    platform.dev.fault("state", scout, status=429, retry_after="0")
    platform.dev.fault("heartbeat", scout, status=429, retry_after="0")
    for _ in range(4):
        assert daemon.retry("scout")["state"] == "online"
    recovers(platform, daemon, scout)


@pytest.mark.dev_platform
def test_a_rate_limit_is_kept_before_it_is_hit(start_platform, daemon):
    """The platform says how much is left of the minute; heartbeats go first."""
    platform = start_platform(settings="rate_limit=40")
    scout = platform.create()
    daemon.add(scout, heartbeat_interval="1s", state_poll_interval="1h")
    daemon.start()
    daemon.wait_state("scout", "online")
    held = 0
    for _ in range(40):
        held = daemon.client.send("secrets.refresh", workspace="scout")
        try:
            daemon.client.answer(held, timeout=0.5)
        except TimeoutError:
            break
    since = platform.dev.mark()
    platform.dev.wait(scout, since=since, endpoint="heartbeat", count=2)
    assert not daemon.client.is_answered(held)
    assert platform.dev.requests(scout, endpoint="secrets", since=since) == []
    assert platform.dev.requests(status=429) == []
    daemon.disconnect()


# ---- it talks nonsense ----

@pytest.mark.dev_platform
@pytest.mark.parametrize("fault", [
    {"cut": 0}, {"cut": 1}, {"cut": 5}, {"cut": 10}, {"cut": 28}, {"malformed": True},
    {"wrong_types": "KEY"}, {"json": {"KEY": None}}, {"json": {"KEY": ["a"]}}, {"json": []},
    {"json": "text"}, {"body": ""}, {"body": '{"KEY":"a","KEY":"b"}'},
    {"body": '{"KEY":"a"}{'}, {"status": 302}, {"status": 500},
    {"status": 500, "json": {"error": "failed to decrypt", "failed_keys": ["global:K"]}},
    {"huge_body_mib": 20},
], ids=lambda fault: "-".join(f"{key}-{value}" for key, value in fault.items())[:40])
def test_what_is_no_bundle_of_secrets_is_not_taken(platform, daemon, scout, fault):
    platform.dev.fault("secrets", scout, **fault)
    error = refused(daemon, "secrets.refresh")
    assert error.kind in ("platform_error", "unavailable") and "canary" not in str(error)
    served = daemon.call("secrets.get", workspace="scout")
    assert served["values"] == {"KEY": "canary-in-the-table"} and served["stale"] is True
    recovers(platform, daemon, scout)


@pytest.mark.dev_platform
@pytest.mark.parametrize("fault", [
    {"cut": 20}, {"malformed": True}, {"json": {}}, {"json": "text"}, {"json": [1, 2]},
    {"status": 500, "body": ""}, {"body": "<html>"},
], ids=lambda fault: "-".join(f"{key}-{value}" for key, value in fault.items())[:40])
def test_what_is_no_list_of_peers_is_not_taken(platform, daemon, scout, fault):
    platform.create("other")
    known = daemon.call("peers.list", workspace="scout")["peers"]
    platform.dev.fault("peers", scout, **fault)
    listed = None
    try:
        listed = daemon.call("peers.list", workspace="scout", refresh=True)["peers"]
    except RpcError as error:
        assert error.kind in ("platform_error", "unavailable")
    if "json" in fault and isinstance(fault["json"], list):
        assert listed == [], "rows that are none are left out"
        return
    assert listed is None
    assert daemon.call("peers.list", workspace="scout")["peers"] == known


@pytest.mark.dev_platform
@pytest.mark.parametrize("word", ["hibernated", "some-new-word", "x" * 200], ids=len)
def test_whatever_it_calls_a_workspace_is_passed_on(platform, daemon, scout, word):
    platform.dev.fault("state", scout, json={
        "workspace_id": scout.id, "status": word, "paused": False, "deleted": False})
    status = daemon.refresh("scout")
    assert status["state"] == "online"
    assert status["platform_status"] == word or (
        len(word) > 40 and word.startswith(status["platform_status"].rstrip(".")))
