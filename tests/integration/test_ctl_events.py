# SPDX-License-Identifier: MIT
"""molecule-agentctl events, report: what stays while the daemon comes and goes."""

import json
import os
import re
import signal

from ctlfixtures import line_of
from fakedaemon import PATIENCE, Error, workspace

pytest_plugins = "ctlfixtures"


# events

SNAPSHOT = {"subscription": "s1", "snapshot": {
    "workspaces": [workspace(), workspace("desk", "paused", platform_status="paused")],
    "secrets": [{"workspace": "laptop", "keys": ["A", "B"], "fetched_at": None}],
    "warnings": [{"code": "x", "text": "disk is nearly full", "workspace": None}]}}
ONE = {"subscription": "s1", "snapshot": {"workspaces": [workspace()]}}
CLOCK = r"\d\d:\d\d:\d\d  "


def test_events_shows_how_things_are_and_ends(fake, run):
    fake.answers["events.subscribe"] = SNAPSHOT
    out = run("events", "-w", "laptop", "--type", "workspace.state", "-t", "daemon.warning")
    assert re.fullmatch(CLOCK + "laptop        workspaces          online\n" +
                        CLOCK + "desk          workspaces          paused\n" +
                        CLOCK + "laptop        secrets             keys=A,B\n" +
                        CLOCK + "-             warnings            disk is nearly full\n", out)
    assert fake.params_of("events.subscribe") == [
        {"workspace": "laptop", "types": ["workspace.state", "daemon.warning"]}]


def test_events_follow_shows_a_line_for_each(fake, run):
    fake.answers["events.subscribe"] = ONE
    child = run.start("events", "--follow")
    assert "online" in line_of(child.stdout)
    fake.push(subscription="s1", seq=1, type="workspace.state", workspace="laptop",
                at="2026-11-20T12:34:56.789Z",
              data={"state": "unreachable", "before": "online", "last_error": "no route"})
    assert line_of(child.stdout) == \
        "12:34:56  laptop        workspace.state     unreachable, was online: no route\n"
    fake.push(subscription="s1", seq=2, type="inbox.message", workspace="laptop",
                at="2026-11-20T12:34:57.000Z",
              data={"id": "m1", "kind": "user", "x": None, "y": {}})
    assert line_of(child.stdout) == "12:34:57  laptop        inbox.message       id=m1 kind=user\n"
    fake.push(subscription="s1", seq=3, type="secrets.changed", workspace="laptop",
                at="2026-11-20T12:34:58.000Z", data={"changed": ["A", "B"], "removed": []})
    assert line_of(child.stdout) == "12:34:58  laptop        secrets.changed     changed=A,B\n"
    for raised, text in ((True, "disk is full"), (False, "over: disk is full")):
        fake.push(subscription="s1", seq=4, type="daemon.warning", workspace=None,
                    at="2026-11-20T12:34:59.000Z",
                    data={"raised": raised, "warning": {"code": "disk", "text": "disk is full"}})
        assert line_of(child.stdout) == f"12:34:59  -             daemon.warning      {text}\n"


def test_events_as_json_are_one_a_line(fake, run):
    fake.answers["events.subscribe"] = {"subscription": "s1", "snapshot": {}}
    child = run.start("events", "-f", "--json")
    assert json.loads(line_of(child.stdout)) == {"subscription": "s1", "snapshot": {}}
    event = {"subscription": "s1", "seq": 1, "type": "workspace.state", "workspace": "w", "at": "t",
             "data": {"state": "online"}}
    fake.push(**event)
    assert json.loads(line_of(child.stdout)) == event


def test_events_follow_survives_a_restart_of_the_daemon(fake, run):
    fake.answers["events.subscribe"] = ONE
    child = run.start("events", "--follow")
    line_of(child.stdout)
    fake.stop()
    assert "waiting for the daemon" in line_of(child.stderr)
    fake.start()
    assert "the daemon is back" in line_of(child.stderr)
    assert "online" in line_of(child.stdout)
    fake.push(subscription="s1", type="workspace.state", workspace="laptop",
                at="2026-11-20T12:34:56.789Z", data={"state": "paused"})
    assert line_of(child.stdout).endswith("paused\n")


def test_events_subscribes_again_after_an_overflow(fake, run):
    fake.answers["events.subscribe"] = ONE
    child = run.start("events", "--follow")
    line_of(child.stdout)
    fake.push(subscription="s1", type="overflow")
    assert "some are lost" in line_of(child.stderr)
    assert "online" in line_of(child.stdout)
    assert len(fake.params_of("events.subscribe")) == 2
    with fake.changed:
        assert len(fake.connections) == 1


def test_events_that_are_forbidden_end_it(fake, run):
    fake.answers["events.subscribe"] = Error(-32002, "forbidden", "not for you")
    run("events", "--follow", status=77, said="not for you")
    fake.stop()
    run("events", "--follow", status=69, said="cannot connect")


# report

def test_report_shows_what_the_platform_sees(fake, run):
    fake.answers["workspace.status"] = workspace()
    assert run("report") == ("  current_task: building\n  active_tasks: 1\n    error_rate: 0.25\n"
                             "  sample_error: -\n")
    assert json.loads(run("report", "--json"))["active_tasks"] == 1


def test_report_lasts_as_long_as_the_command(fake, run, tmp_path):
    fake.answers["workspace.report"] = {"report": {"current_task": "x", "active_tasks": 1}}
    os.mkfifo(tmp_path / "fifo")
    child = run.start("report", "-w", "laptop", "--current-task", "build", "--active-tasks", "1",
                      "--error-rate", "0.5", "--", "sh", "-c", 'read x < "$1"; echo "$x"; exit 7', "-",
                      str(tmp_path / "fifo"))
    fake.wait_for("workspace.report")
    assert fake.params_of("workspace.report") == [
        {"workspace": "laptop", "current_task": "build", "active_tasks": 1, "error_rate": 0.5}]
    with fake.changed:
        assert len(fake.connections) == 1
    (tmp_path / "fifo").write_text("done\n")
    assert child.communicate(timeout=PATIENCE)[0] == "done\n"
    assert child.returncode == 7
    fake.wait_until(lambda: not fake.connections)


def test_report_is_made_again_when_the_daemon_is_back(fake, run):
    fake.answers["workspace.report"] = {"report": {"current_task": "x"}}
    child = run.start("report", "--current-task", "x")
    assert line_of(child.stdout) == "  current_task: x\n"
    fake.stop()
    fake.start()
    fake.wait_for("workspace.report", 2)
    child.send_signal(signal.SIGINT)
    assert child.wait(PATIENCE) == 0


def test_report_hands_signals_on_and_ends_as_the_command_did(fake, run):
    fake.answers["workspace.report"] = {"report": {}}
    child = run.start("report", "--current-task", "x", "--", "sh", "-c", "echo up; exec sleep 1000")
    assert line_of(child.stdout) == "up\n"
    child.send_signal(signal.SIGTERM)
    assert child.wait(PATIENCE) == 128 + signal.SIGTERM
    run("report", "--current-task", "x", "--", "/nowhere/at/all", status=127, said="cannot run")


def test_a_command_is_not_run_when_the_report_is_refused(fake, run, tmp_path):
    fake.answers["workspace.report"] = Error(-32005, "paused", "laptop is paused")
    run("report", "--current-task", "x", "--", "touch", str(tmp_path / "ran"), status=10)
    assert not (tmp_path / "ran").exists()
