# SPDX-License-Identifier: MIT
"""molecule-agentctl delegate, delegations: handing over a task, and asking what became of it."""

import uuid

import pytest

from ctlfixtures import ID, Ctl, talk
from fakedaemon import HANG_UP, Error, ago
from harness import Peer
from harness.peer import message

pytest_plugins = "ctlfixtures"

CREATED = {"delegation_id": ID, "status": "delegated", "idempotency_key": "k", "duplicate": False,
           "error": None}


def delegation(status="delegated", **more):
    return {"delegation_id": ID, "to": str(uuid.UUID(int=7)), "status": status,
            "created_at": ago(hours=2, minutes=30), "updated_at": ago(minutes=5, seconds=30),
            "preview": None, "error": None, "platform_delegation_id": "d-1", **more}


# delegate

def test_a_task_is_handed_over(fake, run):
    fake.answers["delegation.create"] = CREATED
    assert run("-w", "laptop", "delegate", "lab", "do it") == f"{ID}: delegated\n"
    assert run("delegate", "lab", "do it", "--json").startswith('{"delegation_id"')
    handed = fake.params_of("delegation.create")
    assert len({uuid.UUID(params.pop("idempotency_key")) for params in handed}) == 2
    assert handed == [
        {"workspace": "laptop", "to": "lab", "task": "do it"}, {"to": "lab", "task": "do it"}]


def test_a_task_comes_from_standard_input(fake, run):
    fake.answers["delegation.create"] = CREATED
    run("delegate", "lab", "-", stdin="two\nlines \"here\"\n")
    assert fake.params_of("delegation.create")[0]["task"] == "two\nlines \"here\"\n"


def test_no_task_is_none(fake, run):
    run("delegate", "lab", "-", stdin="", status=64, said="the task is empty")
    run("delegate", "lab", "", status=64, said="the task is empty")
    run("delegate", "lab", "-", stdin="a\0b", status=65, said="NUL")
    run("delegate", "lab", b"\xffa", status=65, said="not UTF-8")
    run("delegate", "lab", b"cut: \xe2\x82", status=65, said="not UTF-8")
    run("delegate", "lab", status=64)
    assert fake.calls == []


def test_the_same_key_again_is_said(fake, run):
    fake.answers["delegation.create"] = {**CREATED, "duplicate": True, "status": "completed"}
    assert run("delegate", "--key", "mine", "lab", "do it") == \
        f"{ID}: completed (that key was there before)\n"
    assert fake.params_of("delegation.create")[0]["idempotency_key"] == "mine"


def test_a_refusal_of_the_platform_is_a_failure(fake, run):
    fake.answers["delegation.create"] = {**CREATED, "status": "failed", "error": "not today"}
    assert run("delegate", "lab", "do it", status=76, said="not today") == f"{ID}: failed\n"


def test_waiting_goes_on_until_it_ends(fake, run):
    statuses = iter(["delegated", "dispatched", "completed"])
    fake.answers["delegation.create"] = CREATED
    fake.answers["delegation.wait"] = lambda params: delegation(next(statuses),
                                                                preview="done,\n“well”")
    assert run("delegate", "--wait", "lab", "do it") == "done,\n“well”\n"
    assert fake.params_of("delegation.wait") == [{"delegation_id": ID, "wait_ms": 60000}] * 3


@pytest.mark.parametrize("status, exit_status", [("failed", 76), ("unknown", 12)])
def test_how_it_ended_is_the_exit_status(fake, run, status, exit_status):
    fake.answers["delegation.create"] = CREATED
    fake.answers["delegation.wait"] = delegation(status, error="nobody \x1b[31mthere")
    assert run("delegate", "--wait", "lab", "do it", status=exit_status,
               said="nobody ") == ""
    out = run("delegate", "--wait", "--json", "lab", "do it", status=exit_status, said="nobody")
    assert f'"status":"{status}"' in out


def test_a_daemon_that_goes_away_leaves_it_to_go_on(fake, run):
    fake.answers["delegation.create"] = CREATED
    fake.answers["delegation.wait"] = HANG_UP
    run("delegate", "--wait", "lab", "do it", status=12, said=f"delegation {ID} goes on")


def test_whoever_does_not_know_whether_it_was_accepted_is_told_its_key(fake, run):
    fake.answers["delegation.create"] = HANG_UP
    run("delegate", "--key", "mine", "lab", "do it", status=12, said="--key mine\n")
    child = run.start("delegate", "lab", "do it")
    said = child.communicate()[1]
    assert child.returncode == 12
    key = fake.params_of("delegation.create")[1]["idempotency_key"]
    assert f"--key {key}\n" in said


def test_whoever_waits_at_a_terminal_is_told_for_what(fake, run):
    fake.answers["delegation.create"] = CREATED
    fake.answers["delegation.wait"] = delegation("completed", preview="well")
    shown, status = talk(run, "delegate", "--wait", "lab", "do it")
    assert status == 0
    assert shown.splitlines() == [
        f"molecule-agentctl: delegation {ID} is accepted; waiting until it has ended", "well"]


# delegations

def test_delegations_are_a_table(fake, run):
    fake.answers["delegation.list"] = {"delegations": [
        delegation("failed", error="nobody\nthere"), delegation("completed", preview="all\twell"),
        delegation()]}
    to = uuid.UUID(int=7)
    assert run("delegations") == f"""\
{"ID":36}  {"TO":36}  STATUS     CREATED  CHANGED   ANSWER
{ID}  {to}  failed     2h ago   5min ago  nobody there
{ID}  {to}  completed  2h ago   5min ago  all well
{ID}  {to}  delegated  2h ago   5min ago  -
"""
    run("-w", "laptop", "delegations", "--status", "failed", "--limit", "7", "--before", ID)
    assert fake.params_of("delegation.list") == [
        {}, {"workspace": "laptop", "status": "failed", "limit": 7, "before": ID}]


def test_a_limit_is_a_number(fake, run):
    for limit in ("0", "-1", "x", "1.5"):
        run("delegations", "--limit", limit, status=64, said="--limit is a number")
    fake.answers["delegation.list"] = Error(-32602, "invalid_params", "status must be pending or so")
    run("delegations", "--status", "done", status=64, said="status must be")


def test_completion_knows_peers_and_statuses(fake, run):
    fake.answers["peers.list"] = {"peers": [{"id": "1", "name": "lab"}, {"id": "2", "name": "ops"}]}

    def complete(*words):
        return [line.split("\t")[0] for line in run("_complete", "--", *words).splitlines()]

    assert complete("-w", "laptop", "delegate", "") == ["lab", "ops"]
    assert fake.params_of("peers.list") == [{"workspace": "laptop"}]
    assert complete("delegate", "lab", "") == []
    assert complete("delegations", "--status", "d") == ["delegated", "dispatched"]


# with the daemon

@pytest.mark.dev_platform
def test_there_and_back(platform, daemon):
    scout, other = platform.create("scout"), platform.create("other")
    daemon.add(scout)
    daemon.start()
    daemon.wait_state("scout", "online")
    ctl = Ctl(str(daemon.socket), daemon.home)
    with Peer() as peer:
        peer.does(message("as you wish"))
        platform.register(other, f"http://localhost:{peer.port}/in")
        assert ctl("delegate", "--wait", "other", "-", stdin="do it") == "as you wish\n"
        assert [request.text for request in peer.requests] == ["do it"]
    table = ctl("delegations")
    assert other.id in table and "completed" in table and "as you wish" in table
    ctl("delegate", "nobody", "do it", status=66, said="nobody")
