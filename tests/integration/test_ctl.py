# SPDX-License-Identifier: MIT
"""molecule-agentctl and libmolecule-agent, against a stand-in for the daemon."""

import ctypes
import json
import os
import pathlib
import pty
import re
import select
import signal
import socket
import subprocess
import termios

import pytest

from fakedaemon import HANG_UP, PATIENCE, SILENCE, Error, FakeDaemon, Raw, ago, dump, workspace

SOURCE = pathlib.Path(__file__).resolve().parents[2]
TOKEN = "s3cretTokenOfTwentyChars"
ID = "5f0c2a51-7a0e-4f3e-9d6b-1a2b3c4d5e6f"


def build_dir():
    path = os.environ.get("MOLECULE_BUILD_DIR")
    if not path:
        pytest.fail("MOLECULE_BUILD_DIR must name the meson build directory")
    return pathlib.Path(path)


@pytest.fixture
def daemon(tmp_path):
    fake = FakeDaemon(tmp_path / "sock").start()
    yield fake
    if fake.thread.is_alive():
        fake.stop()


class Ctl:
    """Runs the command, with an environment that has nothing of ours in it."""

    def __init__(self, path, home):
        self.program = str(build_dir() / "src/ctl/molecule-agentctl")
        self.env = {"PATH": os.environ["PATH"], "MOLECULE_SOCKET": path, "HOME": str(home),
                    "LC_ALL": "C", "TZ": "UTC", "TERM": "xterm"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.running = []

    def __call__(self, *args, stdin="", status=0, said=None, env=None):
        """Output; checks the exit status and, when said is given, what was said about it."""
        done = subprocess.run([self.program, *args], input=stdin, capture_output=True, text=True,
                              env={**self.env, **(env or {})}, timeout=PATIENCE)
        assert done.returncode == status, (done.stdout, done.stderr)
        if said is not None:
            assert said in done.stderr, done.stderr
        elif status == 0:
            assert done.stderr == ""
        return done.stdout

    def start(self, *args, **more):
        child = subprocess.Popen([self.program, *args], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 env=self.env, **more)
        self.running.append(child)
        return child


@pytest.fixture
def ctl(daemon, tmp_path):
    runner = Ctl(daemon.path, tmp_path)
    yield runner
    for child in runner.running:
        if child.poll() is None:
            child.kill()
        child.communicate()


def line_of(stream):
    ready, _, _ = select.select([stream], [], [], PATIENCE)
    assert ready, "no line came"
    return stream.readline()


def talk(ctl, *args, answers=()):
    """Runs it on a terminal; answers are (what to wait for, what to type). Output and status."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(ctl.program, [ctl.program, *args], ctl.env)
    seen, answers = b"", list(answers)
    while True:
        if answers and answers[0][0] in seen:
            os.write(fd, answers.pop(0)[1])
        ready, _, _ = select.select([fd], [], [], PATIENCE)
        assert ready, seen
        try:
            data = os.read(fd, 4096)
        except OSError:  # how a terminal says that nobody is left on it
            data = b""
        if not data:
            break
        seen += data
    os.close(fd)
    return seen.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# status, workspaces

def test_status_shows_the_daemon_and_each_workspace(daemon, ctl):
    daemon.answers["daemon.status"] = {
        "state": "running", "connections": 3,
        "workspaces": [
            workspace(),
            workspace("größe-日本", "unreachable", next_attempt_at=ago(seconds=-90), last_error="cannot resolve molecule.example",
                      heartbeat={"interval_ms": 30000, "last_ok_at": None, "failed": 3},
                      token={"present": False, "prefix": None})],
        "warnings": [{"code": "clock_skew", "severity": "warning", "since": ago(minutes=5, seconds=30),
                      "text": "the clock is 40s ahead"}]}
    assert ctl("status") == """\
daemon: running, connections: 3

WORKSPACE   STATE                 SINCE   HEARTBEAT  EVERY  FAILED  TOKEN     NEXT     LAST ERROR
laptop      online                5h ago  3min ago   30s    2       tok_AbCd  -        -
größe-日本  unreachable (online)  5h ago  -          30s    3       -         in 1min  cannot resolve molecule.example

warning: the clock is 40s ahead (clock_skew, 5min ago)
"""
    assert daemon.calls == [("daemon.status", {})]


def test_status_without_any_workspace_says_how_to_get_one(daemon, ctl):
    daemon.answers["daemon.status"] = {"state": "running", "connections": 1, "workspaces": [],
                                       "warnings": []}
    assert ctl("status") == ("daemon: running, connections: 1\n\n"
                             "no workspace; see 'molecule-agentctl help join'\n")


def test_status_of_one_workspace_shows_all_of_it(daemon, ctl):
    daemon.answers["workspace.status"] = workspace(platform_status="provisioning")
    out = ctl("status", "-w", "laptop")
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
    assert daemon.calls == [("workspace.status", {"workspace": "laptop"})]


def test_json_is_the_result_as_the_daemon_wrote_it(daemon, ctl):
    text = '{"state":"running","connections":12345678901234567890,"x":1.0,"ü":"\\u0000"}'
    daemon.answers["daemon.status"] = Raw(
        f'{{"jsonrpc":"2.0","id":$ID,"result":{text}}}\n'.encode())
    assert ctl("status", "--json") == text + "\n"


def test_what_a_terminal_would_obey_is_not_shown(daemon, ctl):
    daemon.answers["workspace.list"] = {"workspaces": [
        {"id": "a\x1b[2Jb", "name": "evil\n\u202ename\x9b31m", "state": "on\x07line"}]}
    assert ctl("workspaces") == ("NAME             STATE    ID\n"
                                 "evil ?name?31m  on?line  a?[2Jb\n".replace("?", "\ufffd")
                                 .replace("NAME             ", "NAME            "))


def test_workspaces_lists_them(daemon, ctl):
    daemon.answers["workspace.list"] = {"workspaces": [
        {"id": ID, "name": "laptop", "state": "online"}, {"id": "x", "name": None, "state": "paused"}]}
    assert ctl("workspaces") == f"""\
NAME    STATE   ID
laptop  online  {ID}
-       paused  x
"""


# colours

def test_states_are_coloured_on_a_terminal_only(daemon, ctl):
    daemon.answers["workspace.list"] = {"workspaces": [{"id": "1", "name": "a", "state": "online"}]}
    out, status = talk(ctl, "workspaces")
    assert (status, "\x1b[32monline" in out) == (0, True)
    assert "\x1b" not in ctl("workspaces")
    assert "\x1b" not in talk(ctl, "workspaces", "--no-color")[0]
    assert "\x1b" not in talk(ctl, "workspaces", "--json")[0]
    ctl.env["NO_COLOR"] = "1"
    assert "\x1b" not in talk(ctl, "workspaces")[0]


# errors and exit statuses

KINDS = {
    "parse_error": (-32700, 65), "invalid_request": (-32600, 65), "method_not_found": (-32601, 64),
    "invalid_params": (-32602, 64), "internal": (-32603, 70), "platform_error": (-32000, 76),
    "unauthorized": (-32001, 77), "forbidden": (-32002, 77), "not_found": (-32003, 66),
    "unavailable": (-32004, 69), "paused": (-32005, 10), "removed": (-32006, 11),
    "timeout": (-32007, 75), "rate_limited": (-32008, 75), "conflict": (-32009, 73),
    "too_large": (-32010, 65), "unknown_outcome": (-32011, 12), "peer_error": (-32012, 76),
    "not_permitted": (-32013, 77), "budget_exceeded": (-32014, 75), "integrity": (-32015, 65),
    "cancelled": (-32016, 75), "overloaded": (-32017, 75),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_error_has_its_exit_status(daemon, ctl, kind):
    code, status = KINDS[kind]
    daemon.answers["peers.list"] = Error(code, kind, f"it was {kind}")
    ctl("peers", status=status, said=f"molecule-agentctl: it was {kind}\n")


def test_says_when_to_try_again(daemon, ctl):
    daemon.answers["peers.list"] = Error(-32008, "rate_limited", "slow down", retry_after_ms=90000)
    ctl("peers", status=75, said="slow down (try again in 1min 30s)\n")


def test_an_error_of_an_unknown_code_is_internal(daemon, ctl):
    daemon.answers["peers.list"] = Raw(b'{"jsonrpc":"2.0","id":$ID,"error":{"code":-1}}\n')
    ctl("peers", status=70, said="without saying why (code -1)")


def test_an_error_with_id_null_answers_the_call(daemon, ctl):
    daemon.answers["peers.list"] = Raw(
        b'{"jsonrpc":"2.0","id":null,"error":{"code":-32010,"message":"over max_request_bytes"}}\n')
    ctl("peers", status=65, said="over max_request_bytes")


@pytest.mark.parametrize("data", [
    b"not json\n", b"[]\n", b'"text"\n', b'{"jsonrpc":"2.0","id":$ID}\n', b'{"id":$ID,"result":01}\n',
    b'{"jsonrpc":"2.0","id":$ID,"result":' + b"[" * 80 + b"]" * 80 + b"}\n", b"\xff\xfe\n", b"\n"])
def test_what_does_not_speak_json_rpc_is_told_apart(daemon, ctl, data):
    daemon.answers["daemon.status"] = Raw(data)
    ctl("status", status=70, said="does not speak JSON-RPC")


def test_an_answer_in_pieces_is_one_answer(daemon, ctl):
    def in_pieces(params):
        with daemon.changed:
            connection = next(iter(daemon.connections))
        for byte in b'{"jsonrpc":"2.0","id":1,"result":{"workspaces":[{"name":"x"}]}}':
            connection.send(bytes([byte]))
        return Raw(b"\n")
    daemon.answers["workspace.list"] = in_pieces
    assert ctl("workspaces", "--json") == '{"workspaces":[{"name":"x"}]}\n'


def test_a_daemon_that_hangs_up_halfway_is_unavailable_to_a_question(daemon, ctl):
    daemon.answers["daemon.status"] = Raw(b'{"jsonrpc":"2.0","id":$ID,"resu', close=True)
    ctl("status", status=69, said="closed the connection before it answered")


def test_a_daemon_that_hangs_up_may_have_done_what_it_was_told(daemon, ctl):
    daemon.answers["workspace.leave"] = HANG_UP
    ctl("leave", status=12, said="closed the connection before it answered")


def test_an_answer_counts_even_if_the_connection_ends_behind_it(daemon, ctl):
    daemon.answers["workspace.leave"] = Raw(b'{"jsonrpc":"2.0","id":$ID,"result":{"left":true}}\n',
                                            close=True)
    assert ctl("leave", "--json") == '{"left":true}\n'


def test_timeout_ends_waiting_and_cancels_the_call(daemon, ctl):
    daemon.answers["daemon.status"] = SILENCE
    ctl("status", "--timeout", "100ms", status=75, said="did not answer daemon.status in time")
    daemon.wait_for("rpc.cancel")
    assert daemon.params_of("rpc.cancel") == [{"id": 1}]


def test_timeout_of_a_change_leaves_the_outcome_unknown(daemon, ctl):
    daemon.answers["token.rotate"] = SILENCE
    ctl("token", "rotate", "--timeout=100ms", status=12, said="it may have done it")


def test_no_daemon_says_how_to_start_it(daemon, ctl, tmp_path):
    daemon.stop()
    ctl("status", status=69, said="is molecule-agentd running, and is that its socket?")
    ctl("status", status=69, said=f"cannot connect to {daemon.path}: No such file or directory\n")
    own = {"MOLECULE_SOCKET": "", "XDG_RUNTIME_DIR": str(tmp_path)}
    ctl("status", "--user", env=own, status=69, said="'systemctl --user start molecule-agentd'")
    if not os.path.exists("/run/molecule.sock"):
        ctl("status", env=own, status=69, said="'systemctl start molecule-agentd'")


def test_a_socket_nobody_listens_on_is_unavailable(daemon, ctl, tmp_path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "dead"))
    ctl("status", "--socket", str(tmp_path / "dead"), status=69, said="Connection refused")


def test_a_path_longer_than_sockets_have_is_refused(ctl):
    ctl("status", "--socket", "/" + "x" * 200, status=64, said="at most 107 bytes")


def test_output_that_cannot_be_written_is_an_error(daemon, ctl):
    daemon.answers["workspace.list"] = {"workspaces": []}
    with open("/dev/full", "wb") as full:
        done = subprocess.run([ctl.program, "workspaces"], stdout=full, stderr=subprocess.PIPE,
                              env=ctl.env, timeout=PATIENCE)
    assert (done.returncode, b"No space left" in done.stderr) == (74, True)


# which socket

def test_the_socket_is_found_in_order(daemon, ctl, tmp_path):
    daemon.answers["workspace.list"] = {"workspaces": []}
    runtime = tmp_path / "run"
    runtime.mkdir()
    (runtime / "molecule.sock").symlink_to(daemon.path)
    nowhere = {"MOLECULE_SOCKET": "/nowhere", "XDG_RUNTIME_DIR": str(runtime)}
    ctl("workspaces", env={"MOLECULE_SOCKET": "", "XDG_RUNTIME_DIR": str(runtime)})
    ctl("workspaces", "--user", env=nowhere)
    ctl("workspaces", "--socket", daemon.path, env=nowhere)
    ctl("workspaces", env=nowhere, status=69, said="/nowhere")


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
def test_a_mistake_in_the_arguments_is_explained(daemon, ctl, args, said):
    status = 65 if args[:2] == ("call", "x") else 64
    assert ctl(*args, status=status, said=said) == ""
    assert daemon.calls == []


def test_options_may_stand_anywhere(daemon, ctl):
    daemon.answers["secrets.list"] = {"keys": ["A"], "fetched_at": None}
    for args in (("-w", "x", "--json", "secrets", "list"), ("secrets", "--json", "-wx", "list"),
                 ("secrets", "list", "--workspace=x", "--json")):
        assert ctl(*args) == '{"keys":["A"],"fetched_at":null}\n'
    assert daemon.params_of("secrets.list") == [{"workspace": "x"}] * 3


@pytest.mark.parametrize("args", [
    ("join", "--token", TOKEN), ("join", f"--token={TOKEN}"), ("token", "set", "--token", TOKEN),
    ("call", "token.set", json.dumps({"token": TOKEN}))])
def test_a_token_in_the_arguments_is_refused_with_the_reason(daemon, ctl, args):
    ctl(*args, status=64, said="every process on this machine can read it")
    assert daemon.calls == []


def test_help_and_version_need_no_daemon(daemon, ctl):
    daemon.stop()
    version = ctl("--version")
    assert re.fullmatch(r"molecule-agentctl \d+\.\d+\.\d+\S*\n", version)
    assert ctl("help") == ctl("--help") == ctl("-h")
    assert ctl("help", "join") == ctl("join", "--help")
    assert "secrets refresh" in ctl("help", "secrets")
    assert ctl("version") == version + f"daemon: cannot connect to {daemon.path}: No such file or directory\n"
    assert json.loads(ctl("version", "--json"))["daemon"] is None


def test_version_shows_the_daemons_too(daemon, ctl):
    daemon.answers["daemon.info"] = {"name": "molecule-agentd", "version": "9.8.7", "pid": 42,
                                     "started_at": "2026-11-20T12:00:00.000Z"}
    assert ctl("version").splitlines()[1] == \
        "molecule-agentd 9.8.7 (pid 42, up since 2026-11-20T12:00:00.000Z)"
    assert json.loads(ctl("version", "--json"))["daemon"]["version"] == "9.8.7"


# join

def joined(daemon, *states):
    """The daemon takes the join and goes through the states, one each time it is asked."""
    left = list(states)
    daemon.answers["workspace.join"] = workspace(state="joining")
    daemon.answers["events.subscribe"] = {"subscription": "1", "snapshot": {}}
    daemon.answers["workspace.status"] = lambda params: workspace(
        state=left.pop(0) if len(left) > 1 else left[0])


REPLY = {"id": ID, "name": "laptop", "status": "awaiting_agent", "external": True,
         "connection": {"workspace_id": ID, "platform_url": "https://molecule.example",
                        "auth_token": TOKEN, "registry_endpoint": "https://molecule.example/r"}}
PARAMS = {"platform_url": "https://molecule.example", "workspace_id": ID, "token": TOKEN}
BLOCK = f"""\
# connect your agent
export MOLECULE_WORKSPACE_ID="{ID}"   # its id
export MOLECULE_PLATFORM_URL='https://molecule.example'
MOLECULE_WORKSPACE_TOKEN={TOKEN}
"""


def test_join_takes_the_platforms_reply(daemon, ctl):
    joined(daemon, "online")
    assert ctl("join", stdin=json.dumps(REPLY)) == \
        "laptop: online  (token stored, heartbeat every 30s)\n"
    assert daemon.params_of("workspace.join") == [{**PARAMS, "name": "laptop"}]


def test_join_takes_a_pasted_environment_block(daemon, ctl):
    joined(daemon, "online")
    ctl("join", stdin=BLOCK + "MOLECULE_ORG_ID=acme\nclaude --channels molecule\n")
    ctl("join", stdin=f"PLATFORM_URL=https://molecule.example WORKSPACE_ID={ID} "
                      f"MOLECULE_WORKSPACE_TOKEN={TOKEN} \\\r\n  my-agent\r\n")
    assert daemon.params_of("workspace.join") == [{**PARAMS, "org_id": "acme"}, PARAMS]


def test_options_win_over_standard_input(daemon, ctl):
    joined(daemon, "online")
    ctl("join", "--url", "http://[::1]:8080", "--name", "desk", "--org-id", "o", "--origin", "https://o",
        "--reported-url", "https://me", "--agent-card", '{"name":"me"}', stdin=json.dumps(REPLY))
    assert daemon.params_of("workspace.join") == [
        {**PARAMS, "platform_url": "http://[::1]:8080", "name": "desk", "org_id": "o",
         "origin": "https://o", "reported_url": "https://me", "agent_card": {"name": "me"}}]


def test_join_by_options_takes_a_bare_token_or_none_from_standard_input(daemon, ctl):
    joined(daemon, "online")
    args = ("join", "--url", PARAMS["platform_url"], "--workspace-id", ID)
    ctl(*args, stdin=TOKEN + "\n")
    ctl(*args, stdin="")
    assert daemon.params_of("workspace.join") == [
        PARAMS, {key: value for key, value in PARAMS.items() if key != "token"}]


def test_join_reads_a_token_file_that_nobody_else_may_read(daemon, ctl, tmp_path):
    joined(daemon, "online")
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o644)
    args = ("join", "--url", PARAMS["platform_url"], "--workspace-id", ID, "--token-file", str(path))
    done = subprocess.run([ctl.program, *args], capture_output=True, text=True, env=ctl.env,
                          stdin=subprocess.DEVNULL, timeout=PATIENCE)
    assert done.returncode != 0 and str(path) in done.stderr and TOKEN not in done.stderr
    assert daemon.calls == []

    path.chmod(0o600)
    # Everything is there: a standard input that never ends is left alone.
    child = ctl.start(*args)
    assert child.wait(PATIENCE) == 0
    assert daemon.params_of("workspace.join") == [PARAMS]


def test_join_reads_an_agent_card_from_a_file(daemon, ctl, tmp_path):
    joined(daemon, "online")
    card = tmp_path / "card.json"
    card.write_text('{\n  "name": "me"\n}\n')
    ctl("join", "--agent-card", str(card), stdin=BLOCK)
    assert daemon.params_of("workspace.join")[0]["agent_card"] == {"name": "me"}
    card.write_text("[]")
    ctl("join", "--agent-card", str(card), stdin=BLOCK, status=64, said="not a JSON object")
    card.write_text("{")
    ctl("join", "--agent-card", str(card), stdin=BLOCK, status=65, said="not JSON")
    ctl("join", "--agent-card", "/nowhere", stdin=BLOCK, status=66, said="cannot open /nowhere")


@pytest.mark.parametrize("stdin,status,said", [
    ("", 64, "the platform's URL is missing"),
    ("hello, there", 65, "neither the reply to a workspace's creation, nor an environment block"),
    ('{"id":"x"', 65, ""),
    ('{"error":"no"}', 65, "neither the reply"),
    ('{"id":7}', 65, "id is not a string"),
    (f"MOLECULE_WORKSPACE_ID={ID}\n", 64, "the platform's URL is missing"),
    ("PLATFORM_URL=https://x\n", 64, "the workspace's id is missing"),
    (BLOCK + "MOLECULE_WORKSPACE_TOKEN=\n", 64, "that is no token"),
    (BLOCK.replace(TOKEN, "ROTATE_TO_REVEAL_TOKEN"), 64, "that is no token"),
    (BLOCK.replace(TOKEN, '"white space in it"'), 64, "that is no token"),
    (BLOCK.replace(TOKEN, "$(cat token)"), 65, "line 4: the value of MOLECULE_WORKSPACE_TOKEN "
                                               "cannot be read: it has a shell expansion"),
    (BLOCK.replace(TOKEN, '"open'), 65, "a quote is not closed"),
])
def test_join_explains_what_is_wrong_and_repeats_nothing(daemon, ctl, stdin, status, said):
    ctl("join", stdin=stdin, status=status, said=said)
    assert daemon.calls == []


def test_join_never_says_the_token(daemon, ctl):
    daemon.answers["workspace.join"] = Error(-32001, "unauthorized", "the token does not work")
    done = subprocess.run([ctl.program, "join"], input=BLOCK, capture_output=True, text=True,
                          env=ctl.env, timeout=PATIENCE)
    assert done.returncode == 77
    assert TOKEN not in done.stdout + done.stderr


def test_no_token_is_in_the_arguments_or_environment_while_it_joins(daemon, ctl):
    daemon.answers["workspace.join"] = SILENCE
    child = ctl.start("join", "--name", "x")
    child.stdin.write(BLOCK)
    child.stdin.close()
    daemon.wait_for("workspace.join")
    for name in ("cmdline", "environ"):
        seen = pathlib.Path(f"/proc/{child.pid}/{name}").read_bytes()
        assert seen and TOKEN.encode() not in seen
    child.stdin = None


def test_join_waits_until_the_state_is_known(daemon, ctl):
    joined(daemon, "joining", "joining", "online")
    child = ctl.start("join")
    child.stdin.write(BLOCK)
    child.stdin.close()
    child.stdin = None
    daemon.wait_for("workspace.status", 1)
    daemon.push(subscription="1", seq=1, type="workspace.state", workspace="laptop", data={})
    daemon.wait_for("workspace.status", 2)
    assert child.poll() is None
    daemon.push(subscription="1", seq=2, type="workspace.state", workspace="laptop", data={})
    assert child.communicate(timeout=PATIENCE)[0] == \
        "laptop: online  (token stored, heartbeat every 30s)\n"
    assert child.returncode == 0
    assert [name for name, _ in daemon.calls] == [
        "workspace.join", "events.subscribe"] + ["workspace.status"] * 3
    assert daemon.params_of("events.subscribe") == [{"workspace": ID, "types": ["workspace.state"]}]


@pytest.mark.parametrize("state,status", [
    ("online", 0), ("degraded", 0), ("paused", 10), ("removed", 11), ("auth_lost", 77),
    ("unreachable", 69), ("misrouted", 76), ("leaving", 73), ("something new", 76)])
def test_join_exits_by_the_state_it_ends_in(daemon, ctl, state, status):
    daemon.answers["workspace.join"] = workspace(state=state, platform_status=state,
                                                 last_error="because")
    why = "" if status == 0 else ": because"
    assert ctl("join", stdin=BLOCK, status=status) == \
        f"laptop: {state}  (token stored, heartbeat every 30s){why}\n"
    assert [name for name, _ in daemon.calls] == ["workspace.join"]


def test_join_that_is_not_over_in_time_says_so(daemon, ctl):
    joined(daemon, "joining")
    assert ctl("join", "--timeout", "200ms", stdin=BLOCK, status=75,
               said="the daemon goes on trying") == \
        "laptop: joining (online)  (token stored, heartbeat every 30s)\n"


def test_join_asks_for_the_token_and_does_not_show_it(daemon, ctl):
    joined(daemon, "online")
    out, status = talk(ctl, "join", "--url", PARAMS["platform_url"], "--workspace-id", ID,
                       answers=[(b"Token (not shown", TOKEN.encode() + b"\n")])
    assert status == 0
    assert TOKEN not in out
    assert "laptop: " in out
    assert daemon.params_of("workspace.join") == [PARAMS]


def test_an_empty_answer_to_the_question_is_no_token(daemon, ctl):
    joined(daemon, "online")
    _, status = talk(ctl, "join", "--url", PARAMS["platform_url"], "--workspace-id", ID,
                     answers=[(b"Token (not shown", b"\n")])
    assert status == 0
    assert "token" not in daemon.params_of("workspace.join")[0]


def test_interrupting_the_question_leaves_the_terminal_as_it_was(daemon, ctl):
    parent, child_end = pty.openpty()
    before = termios.tcgetattr(child_end)
    child = subprocess.Popen([ctl.program, "token", "set"], stdin=child_end, stdout=child_end,
                             stderr=child_end, env=ctl.env)
    seen = b""
    while b"Token (not shown" not in seen or termios.tcgetattr(child_end)[3] & termios.ECHO:
        if select.select([parent], [], [], 0.01)[0]:
            seen += os.read(parent, 4096)
        assert child.poll() is None
    child.send_signal(signal.SIGTERM)
    assert child.wait(PATIENCE) == -signal.SIGTERM
    assert termios.tcgetattr(child_end) == before
    os.close(parent)
    os.close(child_end)


# leave, reload, refresh, metrics, peers

def test_leave_says_what_becomes_of_the_data(daemon, ctl):
    daemon.answers["workspace.leave"] = {"left": True}
    assert ctl("leave", "-w", "laptop") == "left, its token and data are kept\n"
    assert ctl("leave", "--forget") == "left, its token and data are wiped\n"
    assert daemon.params_of("workspace.leave") == [{"workspace": "laptop"}, {"forget": True}]


def test_reload_lists_what_changed(daemon, ctl):
    daemon.answers["daemon.reload"] = {"changed": ["workspace.laptop", "log_level"], "unchanged": False}
    assert ctl("reload") == "changed: workspace.laptop, log_level\n"
    daemon.answers["daemon.reload"] = {"changed": [], "unchanged": True}
    assert ctl("reload") == "nothing changed\n"


def test_refresh_shows_the_state_in_a_line(daemon, ctl):
    daemon.answers["workspace.refresh"] = workspace(state="paused", platform_status="paused")
    assert ctl("refresh") == "laptop: paused  (token stored, heartbeat every 30s)\n"


def test_metrics_are_printed_as_they_are(daemon, ctl):
    text = "# HELP x a\\nb\nx{name=\"ü\"} 1\n# EOF\n"
    daemon.answers["daemon.metrics"] = {"text": text}
    assert ctl("metrics") == text


def test_peers_are_a_table(daemon, ctl):
    daemon.answers["peers.list"] = {"peers": [
        {"id": "p1", "name": "日本語", "role": "writer", "tier": 3, "status": "online", "url": None,
         "parent_id": None, "active_tasks": 0, "agent_card": {"skills": []}},
        {"id": "p2", "name": "ci", "role": None, "tier": 1, "status": "offline",
         "url": "http://10.0.0.1:8000", "active_tasks": 12}], "fetched_at": ago(seconds=1)}
    assert ctl("peers", "wri", "--refresh") == """\
NAME    ROLE    STATUS   TIER  TASKS  ID  URL
日本語  writer  online   3     0      p1  -
ci      -       offline  1     12     p2  http://10.0.0.1:8000
"""
    assert daemon.params_of("peers.list") == [{"query": "wri", "refresh": True}]


# secrets

VALUE = "it's $HOME `id` \"q\" \\ \n\tü"


def with_secrets(daemon, **values):
    def get(params):
        keys = params.get("keys", list(values))
        return {"values": {key: values[key] for key in keys if key in values},
                "missing": [key for key in keys if key not in values],
                "fetched_at": ago(minutes=5, seconds=30), "stale": False}
    daemon.answers["secrets.get"] = get


def test_one_secret_is_printed_raw(daemon, ctl):
    with_secrets(daemon, KEY=VALUE, EMPTY="", NUL="a\0b")
    assert ctl("secrets", "get", "KEY") == VALUE
    assert ctl("secrets", "get", "EMPTY") == ""
    assert ctl("secrets", "get", "NUL") == "a\0b"
    assert daemon.params_of("secrets.get")[0] == {"keys": ["KEY"]}


def test_a_secret_ends_with_a_newline_on_a_terminal(daemon, ctl):
    with_secrets(daemon, KEY="value")
    assert talk(ctl, "secrets", "get", "KEY") == ("value\r\n", 0)


def test_several_secrets_are_a_table(daemon, ctl):
    with_secrets(daemon, A="1", LONGER="two")
    assert ctl("secrets", "get", "A", "LONGER", "--max-age", "10s") == "KEY     VALUE\nA       1\nLONGER  two\n"
    assert ctl("secrets", "get") == "KEY     VALUE\nA       1\nLONGER  two\n"
    assert daemon.params_of("secrets.get") == [{"keys": ["A", "LONGER"], "max_age_ms": 10000}, {}]


def test_the_environment_format_is_read_back_by_a_shell(daemon, ctl):
    with_secrets(daemon, KEY=VALUE, _2="-n", EMPTY="")
    out = ctl("secrets", "get", "--format", "env")
    for shell in ("sh", "bash"):
        done = subprocess.run([shell, "-c", 'eval "$1"; printf "%s|%s|%s" "$KEY" "$_2" "$EMPTY"', "-", out],
                              capture_output=True, text=True)
        assert done.stdout == f"{VALUE}|-n|"


@pytest.mark.parametrize("key,value,said", [
    ("not-a-name", "x", "'not-a-name' is no name that a shell variable can have"),
    ("2nd", "x", "'2nd' is no name"),
    ("A;id", "x", "'A;id' is no name"),
    ("", "x", "'' is no name"),
    ("KEY", "a\0b", "KEY has a NUL in it"),
])
def test_what_a_shell_cannot_hold_is_refused_whole(daemon, ctl, key, value, said):
    with_secrets(daemon, GOOD="1", **{key: value})
    assert ctl("secrets", "get", "--format", "env", status=65, said=said) == ""


def test_json_formats_of_secrets(daemon, ctl):
    with_secrets(daemon, KEY="v")
    assert ctl("secrets", "get", "--format", "json") == '{"KEY":"v"}\n'
    assert json.loads(ctl("secrets", "get", "KEY", "--json"))["values"] == {"KEY": "v"}


def test_a_secret_that_is_not_there_is_an_error(daemon, ctl):
    with_secrets(daemon, KEY="v")
    assert ctl("secrets", "get", "NONE", status=66, said="there is no secret NONE\n") == ""
    assert ctl("secrets", "get", "KEY", "NO", "NE", status=66, said="no secret NO, NE\n") == ""
    assert ctl("secrets", "get", "KEY", "NO", "--format=env", status=66, said="no secret NO\n") == ""
    out = ctl("secrets", "get", "KEY", "NO", "--json", status=66, said="no secret NO\n")
    assert json.loads(out)["missing"] == ["NO"]


def test_stale_secrets_are_given_with_a_note(daemon, ctl):
    daemon.answers["secrets.get"] = {"values": {"K": "v"}, "missing": [], "stale": True,
                                     "fetched_at": ago(minutes=5, seconds=30)}
    assert ctl("secrets", "get", "K", said="out of reach: this was fetched 5min ago") == "v"


def test_names_of_secrets_are_listed_and_refreshed(daemon, ctl):
    daemon.answers["secrets.list"] = {"keys": ["A", "B"], "fetched_at": None}
    assert ctl("secrets", "list") == "A\nB\n"
    daemon.answers["secrets.refresh"] = {"keys": ["A", "B"], "changed": ["B"], "fetched_at": None}
    assert ctl("secrets", "refresh", "-w", "x") == "B\n"
    daemon.answers["secrets.refresh"] = {"keys": ["A", "B"], "changed": [], "fetched_at": None}
    assert ctl("secrets", "refresh") == "nothing changed\n"


# token

def test_token_set_reads_standard_input(daemon, ctl):
    daemon.answers["token.set"] = {"prefix": "s3cr"}
    assert ctl("token", "set", "-w", "x", stdin=TOKEN + "\n") == \
        "token set, the new one begins with s3cr\n"
    assert daemon.params_of("token.set") == [{"workspace": "x", "token": TOKEN}]
    for wrong in ("", "two words of it", "ROTATE_TO_REVEAL_TOKEN", "short"):
        ctl("token", "set", stdin=wrong, status=64, said="that is no token")
    assert len(daemon.calls) == 1


def test_token_set_asks_on_a_terminal(daemon, ctl):
    daemon.answers["token.set"] = {"prefix": "s3cr"}
    out, status = talk(ctl, "token", "set", answers=[(b"Token (not shown)", TOKEN.encode() + b"\n")])
    assert (status, TOKEN in out) == (0, False)
    assert daemon.params_of("token.set") == [{"token": TOKEN}]


def test_token_rotate(daemon, ctl):
    daemon.answers["token.rotate"] = {"prefix": "n3w"}
    assert ctl("token", "rotate") == "token rotated, the new one begins with n3w\n"


# call

def test_call_passes_parameters_and_result_as_they_are(daemon, ctl):
    daemon.answers["any.thing"] = lambda params: params
    assert ctl("call", "any.thing", '{"a": [1, "ü"]}') == '{"a":[1,"ü"]}\n'
    assert ctl("call", "any.thing", "[1]") == "[1]\n"
    assert ctl("call", "any.thing", "-", stdin='{\n"token": 1\n}\n') == '{"token":1}\n'
    assert ctl("call", "any.thing") == "{}\n" or daemon.params_of("any.thing")[-1] is None
    ctl("call", "no.thing", status=64, said="there is no method 'no.thing'")
    ctl("call", "any.thing", "7", status=64, said="an object or an array, not a number")


def test_call_reports_parameters_that_are_too_large(ctl):
    ctl("call", "x", "-", stdin="[" + "1," * 600000 + "1]", status=65, said="more than 1048576 bytes")


# events

SNAPSHOT = {"subscription": "s1", "snapshot": {
    "workspaces": [workspace(), workspace("desk", "paused", platform_status="paused")],
    "warnings": [{"code": "x", "text": "disk is nearly full"}]}}
CLOCK = r"\d\d:\d\d:\d\d  "


def test_events_shows_how_things_are_and_ends(daemon, ctl):
    daemon.answers["events.subscribe"] = SNAPSHOT
    out = ctl("events", "-w", "laptop", "--type", "workspace.state", "-t", "daemon.warning")
    assert re.fullmatch(CLOCK + "laptop        workspaces          online\n" +
                        CLOCK + r"desk          workspaces          paused\n" +
                        CLOCK + "-             warnings            disk is nearly full\n", out)
    assert daemon.params_of("events.subscribe") == [
        {"workspace": "laptop", "types": ["workspace.state", "daemon.warning"]}]


def test_events_follow_shows_a_line_for_each(daemon, ctl):
    daemon.answers["events.subscribe"] = {"subscription": "s1", "snapshot": {"workspaces": [workspace()]}}
    child = ctl.start("events", "--follow")
    assert "online" in line_of(child.stdout)
    daemon.push(subscription="s1", seq=1, type="workspace.state", workspace="laptop",
                at="2026-11-20T12:34:56.789Z", data={"state": "unreachable", "last_error": "no route"})
    assert line_of(child.stdout) == \
        "12:34:56  laptop        workspace.state     unreachable: no route\n"
    daemon.push(subscription="s1", seq=2, type="inbox.message", workspace="laptop",
                at="2026-11-20T12:34:57.000Z", data={"id": "m1", "kind": "user", "x": None, "y": {}})
    assert line_of(child.stdout) == "12:34:57  laptop        inbox.message       id=m1 kind=user\n"
    daemon.push(subscription="s1", seq=3, type="secrets.changed", workspace="laptop",
                at="2026-11-20T12:34:58.000Z", data={"changed": ["A", "B"], "removed": []})
    assert line_of(child.stdout) == "12:34:58  laptop        secrets.changed     changed=A,B\n"


def test_events_as_json_are_one_a_line(daemon, ctl):
    daemon.answers["events.subscribe"] = {"subscription": "s1", "snapshot": {}}
    child = ctl.start("events", "-f", "--json")
    assert json.loads(line_of(child.stdout)) == {"subscription": "s1", "snapshot": {}}
    event = {"subscription": "s1", "seq": 1, "type": "workspace.state", "workspace": "w", "at": "t",
             "data": {"state": "online"}}
    daemon.push(**event)
    assert json.loads(line_of(child.stdout)) == event


def test_events_follow_survives_a_restart_of_the_daemon(daemon, ctl):
    daemon.answers["events.subscribe"] = {"subscription": "s1", "snapshot": {"workspaces": [workspace()]}}
    child = ctl.start("events", "--follow")
    line_of(child.stdout)
    daemon.stop()
    assert "waiting for the daemon" in line_of(child.stderr)
    daemon.start()
    assert "the daemon is back" in line_of(child.stderr)
    assert "online" in line_of(child.stdout)
    daemon.push(subscription="s1", type="workspace.state", workspace="laptop",
                at="2026-11-20T12:34:56.789Z", data={"state": "paused"})
    assert line_of(child.stdout).endswith("paused\n")


def test_events_subscribes_again_after_an_overflow(daemon, ctl):
    daemon.answers["events.subscribe"] = {"subscription": "s1", "snapshot": {"workspaces": [workspace()]}}
    child = ctl.start("events", "--follow")
    line_of(child.stdout)
    daemon.push(subscription="s1", type="overflow")
    assert "some are lost" in line_of(child.stderr)
    assert "online" in line_of(child.stdout)
    assert len(daemon.params_of("events.subscribe")) == 2
    with daemon.changed:
        assert len(daemon.connections) == 1


def test_events_that_are_forbidden_end_it(daemon, ctl):
    daemon.answers["events.subscribe"] = Error(-32002, "forbidden", "not for you")
    ctl("events", "--follow", status=77, said="not for you")
    daemon.stop()
    ctl("events", "--follow", status=69, said="cannot connect")


# report

def test_report_shows_what_the_platform_sees(daemon, ctl):
    daemon.answers["workspace.status"] = workspace()
    assert ctl("report") == ("  current_task: building\n  active_tasks: 1\n    error_rate: 0.25\n"
                             "  sample_error: \n")
    assert json.loads(ctl("report", "--json"))["active_tasks"] == 1


def test_report_lasts_as_long_as_the_command(daemon, ctl, tmp_path):
    daemon.answers["workspace.report"] = {"current_task": "x", "active_tasks": 1}
    os.mkfifo(tmp_path / "fifo")
    child = ctl.start("report", "-w", "laptop", "--current-task", "build", "--active-tasks", "1",
                      "--error-rate", "0.5", "--", "sh", "-c", 'read x < "$1"; echo "$x"; exit 7', "-",
                      str(tmp_path / "fifo"))
    daemon.wait_for("workspace.report")
    assert daemon.params_of("workspace.report") == [
        {"workspace": "laptop", "current_task": "build", "active_tasks": 1, "error_rate": 0.5}]
    with daemon.changed:
        assert len(daemon.connections) == 1
    (tmp_path / "fifo").write_text("done\n")
    assert child.communicate(timeout=PATIENCE)[0] == "done\n"
    assert child.returncode == 7
    daemon.wait_until(lambda: not daemon.connections)


def test_report_is_made_again_when_the_daemon_is_back(daemon, ctl):
    daemon.answers["workspace.report"] = {"current_task": "x"}
    child = ctl.start("report", "--current-task", "x")
    assert line_of(child.stdout) == "  current_task: x\n"
    daemon.stop()
    daemon.start()
    daemon.wait_for("workspace.report", 2)
    child.send_signal(signal.SIGINT)
    assert child.wait(PATIENCE) == 0


def test_report_hands_signals_on_and_ends_as_the_command_did(daemon, ctl):
    daemon.answers["workspace.report"] = {}
    child = ctl.start("report", "--current-task", "x", "--", "sh", "-c", "echo up; exec sleep 1000")
    assert line_of(child.stdout) == "up\n"
    child.send_signal(signal.SIGTERM)
    assert child.wait(PATIENCE) == 128 + signal.SIGTERM
    ctl("report", "--current-task", "x", "--", "/nowhere/at/all", status=127, said="cannot run")


def test_a_command_is_not_run_when_the_report_is_refused(daemon, ctl, tmp_path):
    daemon.answers["workspace.report"] = Error(-32005, "paused", "laptop is paused")
    ctl("report", "--current-task", "x", "--", "touch", str(tmp_path / "ran"), status=10)
    assert not (tmp_path / "ran").exists()


# completion, man page

def complete(ctl, *words):
    return [line.split("\t")[0] for line in ctl("_complete", "--", *words).splitlines()]


def test_completion_knows_commands_options_and_what_the_daemon_knows(daemon, ctl):
    daemon.answers["secrets.list"] = {"keys": ["KEY_A", "KEY_B"]}
    daemon.answers["workspace.list"] = {"workspaces": [{"id": "1", "name": "laptop", "state": "online"}]}
    daemon.answers["rpc.discover"] = {"methods": [{"name": "peers.list"}]}
    assert complete(ctl, "re") == ["reload", "report", "refresh"]
    assert complete(ctl, "secrets", "") == ["list", "get", "refresh"]
    assert complete(ctl, "--json", "token", "r") == ["rotate"]
    assert "--reported-url" in complete(ctl, "join", "--") and "--timeout" in complete(ctl, "join", "--")
    assert complete(ctl, "join", "--tok") == ["--token-file"]
    assert complete(ctl, "join", "--token-file", "") == [":file"]
    assert complete(ctl, "secrets", "get", "--format", "") == ["env", "json", "raw"]
    assert complete(ctl, "-w", "l") == ["laptop"]
    assert complete(ctl, "-wlaptop", "secrets", "get", "KEY_A", "KEY_") == ["KEY_A", "KEY_B"]
    assert daemon.params_of("secrets.list") == [{"workspace": "laptop"}]
    assert complete(ctl, "call", "p") == ["peers.list"]
    assert complete(ctl, "events", "-t", "inb") == ["inbox.message"]
    assert complete(ctl, "nonsense", "") == complete(ctl, "status", "") == []
    daemon.stop()
    assert complete(ctl, "-w", "") == []


def test_bash_completes(daemon, ctl):
    daemon.answers["secrets.list"] = {"keys": ["KEY_A", "KEY_B", "it's $(id)"]}
    script = """
        source "$1"
        compopt() { echo "compopt $*"; }
        COMP_WORDS=("$2" secrets get "") COMP_CWORD=3
        _molecule_agentctl
        printf '%s\\n' "${COMPREPLY[@]}"
        COMP_WORDS=("$2" join --agent-card "") COMP_CWORD=3
        _molecule_agentctl
        complete -p molecule-agentctl
    """
    done = subprocess.run(["bash", "-euc", script, "-", SOURCE / "etc/completions/molecule-agentctl.bash",
                           ctl.program], capture_output=True, text=True, env=ctl.env, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["KEY_A", "KEY_B", r"it\'s\ \$\(id\)", "compopt -o default",
                                        "complete -F _molecule_agentctl molecule-agentctl"]


def test_every_shells_script_asks_the_program():
    scripts = [path for path in (SOURCE / "etc/completions").iterdir() if path.name != "meson.build"]
    assert len(scripts) == 3
    for path in scripts:
        assert "_complete -- " in path.read_text()


def test_the_man_page_has_every_command_and_option(ctl):
    page = (SOURCE / "docs/man/molecule-agentctl.1.scd").read_text().replace("\\", "")
    described = set(re.findall(r"^\*([a-z]+(?: [a-z]+)?)\*", page, re.M))
    commands = set()
    for name in complete(ctl, ""):
        commands |= {f"{name} {verb}" for verb in (complete(ctl, name, "") if name in
                                                   ("secrets", "token") else [])} or {name}
    assert described == commands
    for command in sorted(commands):
        for option in complete(ctl, *command.split(), "--"):
            assert f"*{option}*" in page, f"{command} {option}"
    for status in {status for _, status in KINDS.values()} | {0, 74, 78}:
        assert re.search(rf"^\*{status}\*", page, re.M) or status == 78, status


# the library, as another language sees it

class AgentError(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int32), ("http_status", ctypes.c_int32),
                ("retry_after_ms", ctypes.c_int64), ("retryable", ctypes.c_int32),
                ("reserved", ctypes.c_int32 * 5), ("kind", ctypes.c_char * 32),
                ("message", ctypes.c_char * 512)]


class Library:
    def __init__(self, path):
        self.lib = ctypes.CDLL(str(build_dir() / "src/client/libmolecule-agent.so.0"))
        self.lib.mol_agent_free.argtypes = [ctypes.c_void_p]
        self.lib.mol_agent_free.restype = None
        self.agent, self.err = ctypes.c_void_p(), AgentError()
        assert self.lib.mol_agent_open(path.encode(), ctypes.byref(self.agent), None) == 0

    def take(self, function, *args):
        text = ctypes.c_void_p()
        r = function(self.agent, *args, ctypes.byref(text), ctypes.byref(self.err))
        if r < 0:
            return r
        value = json.loads(ctypes.string_at(text))
        self.lib.mol_agent_free(text)
        return value

    def call(self, method, params=None, timeout_ms=-1):
        return self.take(self.lib.mol_agent_call, method.encode(),
                         None if params is None else params.encode(), timeout_ms)

    def next_event(self, timeout_ms=PATIENCE * 1000):
        return self.take(self.lib.mol_agent_next_event, timeout_ms)

    def close(self):
        self.lib.mol_agent_close(self.agent)


@pytest.fixture
def library(daemon):
    handle = Library(daemon.path)
    yield handle
    handle.close()


def test_library_calls_and_reports_errors(daemon, library):
    daemon.answers["echo"] = lambda params: params
    daemon.answers["fail"] = Error(-32012, "peer_error", "the peer said ü" + "ü" * 400, retryable=True,
                                   retry_after_ms=1500, http_status=503)
    assert library.call("echo", '{"a":1}') == {"a": 1}
    assert library.call("fail") < 0
    err = library.err
    assert (err.code, err.kind, err.retryable, err.retry_after_ms, err.http_status) == \
        (-32012, b"peer_error", 1, 1500, 503)
    assert err.message.decode().startswith("the peer said ü")  # cut between two characters
    assert library.call("echo", "7") < 0 and library.err.kind == b"invalid_params"
    assert library.call("echo", "{") < 0 and library.err.kind == b"invalid_params"
    assert library.call("echo", "[2]") == [2]


def test_library_keeps_events_that_come_during_a_call(daemon, library):
    daemon.answers["events.subscribe"] = {"subscription": "1", "snapshot": {}}
    library.call("events.subscribe")

    def noisy(params):
        for seq in range(3):
            daemon.push(type="x", seq=seq)
        return {}
    daemon.answers["noisy"] = noisy
    assert library.call("noisy") == {}
    assert [library.next_event(0)["seq"] for _ in range(3)] == [0, 1, 2]
    assert library.next_event(0) < 0 and library.err.kind == b"timeout"
    daemon.push(type="x", seq=9)
    assert library.next_event()["seq"] == 9


def test_library_tells_once_that_events_were_lost(daemon, library):
    daemon.answers["events.subscribe"] = {"subscription": "1", "snapshot": {}}
    library.call("events.subscribe")

    def noisy(params):
        for seq in range(6):
            daemon.push(type="x", seq=seq, data="x" * 1000000)
        return {}
    daemon.answers["noisy"] = noisy
    assert library.call("noisy") == {}
    assert [library.next_event(0).get("seq") for _ in range(5)] == [0, 1, 2, 3, None]
    assert library.next_event(0) < 0


def test_library_drops_an_answer_that_comes_too_late(daemon, library):
    daemon.answers["slow"] = SILENCE
    daemon.answers["fast"] = lambda params: Raw(
        dump({"jsonrpc": "2.0", "id": 1, "result": "late"}) + b'{"jsonrpc":"2.0","id":$ID,"result":"fast"}\n')
    assert library.call("slow", timeout_ms=50) < 0 and library.err.kind == b"unknown_outcome"
    assert library.call("fast") == "fast"


def test_library_hands_out_events_before_it_tells_of_the_loss(daemon, library):
    daemon.answers["events.subscribe"] = {"subscription": "1", "snapshot": {}}
    library.call("events.subscribe")
    daemon.push(type="x", seq=1)
    daemon.stop()
    assert library.next_event()["seq"] == 1
    assert library.next_event() < 0 and library.err.kind == b"unavailable"
    assert library.call("x") < 0 and library.err.kind == b"unavailable"


def test_library_sends_more_than_a_socket_holds_while_the_daemon_answers(daemon, library):
    daemon.answers["echo"] = lambda params: params
    text = "x" * 3000000
    assert library.call("echo", json.dumps([text])) == [text]


def test_library_exports_its_api_and_nothing_else():
    path = build_dir() / "src/client/libmolecule-agent.so.0"
    out = subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True, text=True, check=True)
    names = {line.split()[-1].split("@")[0] for line in out.stdout.splitlines()} - {"MOLECULE_AGENT_0"}
    header = (SOURCE / "include/molecule/agent.h").read_text()
    assert names == set(re.findall(r"MOL_AGENT_PUBLIC \S+ \*?(mol_agent_\w+)\(", header))
