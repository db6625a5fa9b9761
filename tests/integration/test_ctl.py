# SPDX-License-Identifier: MIT
"""molecule-agentctl: what it shows, and its words for what goes wrong."""

import json
import os
import re
import socket
import subprocess

import pytest

from ctlfixtures import ID, KINDS, TOKEN, talk
from fakedaemon import HANG_UP, PATIENCE, SILENCE, Error, Raw, ago, workspace

pytest_plugins = "ctlfixtures"


# status, workspaces

def test_status_shows_the_daemon_and_each_workspace(fake, run):
    fake.answers["daemon.status"] = {
        "state": "running", "connections": 3,
        "workspaces": [
            workspace(),
            workspace("größe-日本", "unreachable", next_attempt_at=ago(seconds=-90),
                      last_error="cannot resolve molecule.example",
                      heartbeat={"interval_ms": 30000, "last_ok_at": None, "failed": 3},
                      token={"present": False, "prefix": None})],
        "warnings": [{"code": "clock_skew", "severity": "warning",
                      "since": ago(minutes=5, seconds=30), "text": "the clock is 40s ahead"}]}
    assert run("status") == """\
daemon: running, connections: 3

WORKSPACE   STATE                 SINCE   HEARTBEAT  EVERY  FAILED  TOKEN     NEXT     LAST ERROR
laptop      online                5h ago  3min ago   30s    2       tok_AbCd  -        -
größe-日本  unreachable (online)  5h ago  -          30s    3       -         in 1min  cannot resolve molecule.example

warning: the clock is 40s ahead (clock_skew, 5min ago)
"""
    assert fake.calls == [("daemon.status", {})]


def test_status_without_any_workspace_says_how_to_get_one(fake, run):
    fake.answers["daemon.status"] = {"state": "running", "connections": 1, "workspaces": [],
                                       "warnings": []}
    assert run("status") == ("daemon: running, connections: 1\n\n"
                             "no workspace; see 'molecule-agentctl help join'\n")


def test_status_of_one_workspace_shows_all_of_it(fake, run):
    fake.answers["workspace.status"] = workspace(platform_status="provisioning")
    out = run("status", "-w", "laptop")
    assert out == f"""\
laptop: online (provisioning)
                 id: {ID}
           platform: https://molecule.example
              since: 5h ago
             uptime: 5h 30min
              token: tok_AbCd
    heartbeat every: 30s
  heartbeat last ok: 3min ago
    heartbeats sent: 660
  heartbeats failed: 2
    heartbeat error: -
       next attempt: -
       current task: building
       active tasks: 1
         error rate: 0.25
       sample error: -
      inbox pending: 3
       inbox leased: 1
         inbox dead: 0
         last error: -
            feature: poll = true
"""
    assert fake.calls == [("workspace.status", {"workspace": "laptop"})]


def test_json_is_the_result_as_the_daemon_wrote_it(fake, run):
    text = '{"state":"running","connections":12345678901234567890,"x":1.0,"ü":"\\u0000"}'
    fake.answers["daemon.status"] = Raw(
        f'{{"jsonrpc":"2.0","id":$ID,"result":{text}}}\n'.encode())
    assert run("status", "--json") == text + "\n"


def test_what_a_terminal_would_obey_is_not_shown(fake, run):
    fake.answers["workspace.list"] = {"workspaces": [
        {"id": "a\x1b[2Jb", "name": "evil\n\u202ename\x9b31m", "state": "on\x07line"}]}
    assert run("workspaces") == ("NAME             STATE    ID\n"
                                 "evil ?name?31m  on?line  a?[2Jb\n".replace("?", "\ufffd")
                                 .replace("NAME             ", "NAME            "))


def test_workspaces_lists_them(fake, run):
    fake.answers["workspace.list"] = {"workspaces": [
        {"id": ID, "name": "laptop", "state": "online"}, {"id": "x", "name": None, "state": "paused"}]}
    assert run("workspaces") == f"""\
NAME    STATE   ID
laptop  online  {ID}
-       paused  x
"""


# colours

def test_states_are_coloured_on_a_terminal_only(fake, run):
    fake.answers["workspace.list"] = {"workspaces": [{"id": "1", "name": "a", "state": "online"}]}
    out, status = talk(run, "workspaces")
    assert (status, "\x1b[32monline" in out) == (0, True)
    assert "\x1b" not in run("workspaces")
    assert "\x1b" not in talk(run, "workspaces", "--no-color")[0]
    assert "\x1b" not in talk(run, "workspaces", "--json")[0]
    run.env["NO_COLOR"] = "1"
    assert "\x1b" not in talk(run, "workspaces")[0]


# errors and exit statuses

@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_error_has_its_exit_status(fake, run, kind):
    code, status = KINDS[kind]
    fake.answers["peers.list"] = Error(code, kind, f"it was {kind}")
    run("peers", status=status, said=f"molecule-agentctl: it was {kind}\n")


def test_says_when_to_try_again(fake, run):
    fake.answers["peers.list"] = Error(-32008, "rate_limited", "slow down", retry_after_ms=90000)
    run("peers", status=75, said="slow down (try again in 1min 30s)\n")


def test_an_error_of_an_unknown_code_is_internal(fake, run):
    fake.answers["peers.list"] = Raw(b'{"jsonrpc":"2.0","id":$ID,"error":{"code":-1}}\n')
    run("peers", status=70, said="without saying why (code -1)")


def test_an_error_with_id_null_answers_the_call(fake, run):
    fake.answers["peers.list"] = Raw(
        b'{"jsonrpc":"2.0","id":null,"error":{"code":-32010,"message":"over max_request_bytes"}}\n')
    run("peers", status=65, said="over max_request_bytes")


@pytest.mark.parametrize("data", [
    b"not json\n", b"[]\n", b'"text"\n', b'{"jsonrpc":"2.0","id":$ID}\n', b'{"id":$ID,"result":01}\n',
    b'{"jsonrpc":"2.0","id":$ID,"result":' + b"[" * 80 + b"]" * 80 + b"}\n", b"\xff\xfe\n", b"\n"])
def test_what_does_not_speak_json_rpc_is_told_apart(fake, run, data):
    fake.answers["daemon.status"] = Raw(data)
    run("status", status=70, said="does not speak JSON-RPC")


def test_an_answer_in_pieces_is_one_answer(fake, run):
    def in_pieces(params):
        with fake.changed:
            connection = next(iter(fake.connections))
        for byte in b'{"jsonrpc":"2.0","id":1,"result":{"workspaces":[{"name":"x"}]}}':
            connection.send(bytes([byte]))
        return Raw(b"\n")
    fake.answers["workspace.list"] = in_pieces
    assert run("workspaces", "--json") == '{"workspaces":[{"name":"x"}]}\n'


def test_a_daemon_that_hangs_up_halfway_is_unavailable_to_a_question(fake, run):
    fake.answers["daemon.status"] = Raw(b'{"jsonrpc":"2.0","id":$ID,"resu', close=True)
    run("status", status=69, said="closed the connection before it answered")


def test_a_daemon_that_hangs_up_may_have_done_what_it_was_told(fake, run):
    fake.answers["workspace.leave"] = HANG_UP
    run("leave", status=12, said="closed the connection before it answered")


def test_an_answer_counts_even_if_the_connection_ends_behind_it(fake, run):
    fake.answers["workspace.leave"] = Raw(b'{"jsonrpc":"2.0","id":$ID,"result":{"left":true}}\n',
                                            close=True)
    assert run("leave", "--json") == '{"left":true}\n'


def test_timeout_ends_waiting_and_cancels_the_call(fake, run):
    fake.answers["daemon.status"] = SILENCE
    run("status", "--timeout", "100ms", status=75, said="did not answer daemon.status in time")
    fake.wait_for("rpc.cancel")
    assert fake.params_of("rpc.cancel") == [{"id": 1}]


def test_timeout_of_a_change_leaves_the_outcome_unknown(fake, run):
    fake.answers["token.rotate"] = SILENCE
    run("token", "rotate", "--timeout=100ms", status=12, said="it may have done it")


def test_no_daemon_says_how_to_start_it(fake, run, tmp_path):
    fake.stop()
    run("status", status=69, said="is molecule-agentd running, and is that its socket?")
    run("status", status=69, said=f"cannot connect to {fake.path}: No such file or directory\n")
    own = {"MOLECULE_SOCKET": "", "XDG_RUNTIME_DIR": str(tmp_path)}
    run("status", "--user", env=own, status=69, said="'systemctl --user start molecule-agentd'")
    if not os.path.exists("/run/molecule.sock"):
        run("status", env=own, status=69, said="'systemctl start molecule-agentd'")


def test_a_socket_nobody_listens_on_is_unavailable(fake, run, tmp_path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "dead"))
    run("status", "--socket", str(tmp_path / "dead"), status=69, said="Connection refused")


def test_a_path_longer_than_sockets_have_is_refused(run):
    run("status", "--socket", "/" + "x" * 200, status=64, said="at most 107 bytes")


def test_output_that_cannot_be_written_is_an_error(fake, run):
    fake.answers["workspace.list"] = {"workspaces": []}
    with open("/dev/full", "wb") as full:
        done = subprocess.run([run.program, "workspaces"], stdout=full, stderr=subprocess.PIPE,
                              env=run.env, timeout=PATIENCE)
    assert (done.returncode, b"No space left" in done.stderr) == (74, True)


# which socket

def test_the_socket_is_found_in_order(fake, run, tmp_path):
    fake.answers["workspace.list"] = {"workspaces": []}
    runtime = tmp_path / "run"
    runtime.mkdir()
    (runtime / "molecule.sock").symlink_to(fake.path)
    nowhere = {"MOLECULE_SOCKET": "/nowhere", "XDG_RUNTIME_DIR": str(runtime)}
    run("workspaces", env={"MOLECULE_SOCKET": "", "XDG_RUNTIME_DIR": str(runtime)})
    run("workspaces", "--user", env=nowhere)
    run("workspaces", "--socket", fake.path, env=nowhere)
    run("workspaces", env=nowhere, status=69, said="/nowhere")


# the command line

@pytest.mark.parametrize("args,said", [
    ((), "what is to be done?"),
    (("frobnicate",), "there is no command 'frobnicate'"),
    (("secrets",), "'secrets' needs a second word"),
    (("secrets", "steal"), "there is no command 'secrets steal'"),
    (("status", "more"), "'more' is one word too many"),
    (("call",), "'call' needs METHOD [JSON|-]"),
    (("status", "--frob"), "there is no option --frob here"),
    (("status", "--forget"), "there is no option --forget here"),
    (("status", "-x"), "there is no option -x here"),
    (("status", "-w"), "--workspace needs a value: NAME"),
    (("status", "--json=1"), "--json takes no value"),
    (("status", "--timeout", "30"), "'30' is no time for --timeout"),
    (("status", "--timeout", "0s"), "'0s' is no time for --timeout"),
    (("status", "--user", "--socket", "x"), "exclude each other"),
    (("workspaces", "-w", "x"), "takes no --workspace"),
    (("help", "frobnicate"), "there is no command 'frobnicate'"),
    (("report", "--active-tasks", "-1"), "--active-tasks is a number, not '-1'"),
    (("report", "--error-rate", "2"), "--error-rate is a number from 0 to 1, not '2'"),
    (("report", "--error-rate", "0x1"), "--error-rate is a number from 0 to 1"),
    (("report", "--", "true"), "what is to be reported while 'true' runs?"),
    (("call", "x", "{"), "the parameters are not JSON"),
    (("secrets", "get", "--format", "xml", "K"), "there is no format 'xml'"),
    (("secrets", "get", "--format", "raw"), "exactly one KEY"),
    (("secrets", "get", "--format", "env", "--json"), "exclude each other"),
    (("secrets", "get", "--max-age", "soon"), "no time for --max-age"),
])
def test_a_mistake_in_the_arguments_is_explained(fake, run, args, said):
    status = 65 if args[:2] == ("call", "x") else 64
    assert run(*args, status=status, said=said) == ""
    assert fake.calls == []


def test_options_may_stand_anywhere(fake, run):
    fake.answers["secrets.list"] = {"keys": ["A"], "fetched_at": None}
    for args in (("-w", "x", "--json", "secrets", "list"), ("secrets", "--json", "-wx", "list"),
                 ("secrets", "list", "--workspace=x", "--json")):
        assert run(*args) == '{"keys":["A"],"fetched_at":null}\n'
    assert fake.params_of("secrets.list") == [{"workspace": "x"}] * 3


@pytest.mark.parametrize("args", [
    ("join", "--token", TOKEN), ("join", f"--token={TOKEN}"), ("token", "set", "--token", TOKEN),
    ("call", "token.set", json.dumps({"token": TOKEN}))])
def test_a_token_in_the_arguments_is_refused_with_the_reason(fake, run, args):
    run(*args, status=64, said="every process on this machine can read it")
    assert fake.calls == []


def test_help_and_version_need_no_daemon(fake, run):
    fake.stop()
    version = run("--version")
    assert re.fullmatch(r"molecule-agentctl \d+\.\d+\.\d+\S*\n", version)
    assert run("help") == run("--help") == run("-h")
    assert run("help", "join") == run("join", "--help")
    assert "secrets refresh" in run("help", "secrets")
    assert run("version") == \
        version + f"daemon: cannot connect to {fake.path}: No such file or directory\n"
    assert json.loads(run("version", "--json"))["daemon"] is None


def test_version_shows_the_daemons_too(fake, run):
    fake.answers["daemon.info"] = {"name": "molecule-agentd", "version": "9.8.7", "pid": 42,
                                     "started_at": "2026-11-20T12:00:00.000Z"}
    assert run("version").splitlines()[1] == \
        "molecule-agentd 9.8.7 (pid 42, up since 2026-11-20T12:00:00.000Z)"
    assert json.loads(run("version", "--json"))["daemon"]["version"] == "9.8.7"


# leave, reload, refresh, metrics, peers

def test_leave_says_what_becomes_of_the_data(fake, run):
    fake.answers["workspace.leave"] = {"left": True}
    assert run("leave", "-w", "laptop") == "left, its token and data are kept\n"
    assert run("leave", "--forget") == "left, its token and data are wiped\n"
    assert fake.params_of("workspace.leave") == [{"workspace": "laptop"}, {"forget": True}]


def test_reload_lists_what_changed(fake, run):
    fake.answers["daemon.reload"] = {"changed": ["workspace.laptop", "log_level"],
                                     "unchanged": False}
    assert run("reload") == "changed: workspace.laptop, log_level\n"
    fake.answers["daemon.reload"] = {"changed": [], "unchanged": True}
    assert run("reload") == "nothing changed\n"


def test_refresh_shows_the_state_in_a_line(fake, run):
    fake.answers["workspace.refresh"] = workspace(state="paused", platform_status="paused")
    assert run("refresh") == "laptop: paused  (token stored, heartbeat every 30s)\n"


def test_metrics_are_printed_as_they_are(fake, run):
    text = "# HELP x a\\nb\nx{name=\"ü\"} 1\n# EOF\n"
    fake.answers["daemon.metrics"] = {"text": text}
    assert run("metrics") == text


def test_peers_are_a_table(fake, run):
    fake.answers["peers.list"] = {"peers": [
        {"id": "p1", "name": "日本語", "role": "writer", "tier": 3, "status": "online", "url": None,
         "parent_id": None, "active_tasks": 0, "agent_card": {"skills": []}},
        {"id": "p2", "name": "ci", "role": None, "tier": 1, "status": "offline",
         "url": "http://10.0.0.1:8000", "active_tasks": 12}], "fetched_at": ago(seconds=1)}
    assert run("peers", "wri", "--refresh") == """\
NAME    ROLE    STATUS   TIER  TASKS  ID  URL
日本語  writer  online   3     0      p1  -
ci      -       offline  1     12     p2  http://10.0.0.1:8000
"""
    assert fake.params_of("peers.list") == [{"query": "wri", "refresh": True}]


# call

def test_call_passes_parameters_and_result_as_they_are(fake, run):
    fake.answers["any.thing"] = lambda params: params
    assert run("call", "any.thing", '{"a": [1, "ü"]}') == '{"a":[1,"ü"]}\n'
    assert run("call", "any.thing", "[1]") == "[1]\n"
    assert run("call", "any.thing", "-", stdin='{\n"token": 1\n}\n') == '{"token":1}\n'
    assert run("call", "any.thing") == "{}\n" or fake.params_of("any.thing")[-1] is None
    run("call", "no.thing", status=64, said="there is no method 'no.thing'")
    run("call", "any.thing", "7", status=64, said="an object or an array, not a number")


def test_call_reports_parameters_that_are_too_large(run):
    run("call", "x", "-", stdin="[" + "1," * 600000 + "1]", status=65,
        said="more than 1048576 bytes")
