# SPDX-License-Identifier: MIT
"""Tasks that are handed to others: delivered whatever happens, once, and followed to their end."""

import json
import sqlite3
import uuid

import pytest

from harness import QUIET, Gate, RpcError
from harness.peer import hang_up, held, message

MEMBERS = {"delegation_id", "to", "status", "created_at", "updated_at", "preview", "error",
           "platform_delegation_id"}


@pytest.fixture
def other(platform, peer):
    """One whom the stand-in can call; what it is told, peer hears."""
    other = platform.create("other")
    platform.register(other, f"http://localhost:{peer.port}/in")
    return other


def create(daemon, to, task="do it", **params):
    return daemon.call("delegation.create", to=to, task=task, **params)


def get(daemon, answer):
    return daemon.call("delegation.get", delegation_id=answer["delegation_id"])


def wait(daemon, answer, seconds=20):
    return daemon.call("delegation.wait", delegation_id=answer["delegation_id"],
                       wait_ms=seconds * 1000)


def listed(daemon, **params):
    return daemon.call("delegation.list", **params)["delegations"]


def refused(daemon, method, **params):
    with pytest.raises(RpcError) as caught:
        daemon.call(method, **params)
    return caught.value


def keys(requests):
    return [json.loads(request["body"])["idempotency_key"] for request in requests]


def until(events, *statuses):
    """The delegation when it is that far."""
    return events.until(lambda event: event["data"]["status"] in statuses)["data"]


def rows(daemon):
    """What is in the journal of a daemon that does not run."""
    assert daemon.process is None
    with sqlite3.connect(daemon.state / "agentd.db") as connection:
        found = connection.execute("SELECT status, task FROM delegation").fetchall()
    connection.close()
    return found


# ---- there and back ----

@pytest.mark.smoke
def test_a_task_is_handed_over_and_followed(platform, daemon, scout):
    """Nobody can call the other one, so it fails: on any platform, but not at once."""
    other = platform.create("other")
    answer = create(daemon, other.id)
    assert set(answer) == {"delegation_id", "status", "idempotency_key", "duplicate", "error"}
    assert answer["duplicate"] is False and answer["error"] is None
    assert uuid.UUID(answer["delegation_id"]) and len(answer["idempotency_key"]) == 32
    assert get(daemon, answer)["status"] != "pending"
    delegation = wait(daemon, answer)
    assert set(delegation) == MEMBERS
    assert (delegation["status"], delegation["to"]) == ("failed", other.id)
    assert delegation["error"] and delegation["preview"] is None
    assert delegation["platform_delegation_id"] not in (None, answer["delegation_id"])
    assert delegation["created_at"] <= delegation["updated_at"]
    assert listed(daemon) == [delegation] and get(daemon, answer) == delegation


@pytest.mark.dev_platform
def test_the_answer_comes_back(daemon, scout, other, peer):
    peer.does(message("done, “at once”"))
    delegation = wait(daemon, create(daemon, "other", "say \"now\"\n<&>"))
    assert (delegation["status"], delegation["preview"]) == ("completed", "done, “at once”")
    assert delegation["error"] is None
    assert [request.text for request in peer.requests] == ["say \"now\"\n<&>"]


@pytest.mark.dev_platform
def test_a_long_answer_is_cut_at_a_whole_character(daemon, scout, other, peer):
    peer.does(message("é" * 400))
    preview = wait(daemon, create(daemon, other.id))["preview"]
    assert preview.endswith("...") and set(preview[:-3]) == {"é"} and len(preview) > 100


@pytest.mark.dev_platform
def test_the_same_task_later_is_another_delegation(daemon, scout, other, peer):
    first, second = create(daemon, other.id), create(daemon, other.id)
    assert first["delegation_id"] != second["delegation_id"]
    assert first["idempotency_key"] != second["idempotency_key"]
    wait(daemon, first), wait(daemon, second)
    assert len(peer.requests) == 2


@pytest.mark.dev_platform
def test_one_that_is_queued_is_completed_later(platform, daemon, scout, other, peer):
    peer.does(hang_up, message("now I can"))
    answer = create(daemon, other.id)
    events = daemon.events("delegation.updated")
    if get(daemon, answer)["status"] != "queued":
        until(events, "queued")
    platform.call("POST", "/registry/heartbeat", {"workspace_id": other.id}, token=other.token)
    delegation = until(events, "completed", "failed")
    assert (delegation["status"], delegation["preview"]) == ("completed", "now I can")


def test_whom_a_name_means(platform, daemon, scout):
    one = platform.create("only-one")
    for _ in range(2):
        platform.create("twin")
    answer = create(daemon, "only-one")
    assert get(daemon, answer)["to"] == one.id
    assert refused(daemon, "delegation.create", to="twin", task="x").kind == "conflict"
    assert refused(daemon, "delegation.create", to="nobody", task="x").kind == "not_found"
    assert len(listed(daemon)) == 1


def test_an_id_need_not_be_on_the_list(platform, daemon, scout):
    stranger = str(uuid.uuid4())
    delegation = wait(daemon, create(daemon, stranger.upper()))
    assert (delegation["status"], delegation["to"]) == ("failed", stranger)


def test_what_is_refused_leaves_nothing_behind(daemon, scout):
    one = str(uuid.uuid4())
    for params in ({}, {"to": one}, {"task": "x"}, {"to": one, "task": ""},
                   {"to": one, "task": "a\0b"}, {"to": one, "task": 1},
                   {"to": one, "task": "x", "idempotency_key": ""},
                   {"to": one, "task": "x", "idempotency_key": "k" * 201},
                   {"to": one, "task": "x", "idempotency_key": "a\0b"},
                   {"to": scout.id, "task": "x"}):
        assert refused(daemon, "delegation.create", **params).kind == "invalid_params", params
    assert listed(daemon) == []


def test_a_task_that_would_be_cut_is_refused(platform, start_daemon):
    daemon, scout = start_daemon(), platform.create("scout")
    daemon.configure(rpc={"max_request_bytes": "4M"})
    daemon.add(scout, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    one = str(uuid.uuid4())
    assert refused(daemon, "delegation.create", to=one, task="x" * 1048576).kind == "too_large"
    # Each of these takes six bytes in JSON.
    assert refused(daemon, "delegation.create", to=one, task="\1" * 200000).kind == "too_large"
    assert listed(daemon) == []
    assert create(daemon, one, "x" * 1000000)["status"] != "pending"


# ---- keys ----

def test_the_same_key_is_the_same_delegation(platform, daemon, scout):
    other = platform.create("other")
    first = create(daemon, other.id, idempotency_key="mine")
    assert (first["idempotency_key"], first["duplicate"]) == ("mine", False)
    again = create(daemon, str(uuid.uuid4()), "something else", idempotency_key="mine")
    assert (again["delegation_id"], again["duplicate"]) == (first["delegation_id"], True)
    assert create(daemon, other.id, idempotency_key="yours")["duplicate"] is False
    daemon.restart()
    daemon.wait_state("scout", "online")
    again = create(daemon, other.id, idempotency_key="mine")
    assert (again["delegation_id"], again["duplicate"]) == (first["delegation_id"], True)
    assert len(listed(daemon)) == 2


def test_a_key_is_of_one_workspace(platform, start_daemon):
    daemon = start_daemon()
    for name in ("one", "two"):
        daemon.add(platform.create(name), **QUIET)
    daemon.start()
    to, ids = str(uuid.uuid4()), set()
    for name in ("one", "two"):
        daemon.wait_state(name, "online")
        answer = create(daemon, to, workspace=name, idempotency_key="mine")
        assert answer["duplicate"] is False
        ids.add(answer["delegation_id"])
        assert len(listed(daemon, workspace=name)) == 1
        assert refused(daemon, "delegation.get", workspace="two" if name == "one" else "one",
                       delegation_id=answer["delegation_id"]).kind == "not_found"
    assert len(ids) == 2


@pytest.mark.dev_platform
def test_of_many_with_one_key_one_is_new(platform, daemon, scout, other, peer):
    numbers = [daemon.client.send("delegation.create", to=other.id, task="do it",
                                  idempotency_key="mine") for _ in range(50)]
    answers = [daemon.client.answer(number) for number in numbers]
    assert sorted(answer["duplicate"] for answer in answers) == [False] + [True] * 49
    assert len({answer["delegation_id"] for answer in answers}) == 1
    assert wait(daemon, answers[0])["status"] == "completed"
    assert len(peer.requests) == 1
    assert len(platform.dev.requests(scout, endpoint="delegate", method="POST")) == 1


# ---- failures on the way ----

@pytest.mark.dev_platform
def test_after_a_lost_answer_it_is_sent_again_and_done_once(platform, daemon, scout, other, peer):
    platform.dev.fault("delegate", scout, drop="reply", times=2)
    answer = create(daemon, other.id)
    assert answer["status"] == "pending"
    assert wait(daemon, answer)["status"] == "completed"
    sent = platform.dev.requests(scout, endpoint="delegate", method="POST")
    assert keys(sent) == [answer["idempotency_key"]] * 3
    assert [request["status"] for request in sent][-1] == 200    # an idempotent hit
    assert len(peer.requests) == 1
    assert len(listed(daemon)) == 1


@pytest.mark.dev_platform
def test_what_the_platform_refuses_has_failed(platform, daemon, scout):
    platform.dev.fault("delegate", scout, status=400, json={"error": "no tasks on Sundays"})
    answer = create(daemon, str(uuid.uuid4()))
    assert answer["status"] == "failed" and "no tasks on Sundays" in answer["error"]
    assert wait(daemon, answer)["error"] == answer["error"]
    assert len(platform.dev.requests(scout, endpoint="delegate")) == 1


@pytest.mark.dev_platform
def test_the_rate_limit_is_obeyed(platform, daemon, scout, other, peer):
    platform.dev.fault("delegate", scout, status=429, retry_after="2", times=1)
    answer = create(daemon, other.id)
    assert answer["status"] == "pending"
    assert wait(daemon, answer)["status"] == "completed"
    first, second = platform.dev.requests(scout, endpoint="delegate", method="POST")
    assert second["time"] - first["answered"] >= 1.9


@pytest.mark.dev_platform
def test_a_slow_platform_is_not_waited_for(platform, daemon, scout, other, peer):
    hang = platform.dev.fault("delegate", scout, hang=True)
    number = daemon.client.send("delegation.create", to=other.id, task="do it")
    platform.dev.wait_held(scout, endpoint="delegate")
    answer = daemon.client.answer(number)
    assert answer["status"] == "pending"
    hang.remove()
    assert wait(daemon, answer)["status"] == "completed"
    assert len(peer.requests) == 1


@pytest.mark.dev_platform
def test_while_the_platform_is_away_it_is_kept(platform, daemon, scout, other, peer):
    with platform.dev.down():
        answer = create(daemon, other.id)
        assert answer["status"] == "pending"
        for _ in range(3):
            daemon.retry("scout")
        assert daemon.status("scout")["state"] == "unreachable"
        later = create(daemon, other.id, "and this")
        assert later["status"] == "pending"
        assert get(daemon, answer)["status"] == "pending"
        assert refused(daemon, "delegation.create", to="other", task="x").kind == "unavailable"
    daemon.refresh("scout")
    assert {wait(daemon, one)["status"] for one in (answer, later)} == {"completed"}
    assert sorted(request.text for request in peer.requests) == ["and this", "do it"]


# ---- restarts ----

@pytest.mark.dev_platform
def test_what_was_answered_survives_kill_9(platform, daemon, scout, other, peer):
    fault = platform.dev.fault("delegate", scout, status=503)
    answers = [create(daemon, other.id, f"task {number}") for number in range(10)]
    assert {answer["status"] for answer in answers} == {"pending"}
    daemon.kill()
    assert {row[0] for row in rows(daemon)} == {"pending"}
    fault.remove()
    daemon.start()
    daemon.wait_state("scout", "online")
    for answer in answers:
        assert wait(daemon, answer)["status"] == "completed"
    assert sorted(request.text for request in peer.requests) == \
        sorted(f"task {number}" for number in range(10))


@pytest.mark.dev_platform
def test_kill_9_between_the_platforms_work_and_its_answer(platform, daemon, scout, other, peer):
    """It has it, we do not know, and die: it is sent again, and done once."""
    hang = platform.dev.fault("delegate", scout, hang=True, after=0)
    daemon.client.send("delegation.create", to=other.id, task="do it", idempotency_key="mine")
    platform.dev.wait_held(scout, endpoint="delegate")
    daemon.kill()
    hang.remove()       # now the platform does it
    peer.wait(1)
    daemon.start()
    daemon.wait_state("scout", "online")
    [delegation] = listed(daemon)
    assert wait(daemon, delegation)["status"] == "completed"
    sent = platform.dev.requests(scout, endpoint="delegate", method="POST")
    assert keys(sent) == ["mine", "mine"] and sent[-1]["status"] == 200
    assert len(peer.requests) == 1


@pytest.mark.dev_platform
def test_the_next_life_follows_what_this_one_has_sent(platform, daemon, scout, other, peer):
    gate = Gate()
    peer.does(held(gate, message("at last")))
    answer = create(daemon, other.id)
    daemon.restart()
    daemon.wait_state("scout", "online")
    events = daemon.events("delegation.updated")
    number = daemon.client.send("delegation.wait", delegation_id=answer["delegation_id"],
                                wait_ms=20000)
    gate.open()
    assert daemon.client.answer(number)["preview"] == "at last"
    assert until(events, "completed")["delegation_id"] == answer["delegation_id"]
    assert len(platform.dev.requests(scout, endpoint="delegate", method="POST")) == 1


@pytest.mark.dev_platform
def test_the_task_is_kept_no_longer_than_it_is_needed(platform, daemon, scout, other, peer):
    wait(daemon, create(daemon, other.id, "a delivered task"))
    platform.dev.fault("delegate", scout, status=503)
    create(daemon, other.id, "an undelivered task")
    daemon.stop()
    assert sorted(rows(daemon)) == [("completed", None), ("pending", "an undelivered task")]


@pytest.mark.dev_platform
def test_forgetting_a_workspace_forgets_what_it_has_delegated(platform, daemon, scout):
    def is_on_disk(text):
        return any(text.encode() in path.read_bytes() for path in daemon.state.glob("agentd.db*"))

    platform.dev.fault("delegate", scout, status=503)
    for number in range(20):
        create(daemon, str(uuid.uuid4()), f"keep {number} to yourself" * 100)
    assert is_on_disk("keep 7 to yourself")
    daemon.call("workspace.leave", forget=True)
    assert not is_on_disk("to yourself")
    daemon.stop()
    assert rows(daemon) == [] and not is_on_disk("to yourself")


@pytest.mark.dev_platform
def test_a_workspace_that_has_left_and_comes_back_goes_on(platform, start_daemon, other, peer):
    daemon, scout = start_daemon(), platform.create("scout")
    fault = platform.dev.fault("delegate", scout, status=503)
    daemon.platforms.add(platform)
    daemon.start()
    joining = {"platform_url": platform.url, "workspace_id": scout.id, "name": "scout"}
    daemon.call("workspace.join", **joining, token=scout.token)
    daemon.wait_state("scout", "online")
    answer = create(daemon, other.id)
    daemon.call("workspace.leave")
    fault.remove()
    daemon.call("workspace.join", **{**joining, "name": "again"})
    daemon.wait_state("again", "online")
    assert wait(daemon, answer)["status"] == "completed"


# ---- paused, deleted ----

@pytest.mark.dev_platform
def test_a_paused_workspace_sends_and_asks_nothing(platform, daemon, scout, other, peer):
    gate = Gate()
    peer.does(held(gate, message("done")))
    answer = create(daemon, other.id)
    platform.pause(scout)
    daemon.retry("scout")
    daemon.wait_state("scout", "paused")
    since = platform.dev.mark()
    gate.open()
    assert refused(daemon, "delegation.create", to=other.id, task="x").kind == "paused"
    # It would have been asked after three seconds at the latest.
    platform.dev.none_within(4, scout, since=since, endpoint="delegations")
    assert not delegation_is_final(get(daemon, answer))
    platform.dev.change(scout, status="online")
    daemon.refresh("scout")
    daemon.wait_state("scout", "online")
    assert wait(daemon, answer)["status"] == "completed"


def delegation_is_final(delegation):
    return delegation["status"] in ("completed", "failed", "unknown")


@pytest.mark.dev_platform
def test_when_the_workspace_is_deleted_nobody_can_tell_any_more(platform, daemon, scout, other,
                                                                peer):
    gate = Gate()
    peer.does(held(gate, message("done")))
    sent = create(daemon, other.id)
    platform.dev.fault("delegate", scout, status=429, retry_after="60")
    platform.delete(scout)
    number = daemon.client.send("delegation.wait", delegation_id=sent["delegation_id"],
                                wait_ms=20000)
    daemon.retry("scout")
    daemon.wait_state("scout", "removed")
    delegation = daemon.client.answer(number)
    assert delegation["status"] == "unknown" and "deleted" in delegation["error"]
    assert refused(daemon, "delegation.create", to=other.id, task="x").kind == "removed"
    assert listed(daemon) == [delegation]
    gate.open()


# ---- looking ----

def test_lists_are_newest_first_and_by_status(platform, daemon, scout):
    answers = [create(daemon, str(uuid.uuid4())) for _ in range(5)]
    ids = [answer["delegation_id"] for answer in answers]
    assert [row["delegation_id"] for row in listed(daemon)] == ids[::-1]
    assert [row["delegation_id"] for row in listed(daemon, limit=2)] == ids[:2:-1]
    assert [row["delegation_id"] for row in listed(daemon, limit=2, before=ids[3])] == ids[2:0:-1]
    assert listed(daemon, before=ids[0]) == []
    for nobody in ("no id", str(uuid.uuid4())):
        assert refused(daemon, "delegation.list", before=nobody).kind == "not_found"
    for answer in answers:
        wait(daemon, answer)
    assert len(listed(daemon, status="failed")) == 5
    assert listed(daemon, status="completed") == []
    for params in ({"status": "done"}, {"limit": 0}, {"limit": 501}, {"limit": "5"}):
        assert refused(daemon, "delegation.list", **params).kind == "invalid_params"


def test_one_that_is_not_there(daemon, scout):
    for text in (str(uuid.uuid4()), "no id", ""):
        assert refused(daemon, "delegation.get", delegation_id=text).kind == "not_found"
        assert refused(daemon, "delegation.wait", delegation_id=text,
                       wait_ms=10).kind == "not_found"
    for params in ({}, {"delegation_id": "x"}, {"delegation_id": "x", "wait_ms": -1},
                   {"delegation_id": "x", "wait_ms": 3600001}):
        assert refused(daemon, "delegation.wait", **params).kind == "invalid_params"


@pytest.mark.dev_platform
def test_waiting_ends_in_time(platform, daemon, scout, other, peer):
    gate = Gate()
    peer.does(held(gate, message("done")))
    answer = create(daemon, other.id)
    for wait_ms in (0, 300):
        delegation = daemon.call("delegation.wait", wait_ms=wait_ms,
                                 delegation_id=answer["delegation_id"])
        assert not delegation_is_final(delegation)
    gate.open()
    assert wait(daemon, answer)["status"] == "completed"
    assert wait(daemon, answer)["status"] == "completed"    # at once


@pytest.mark.dev_platform
def test_who_waits_may_leave(platform, daemon, scout, other, peer):
    gate = Gate()
    peer.does(held(gate, message("done")))
    answer = create(daemon, other.id)
    number = daemon.client.send("delegation.wait", delegation_id=answer["delegation_id"],
                                wait_ms=20000)
    daemon.client.notify("rpc.cancel", id=number)
    with pytest.raises(RpcError) as caught:
        daemon.client.answer(number)
    assert caught.value.kind == "cancelled"
    with daemon.connect() as client:
        client.send("delegation.wait", delegation_id=answer["delegation_id"], wait_ms=20000)
        client.call("daemon.info")
    gate.open()
    assert wait(daemon, answer)["status"] == "completed"


@pytest.mark.dev_platform
def test_each_change_is_an_event(platform, daemon, scout, other, peer):
    gate = Gate()
    peer.does(held(gate, message("done")))
    events = daemon.events("delegation.updated")
    assert events.snapshot == {"delegations": []}
    answer = create(daemon, other.id)
    first = events.next()
    assert (first["workspace"], first["data"]["status"]) == ("scout", "pending")
    assert set(first["data"]) == MEMBERS
    assert events.next()["data"]["status"] == "delegated"
    late = daemon.events("delegation.updated")
    [open_one] = late.snapshot["delegations"]
    assert set(open_one) == MEMBERS | {"workspace"}
    assert open_one["delegation_id"] == answer["delegation_id"]
    gate.open()
    assert until(late, "completed")["preview"] == "done"
    seen = [event["data"]["status"] for event in late.seen]
    assert seen in (["completed"], ["dispatched", "completed"])
    assert daemon.events("delegation.updated").snapshot == {"delegations": []}


def test_none_is_lost_among_many(daemon, scout):
    """The platform lists fifty rows; each of these has two, and the one of its failure no id."""
    answers = [create(daemon, str(uuid.uuid4())) for _ in range(60)]
    for answer in answers:
        assert wait(daemon, answer)["status"] == "failed"
    assert len(listed(daemon, status="failed", limit=500)) == 60


@pytest.mark.dev_platform
def test_many_are_followed_with_few_requests(platform, daemon, scout, other, peer):
    gate = Gate()
    peer.does(held(gate, message("done")))
    answers = [create(daemon, other.id) for _ in range(20)]
    since = platform.dev.mark()
    platform.dev.wait(scout, count=2, since=since, endpoint="delegations", seconds=20)
    gate.open()
    for answer in answers:
        assert wait(daemon, answer)["status"] == "completed"
    asked = platform.dev.requests(scout, endpoint="delegations")
    assert len(asked) <= 12, [request["time"] for request in asked]
    # Nothing is left to ask for.
    since = platform.dev.mark()
    platform.dev.none_within(3.5, scout, since=since, endpoint="delegations")


@pytest.mark.dev_platform
def test_metrics_count_them(platform, daemon, scout, other, peer):
    assert "molecule_delegations_open{" not in daemon.call("daemon.metrics")["text"]
    wait(daemon, create(daemon, other.id))
    platform.dev.fault("delegate", scout, status=503)
    create(daemon, other.id)
    lines = daemon.call("daemon.metrics")["text"].splitlines()
    for line in ('molecule_delegations_open{workspace="scout",status="pending"} 1',
                 'molecule_delegations_open{workspace="scout",status="delegated"} 0',
                 'molecule_delegations_ended_total{workspace="scout",status="completed"} 1',
                 'molecule_delegation_sends_total{workspace="scout",result="ok"} 1',
                 'molecule_delegation_sends_total{workspace="scout",result="failed"} 1'):
        assert line in lines, line
