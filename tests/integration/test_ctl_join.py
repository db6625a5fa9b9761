# SPDX-License-Identifier: MIT
"""molecule-agentctl join, token: from what a platform gives to a workspace that is online."""

import json
import os
import pathlib
import pty
import select
import signal
import subprocess
import termios

import pytest

from ctlfixtures import BLOCK, ID, PARAMS, REPLY, TOKEN, talk
from fakedaemon import PATIENCE, SILENCE, Error, workspace

pytest_plugins = "ctlfixtures"


# join

def joined(fake, *states):
    """The daemon takes the join and goes through the states, one each time it is asked."""
    left = list(states)
    fake.answers["workspace.join"] = workspace(state="joining")
    fake.answers["events.subscribe"] = {"subscription": "1", "snapshot": {}}
    fake.answers["workspace.status"] = lambda params: workspace(
        state=left.pop(0) if len(left) > 1 else left[0])


def test_join_takes_the_platforms_reply(fake, run):
    joined(fake, "online")
    assert run("join", stdin=json.dumps(REPLY)) == \
        "laptop: online  (token stored, heartbeat every 30s)\n"
    assert fake.params_of("workspace.join") == [{**PARAMS, "name": "laptop"}]


def test_join_takes_a_pasted_environment_block(fake, run):
    joined(fake, "online")
    run("join", stdin=BLOCK + "MOLECULE_ORG_ID=acme\nclaude --channels molecule\n")
    run("join", stdin=f"PLATFORM_URL=https://molecule.example WORKSPACE_ID={ID} "
                      f"MOLECULE_WORKSPACE_TOKEN={TOKEN} \\\r\n  my-agent\r\n")
    assert fake.params_of("workspace.join") == [{**PARAMS, "org_id": "acme"}, PARAMS]


def test_options_win_over_standard_input(fake, run):
    joined(fake, "online")
    run("join", "--url", "http://[::1]:8080", "--name", "desk", "--org-id", "o",
        "--origin", "https://o", "--reported-url", "https://me", "--agent-card", '{"name":"me"}',
        stdin=json.dumps(REPLY))
    assert fake.params_of("workspace.join") == [
        {**PARAMS, "platform_url": "http://[::1]:8080", "name": "desk", "org_id": "o",
         "origin": "https://o", "reported_url": "https://me", "agent_card": {"name": "me"}}]


def test_join_by_options_takes_a_bare_token_or_none_from_standard_input(fake, run):
    joined(fake, "online")
    args = ("join", "--url", PARAMS["platform_url"], "--workspace-id", ID)
    run(*args, stdin=TOKEN + "\n")
    run(*args, stdin="")
    assert fake.params_of("workspace.join") == [
        PARAMS, {key: value for key, value in PARAMS.items() if key != "token"}]


def test_join_reads_a_token_file_that_nobody_else_may_read(fake, run, tmp_path):
    joined(fake, "online")
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o644)
    args = ("join", "--url", PARAMS["platform_url"], "--workspace-id", ID,
            "--token-file", str(path))
    done = subprocess.run([run.program, *args], capture_output=True, text=True, env=run.env,
                          stdin=subprocess.DEVNULL, timeout=PATIENCE)
    assert done.returncode != 0 and str(path) in done.stderr and TOKEN not in done.stderr
    assert fake.calls == []

    path.chmod(0o600)
    # Everything is there: a standard input that never ends is left alone.
    child = run.start(*args)
    assert child.wait(PATIENCE) == 0
    assert fake.params_of("workspace.join") == [PARAMS]


def test_join_reads_an_agent_card_from_a_file(fake, run, tmp_path):
    joined(fake, "online")
    card = tmp_path / "card.json"
    card.write_text('{\n  "name": "me"\n}\n')
    run("join", "--agent-card", str(card), stdin=BLOCK)
    assert fake.params_of("workspace.join")[0]["agent_card"] == {"name": "me"}
    card.write_text("[]")
    run("join", "--agent-card", str(card), stdin=BLOCK, status=64, said="not a JSON object")
    card.write_text("{")
    run("join", "--agent-card", str(card), stdin=BLOCK, status=65, said="not JSON")
    run("join", "--agent-card", "/nowhere", stdin=BLOCK, status=66, said="cannot open /nowhere")


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
def test_join_explains_what_is_wrong_and_repeats_nothing(fake, run, stdin, status, said):
    run("join", stdin=stdin, status=status, said=said)
    assert fake.calls == []


def test_join_never_says_the_token(fake, run):
    fake.answers["workspace.join"] = Error(-32001, "unauthorized", "the token does not work")
    done = subprocess.run([run.program, "join"], input=BLOCK, capture_output=True, text=True,
                          env=run.env, timeout=PATIENCE)
    assert done.returncode == 77
    assert TOKEN not in done.stdout + done.stderr


def test_no_token_is_in_the_arguments_or_environment_while_it_joins(fake, run):
    fake.answers["workspace.join"] = SILENCE
    child = run.start("join", "--name", "x")
    child.stdin.write(BLOCK)
    child.stdin.close()
    fake.wait_for("workspace.join")
    for name in ("cmdline", "environ"):
        seen = pathlib.Path(f"/proc/{child.pid}/{name}").read_bytes()
        assert seen and TOKEN.encode() not in seen
    child.stdin = None


def test_join_waits_until_the_state_is_known(fake, run):
    joined(fake, "joining", "joining", "online")
    child = run.start("join")
    child.stdin.write(BLOCK)
    child.stdin.close()
    child.stdin = None
    fake.wait_for("workspace.status", 1)
    fake.push(subscription="1", seq=1, type="workspace.state", workspace="laptop", data={})
    fake.wait_for("workspace.status", 2)
    assert child.poll() is None
    fake.push(subscription="1", seq=2, type="workspace.state", workspace="laptop", data={})
    assert child.communicate(timeout=PATIENCE)[0] == \
        "laptop: online  (token stored, heartbeat every 30s)\n"
    assert child.returncode == 0
    assert [name for name, _ in fake.calls] == [
        "workspace.join", "events.subscribe"] + ["workspace.status"] * 3
    assert fake.params_of("events.subscribe") == [{"workspace": ID, "types": ["workspace.state"]}]


@pytest.mark.parametrize("state,status", [
    ("online", 0), ("degraded", 0), ("paused", 10), ("removed", 11), ("auth_lost", 77),
    ("unreachable", 69), ("misrouted", 76), ("leaving", 73), ("something new", 76)])
def test_join_exits_by_the_state_it_ends_in(fake, run, state, status):
    fake.answers["workspace.join"] = workspace(state=state, platform_status=state,
                                                 last_error="because")
    why = "" if status == 0 else ": because"
    assert run("join", stdin=BLOCK, status=status) == \
        f"laptop: {state}  (token stored, heartbeat every 30s){why}\n"
    assert [name for name, _ in fake.calls] == ["workspace.join"]


def test_join_that_is_not_over_in_time_says_so(fake, run):
    joined(fake, "joining")
    assert run("join", "--timeout", "200ms", stdin=BLOCK, status=75,
               said="the daemon goes on trying") == \
        "laptop: joining (online)  (token stored, heartbeat every 30s)\n"


def test_join_asks_for_the_token_and_does_not_show_it(fake, run):
    joined(fake, "online")
    out, status = talk(run, "join", "--url", PARAMS["platform_url"], "--workspace-id", ID,
                       answers=[(b"Token (not shown", TOKEN.encode() + b"\n")])
    assert status == 0
    assert TOKEN not in out
    assert "laptop: " in out
    assert fake.params_of("workspace.join") == [PARAMS]


def test_an_empty_answer_to_the_question_is_no_token(fake, run):
    joined(fake, "online")
    _, status = talk(run, "join", "--url", PARAMS["platform_url"], "--workspace-id", ID,
                     answers=[(b"Token (not shown", b"\n")])
    assert status == 0
    assert "token" not in fake.params_of("workspace.join")[0]


def test_interrupting_the_question_leaves_the_terminal_as_it_was(fake, run):
    parent, child_end = pty.openpty()
    before = termios.tcgetattr(child_end)
    child = subprocess.Popen([run.program, "token", "set"], stdin=child_end, stdout=child_end,
                             stderr=child_end, env=run.env)
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


# token

def test_token_set_reads_standard_input(fake, run):
    fake.answers["token.set"] = {"prefix": "s3cr"}
    assert run("token", "set", "-w", "x", stdin=TOKEN + "\n") == \
        "token set, the new one begins with s3cr\n"
    assert fake.params_of("token.set") == [{"workspace": "x", "token": TOKEN}]
    for wrong in ("", "two words of it", "ROTATE_TO_REVEAL_TOKEN", "short"):
        run("token", "set", stdin=wrong, status=64, said="that is no token")
    assert len(fake.calls) == 1


def test_token_set_asks_on_a_terminal(fake, run):
    fake.answers["token.set"] = {"prefix": "s3cr"}
    out, status = talk(run, "token", "set",
                       answers=[(b"Token (not shown)", TOKEN.encode() + b"\n")])
    assert (status, TOKEN in out) == (0, False)
    assert fake.params_of("token.set") == [{"token": TOKEN}]


def test_token_rotate(fake, run):
    fake.answers["token.rotate"] = {"prefix": "n3w"}
    assert run("token", "rotate") == "token rotated, the new one begins with n3w\n"
