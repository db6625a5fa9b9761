# SPDX-License-Identifier: MIT
"""Secrets: fetched, kept, served from memory, and told of when they change."""

import time

import pytest

from harness import QUIET, RpcError


# What secrets are like: anything but empty.
VALUES = {
    "PLAIN": "canary-plain-value",
    "WITH SPACE": "canary with space ",
    "LINES": "-----BEGIN KEY-----\ncanary+lines/==\r\n-----END KEY-----\n",
    "QUOTES": "\"canary\" \\ 'single' `tick` $HOME ${X} $(id)",
    "MARKUP": "<canary>&amp;</canary>",
    "CONTROL": "canary\t\x01\x1b[31m\x7f",
    "NUL": "canary\x00after",
    "UNICODE": "canary-äöü-日本語-\u2028-\U0001f511",
    "LONG": "canary-" + "x" * 100_000,
    "key=with=signs": "canary-signs",
    "schlüssel": "canary-key",
}


def online(platform, daemon, secrets=None, **settings):
    scout = platform.create()
    for key, value in (secrets or {}).items():
        platform.set_secret(scout, key, value)
    daemon.add(scout, **{**QUIET, **settings})
    daemon.start()
    daemon.wait_state("scout", "online")
    return scout


def refused(daemon, method, **params):
    with pytest.raises(RpcError) as caught:
        daemon.call(method, workspace="scout", **params)
    return caught.value


@pytest.mark.smoke
def test_get_and_list(platform, daemon):
    online(platform, daemon, {"B": "canary-two-b", "A": "canary-one-a"})
    listed = daemon.call("secrets.list", workspace="scout")
    assert listed["keys"] == sorted(listed["keys"]) and {"A", "B"} <= set(listed["keys"])
    everything = daemon.call("secrets.get")
    assert set(everything["values"]) == set(listed["keys"])
    assert daemon.call("secrets.get", keys=["B", "NOPE", "A"]) == {
        "values": {"A": "canary-one-a", "B": "canary-two-b"}, "missing": ["NOPE"],
        "fetched_at": listed["fetched_at"], "stale": False}


def test_asked_for_twice_is_answered_once(platform, daemon):
    online(platform, daemon, {"A": "canary-one-a"})
    answer = daemon.call("secrets.get", keys=["A", "A", "NO", "NO"])
    assert answer["values"] == {"A": "canary-one-a"} and answer["missing"] == ["NO"]
    assert daemon.call("secrets.get", keys=[])["values"] == {}


@pytest.mark.parametrize("key", VALUES)
def test_any_value_survives(platform, daemon, key):
    online(platform, daemon, {key: VALUES[key]})
    assert daemon.call("secrets.get", keys=[key])["values"] == {key: VALUES[key]}
    assert daemon.call("secrets.get")["values"][key] == VALUES[key]


def test_all_of_them_together_survive(platform, daemon):
    online(platform, daemon, VALUES)
    got = daemon.call("secrets.get")["values"]
    assert {key: got[key] for key in VALUES} == VALUES
    assert set(VALUES) <= set(daemon.call("secrets.list")["keys"])


def test_none_is_no_error(platform, daemon):
    online(platform, daemon)
    if platform.standin:
        assert daemon.call("secrets.get")["values"] == {}
        assert daemon.call("secrets.list")["keys"] == []
    assert daemon.call("secrets.get", keys=["KEY"])["missing"] == ["KEY"]


# ---- changes ----

def test_a_refresh_says_what_has_changed(platform, daemon):
    scout = online(platform, daemon, {"GOES": "canary-that-goes", "STAYS": "canary-that-stays",
                                      "TURNS": "canary-before"})
    daemon.call("secrets.refresh")
    events = daemon.events("secrets.changed")
    assert daemon.call("secrets.refresh")["changed"] == []
    platform.delete_secret(scout, "GOES")
    platform.set_secret(scout, "TURNS", "canary-afterwards")
    platform.set_secret(scout, "COMES", "canary-that-comes")
    answer = daemon.call("secrets.refresh")
    assert answer["changed"] == ["COMES", "GOES", "TURNS"]
    assert {"COMES", "STAYS", "TURNS"} <= set(answer["keys"])
    event = events.next()
    assert (event["type"], event["workspace"]) == ("secrets.changed", "scout")
    assert "canary" not in str(event) and "COMES" in str(event["data"])
    assert events.pending() == [], "once, and not when nothing has changed"
    assert daemon.call("secrets.get", keys=["TURNS", "GOES"])["values"] == {
        "TURNS": "canary-afterwards"}


def test_they_are_refreshed_in_the_background(platform, daemon):
    scout = online(platform, daemon, {"KEY": "canary-before"}, secrets_refresh_interval="1s")
    events = daemon.events("secrets.changed")
    daemon.call("secrets.get")
    platform.set_secret(scout, "KEY", "canary-afterwards")
    events.next()
    assert daemon.call("secrets.get")["values"]["KEY"] == "canary-afterwards"


@pytest.mark.dev_platform
def test_no_secrets_where_there_were_some_is_a_change(platform, daemon):
    scout = online(platform, daemon, {"KEY": "canary-before"})
    daemon.call("secrets.refresh")
    events = daemon.events("secrets.changed")
    platform.delete_secret(scout, "KEY")
    assert daemon.call("secrets.refresh")["changed"] == ["KEY"]
    assert "KEY" in str(events.next()["data"])
    assert daemon.call("secrets.get") | {"fetched_at": ""} == {
        "values": {}, "missing": [], "fetched_at": "", "stale": False}


# ---- how old ----

@pytest.mark.dev_platform
def test_max_age(platform, daemon):
    scout = online(platform, daemon, {"KEY": "canary-before"})
    daemon.call("secrets.refresh")
    since = platform.dev.mark()
    for max_age in ({}, {"max_age_ms": 600_000}):
        daemon.call("secrets.get", **max_age)
    assert platform.dev.requests(scout, since=since, endpoint="secrets") == []
    platform.set_secret(scout, "KEY", "canary-afterwards")
    assert daemon.call("secrets.get")["values"] == {"KEY": "canary-before"}
    time_before = daemon.call("secrets.list")["fetched_at"]
    answer = daemon.call("secrets.get", max_age_ms=0)
    assert answer["values"] == {"KEY": "canary-afterwards"}
    assert answer["fetched_at"] > time_before


@pytest.mark.dev_platform
def test_those_who_miss_share_one_request(platform, daemon):
    scout = online(platform, daemon, {"KEY": "canary-shared"})
    daemon.call("secrets.refresh")
    since = platform.dev.mark()
    hang = platform.dev.fault("secrets", scout, hang=True)
    clients = [daemon.connect() for _ in range(5)]
    waiting = [(client, client.send("secrets.get", max_age_ms=0))
               for client in clients for _ in range(4)]
    platform.dev.wait_held(scout, since=since, endpoint="secrets")
    for client in clients:
        client.call("daemon.info")
    hang.remove()
    for client, number in waiting:
        assert client.answer(number)["values"] == {"KEY": "canary-shared"}
    assert len(platform.dev.requests(scout, since=since, endpoint="secrets")) == 1


@pytest.mark.dev_platform
def test_what_was_fetched_at_the_join_is_there_without_asking(platform, daemon):
    scout = online(platform, daemon, {"KEY": "canary-of-the-join"},
                   secrets_refresh_interval="5min")
    platform.dev.wait(scout, endpoint="secrets")
    with platform.dev.down():
        assert daemon.call("secrets.get")["values"] == {"KEY": "canary-of-the-join"}


# ---- when the platform has none to give ----

@pytest.mark.dev_platform
def test_keys_that_cannot_be_decrypted_keep_the_old_ones(platform, daemon):
    scout = online(platform, daemon, {"KEY": "canary-of-old", "OTHER": "canary-of-another"})
    daemon.call("secrets.refresh")
    platform.dev.change(scout, unreadable_secrets=["workspace:KEY"])
    error = refused(daemon, "secrets.refresh")
    assert error.kind == "platform_error" and "workspace:KEY" in error.text
    served = daemon.call("secrets.get")
    assert served["values"] == {"KEY": "canary-of-old", "OTHER": "canary-of-another"}
    assert served["stale"] is True
    [warning] = daemon.call("daemon.status")["warnings"]
    assert warning["code"] == "secrets_stale" and "workspace:KEY" in warning["text"]
    assert daemon.status("scout")["state"] == "online", "it is no outage"

    platform.dev.change(scout, unreadable_secrets=[])
    daemon.call("secrets.refresh")
    assert daemon.call("secrets.get")["stale"] is False
    assert daemon.call("daemon.status")["warnings"] == []


@pytest.mark.dev_platform
def test_without_any_yet_there_is_an_error(platform, daemon):
    scout = platform.create()
    platform.dev.fault("secrets", scout, status=503)
    daemon.add(scout, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    error = refused(daemon, "secrets.get")
    assert (error.kind, error.data["retryable"]) == ("unavailable", True)
    platform.dev.clear_faults()
    assert daemon.call("secrets.get")["values"] == {}


@pytest.mark.dev_platform
def test_a_client_that_hangs_up_leaves_the_others(platform, daemon):
    scout = online(platform, daemon, {"KEY": "canary-for-two"})
    daemon.call("secrets.refresh")
    since = platform.dev.mark()
    hang = platform.dev.fault("secrets", scout, hang=True)
    gone, stays = daemon.connect(), daemon.connect()
    gone.send("secrets.get", max_age_ms=0)
    platform.dev.wait_held(scout, since=since, endpoint="secrets")
    number = stays.send("secrets.get", max_age_ms=0)
    gone.close()
    stays.call("daemon.info")
    hang.remove()
    assert stays.answer(number)["values"] == {"KEY": "canary-for-two"}


@pytest.mark.dev_platform
def test_served_from_memory_at_once(platform, daemon):
    """A platform that takes its time does not make those wait who take what is there."""
    scout = online(platform, daemon, {"KEY": "canary-at-once"})
    daemon.call("secrets.refresh")
    since = platform.dev.mark()
    hang = platform.dev.fault("secrets", scout, hang=True)
    number = daemon.client.send("secrets.refresh")
    platform.dev.wait_held(scout, since=since, endpoint="secrets")
    with daemon.connect() as other:
        begun = time.monotonic()
        for _ in range(200):
            assert other.call("secrets.get")["values"] == {"KEY": "canary-at-once"}
        assert time.monotonic() - begun < 5
    hang.remove()
    daemon.client.answer(number)


@pytest.mark.dev_platform
def test_many_and_large(platform, daemon):
    secrets = {f"KEY_{number:04}": f"canary-{number}-" + "v" * 1000 for number in range(500)}
    scout = platform.create()
    platform.dev.fault("secrets", scout, json=secrets)
    platform.canaries.update(secrets.values())
    daemon.add(scout, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    assert daemon.call("secrets.get")["values"] == secrets
    assert daemon.call("secrets.list")["keys"] == sorted(secrets)
