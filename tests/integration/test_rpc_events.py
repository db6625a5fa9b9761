# SPDX-License-Identifier: MIT
"""Subscriptions: how things are, then every change, in order; and readers who do not read."""

import json

import pytest

from harness import RpcError
from test_rpc_calls import metric
from wire import Wire, framed, notification, request, wait_until


@pytest.fixture
def pair(platform, daemon):
    """A daemon with two workspaces that are online."""
    pair = [platform.create(name) for name in ("alpha", "beta")]
    for workspace in pair:
        daemon.add(workspace)
    daemon.start()
    for workspace in pair:
        daemon.wait_state(workspace.name, "online")
    return pair


def report(daemon, number, workspace="alpha", size=0):
    return daemon.call("workspace.report", workspace=workspace, current_task=f"{number} " + "x" * size)


def tasks(events):
    """The numbers that report() has put there."""
    return [int(event["data"]["current_task"].split()[0]) for event in events
            if event["type"] == "workspace.report"]


def test_first_how_things_are_then_each_change_in_order(platform, daemon, pair):
    events = daemon.connect().subscribe("workspace.state", "workspace.report")
    assert [(row["name"], row["state"]) for row in events.snapshot["workspaces"]] == [
        ("alpha", "online"), ("beta", "online")]
    for number in range(20):
        report(daemon, number)
    seen = [events.next() for _ in range(20)]
    assert tasks(seen) == list(range(20))
    assert [event["seq"] for event in seen] == list(range(1, 21))
    for event in seen:
        assert event["subscription"] == events.name and event["workspace"] == "alpha"
        assert event["at"].endswith("Z") and event["data"]["active_tasks"] == 0
    platform.pause(pair[1])
    daemon.refresh("beta")
    event = events.next()
    assert event["type"] == "workspace.state" and event["seq"] == 21
    assert event["workspace"] == "beta" and event["data"] == {
        "id": pair[1].id, "state": "paused", "before": "online", "platform_status": "paused",
        "paused": True}


def test_a_snapshot_has_what_was_asked_for(daemon, pair):
    client = daemon.connect()
    assert set(client.subscribe("daemon.warning").snapshot) == {"warnings"}
    assert set(client.subscribe("secrets.changed").snapshot) == {"secrets"}
    assert set(client.subscribe("peers.changed").snapshot) == {"peers"}
    assert set(client.subscribe("workspace.report").snapshot) == {"workspaces"}
    assert set(client.subscribe("delegation.updated").snapshot) == {"delegations"}
    assert set(client.subscribe("plugin.progress").snapshot) == {"plugins"}
    assert set(client.subscribe().snapshot) == {"workspaces", "secrets", "peers", "delegations",
                                                "plugins", "warnings"}


def test_hears_only_of_the_workspace_it_asked_for(daemon, pair):
    client = daemon.connect()
    only = client.subscribe("workspace.report", workspace="beta")
    by_id = client.subscribe("workspace.report", workspace=pair[1].id)
    every = client.subscribe("workspace.report")
    assert [row["name"] for row in only.snapshot["workspaces"]] == ["beta"]
    report(daemon, 1, "alpha")
    report(daemon, 2, "beta")
    assert tasks([only.next()]) == tasks([by_id.next()]) == [2]
    assert tasks([every.next(), every.next()]) == [1, 2]
    assert only.pending() == by_id.pending() == every.pending() == []


def test_hears_only_of_the_types_it_asked_for(daemon, pair):
    events = daemon.connect().subscribe("workspace.state", "daemon.warning")
    report(daemon, 1)
    assert events.pending() == []


def test_hears_no_more_after_unsubscribing(daemon, pair):
    client = daemon.connect()
    first, second = client.subscribe("workspace.report"), client.subscribe("workspace.report")
    assert first.name != second.name
    report(daemon, 1)
    assert client.call("events.unsubscribe", subscription=first.name) == {"unsubscribed": True}
    report(daemon, 2)
    assert tasks([second.next(), second.next()]) == [1, 2]
    assert tasks(first.pending()) == [1]
    with pytest.raises(RpcError) as caught:
        client.call("events.unsubscribe", subscription=first.name)
    assert caught.value.kind == "not_found"


def test_nobody_ends_the_subscription_of_another(daemon, pair):
    events = daemon.connect().subscribe("workspace.report")
    with pytest.raises(RpcError) as caught:
        daemon.call("events.unsubscribe", subscription=events.name)
    assert caught.value.kind == "not_found"
    report(daemon, 1)
    assert tasks([events.next()]) == [1]


def test_names_what_it_does_not_know(daemon, pair):
    for params, kind in ({"types": ["nope"]}, "invalid_params"), ({"workspace": "nope"}, "not_found"):
        with pytest.raises(RpcError) as caught:
            daemon.call("events.subscribe", **params)
        assert caught.value.kind == kind


def test_a_connection_has_so_many_subscriptions(daemon, pair):
    client = daemon.connect()
    for _ in range(16):
        events = client.subscribe("workspace.report")
    with pytest.raises(RpcError) as caught:
        client.subscribe("workspace.report")
    assert caught.value.kind == "overloaded"
    client.call("events.unsubscribe", subscription=events.name)
    client.subscribe("workspace.report")


def test_the_answer_of_a_batch_comes_before_the_events(daemon, pair):
    with Wire(daemon.socket) as wire:
        wire.send(b"[" + request("s", "events.subscribe", {"types": ["workspace.report"]}) + b","
                  + request("r", "workspace.report", {"workspace": "alpha", "current_task": "1"}) + b"]")
        answers = {answer["id"]: answer for answer in wire.message()}
        event = wire.message()
        assert event["method"] == "event" and "id" not in event
        assert event["params"]["subscription"] == answers["s"]["result"]["subscription"]


def test_events_have_headers_where_answers_have_them(daemon, pair):
    with Wire(daemon.socket) as wire:
        wire.send(framed(request(1, "events.subscribe", {"types": ["workspace.report"]})))
        name = wire.frame()["result"]["subscription"]
        report(daemon, 1)
        assert wire.frame()["params"]["subscription"] == name


def test_a_notification_subscribes_to_nothing(daemon, pair):
    with Wire(daemon.socket) as wire:
        wire.send(notification("events.subscribe"))
        report(daemon, 1)
        assert wire.sync() == []


def test_a_report_ends_with_its_connection(daemon, pair):
    events = daemon.connect().subscribe("workspace.report")
    client = daemon.connect()
    client.call("workspace.report", workspace="alpha", active_tasks=3, error_rate=0.5)
    report(daemon, 1)
    assert events.next()["data"]["active_tasks"] == 3
    assert events.next()["data"]["active_tasks"] == 3
    client.close()
    assert events.next()["data"]["active_tasks"] == 0


@pytest.mark.dev_platform
def test_secrets_that_change_are_named_and_not_told(platform, daemon, pair):
    alpha = pair[0]
    platform.set_secret(alpha, "KEEP", "stays-as-it-is")
    platform.set_secret(alpha, "TURN", "before-the-change")
    daemon.call("secrets.refresh", workspace="alpha")
    events = daemon.connect().subscribe("secrets.changed", workspace="alpha")
    assert [row["keys"] for row in events.snapshot["secrets"]] == [["KEEP", "TURN"]]
    platform.set_secret(alpha, "TURN", "after-the-change")
    platform.set_secret(alpha, "FRESH", "was-not-there")
    assert sorted(daemon.call("secrets.refresh", workspace="alpha")["changed"]) == ["FRESH", "TURN"]
    event = events.next()
    assert sorted(event["data"]["changed"]) == ["FRESH", "TURN"]
    assert "change" not in json.dumps(event["data"]).replace("changed", "")


def test_a_reader_that_never_reads_loses_its_subscription_and_nothing_else(daemon, pair):
    daemon.configure(rpc={"max_output_bytes": "64K"})
    daemon.call("daemon.reload")
    lazy, diligent = daemon.connect(), daemon.connect()
    events, others = lazy.subscribe("workspace.report"), diligent.subscribe("workspace.report")
    number = 0
    while not metric(daemon, "molecule_rpc_event_overflows_total"):
        report(daemon, number, size=1000)
        assert tasks([others.next()]) == [number]
        number += 1
        assert number < 5000

    # What it was sent comes whole and in order, then the last word.
    seen = []
    while not seen or seen[-1]["type"] != "overflow":
        seen.append(events.next())
    last = seen.pop()
    assert tasks(seen) == list(range(len(seen))) and 100 < len(seen) < number
    assert last["seq"] == seen[-1]["seq"] + 1 and last["data"] == {} and last["workspace"] is None
    report(daemon, number)
    assert events.pending() == []
    with pytest.raises(RpcError):
        lazy.call("events.unsubscribe", subscription=events.name)

    # The connection lives, and a new subscription has the snapshot.
    again = lazy.subscribe("workspace.report", workspace="alpha")
    assert again.snapshot["workspaces"][0]["report"]["current_task"].strip() == str(number)
    report(daemon, number + 1)
    assert tasks([again.next()]) == [number + 1]


def test_readers_that_never_read_cost_a_bounded_amount(daemon, pair):
    daemon.configure(rpc={"max_output_bytes": "64K"})
    daemon.call("daemon.reload")
    lazy = [daemon.connect() for _ in range(50)]
    for client in lazy:
        client.subscribe("workspace.report")
    number = 0
    while metric(daemon, "molecule_rpc_event_overflows_total") < len(lazy):
        report(daemon, number, size=1000)
        number += 1
        assert number < 5000
    for client in lazy:
        client.close()
    wait_until(lambda: metric(daemon, "molecule_rpc_connections") == 1, "they are gone")
