# SPDX-License-Identifier: MIT
"""The command line, --check-config, --once and --user."""

import ctypes
import os
import re
import signal
import stat
import subprocess

import pytest

from harness import Client, build_dir
from harness.unpacker import can_trace
from wire import wait_answer, wait_until


def run(daemon, *arguments, status=0, env=None, config=True):
    """What it says on standard output and on standard error."""
    command = [build_dir() / "src/molecule-agentd", *arguments]
    if config:
        command += ["--config", daemon.etc / "agentd.conf"]
    done = subprocess.run(command, env={**daemon.env, **(env or {})}, capture_output=True, text=True,
                          timeout=30)
    assert done.returncode == status, done
    return done.stdout, done.stderr


# ---- options ----

def test_says_its_version(daemon):
    out, err = run(daemon, "--version", config=False)
    assert re.fullmatch(r"molecule-agentd \d+\.\d+\.\d+\S*\n", out) and err == ""


def test_helps(daemon):
    out, err = run(daemon, "--help", config=False)
    assert out.startswith("usage: molecule-agentd") and err == ""
    for option in ("--config FILE", "--user", "--check-config", "--once", "--version", "--help"):
        assert option in out
    assert all(len(line) <= 80 for line in out.splitlines())


@pytest.mark.parametrize("arguments", [["--nope"], ["-x"], ["word"], ["--config"], ["--once=1"], ["--", "x"]],
                         ids=" ".join)
def test_a_wrong_command_line_is_64(daemon, arguments):
    out, err = run(daemon, *arguments, status=64, config=False)
    assert out == "" and "molecule-agentd: " in err


# ---- what it gives up before anything else ----

PR_GET_MDWE = 66


@pytest.mark.skipif(not can_trace(), reason="there is no strace, or none is allowed")
def test_it_gives_up_memory_that_is_writable_and_executable(daemon):
    """For itself alone: what it starts may need that."""
    if ctypes.CDLL(None).prctl(PR_GET_MDWE, 0, 0, 0, 0) < 0:
        pytest.skip("this kernel cannot deny it")
    trace = daemon.dir / "trace"
    command = [build_dir() / "src/molecule-agentd", "--check-config", "--config", daemon.etc / "agentd.conf"]
    subprocess.run(["strace", "-f", "-o", trace, "--trace=prctl", *command], env=daemon.env, capture_output=True,
                   check=False)
    calls = re.findall(r"prctl\((?:0x41|PR_SET_MDWE)\b.*", trace.read_text())
    assert len(calls) == 1
    assert re.search(r", (0x3|PR_MDWE_REFUSE_EXEC_GAIN\|PR_MDWE_NO_INHERIT), .* = 0$", calls[0]), calls


# ---- --check-config ----

def test_a_good_configuration_is_passed_in_silence(platform, daemon):
    daemon.add(platform.create("scout"))
    assert run(daemon, "--check-config") == ("", "")
    # Nothing was written, nothing listens.
    assert not daemon.state.exists() and not daemon.socket.exists()


def test_the_shipped_configuration_is_a_good_one(daemon):
    with open(os.path.join(os.path.dirname(__file__), "../../etc/agentd.conf")) as shipped:
        daemon.write("agentd.conf", shipped.read())
    assert run(daemon, "--check-config") == ("", "")


WRONG = [
    ("agentd.conf", "[daemon]\nlog_levle = info\n", r':2: unknown key "log_levle": did you mean log_level\?'),
    ("agentd.conf", "[rpc]\nmax_connections = 0\n", r":2: max_connections"),
    ("agentd.conf", "[rpc]\npartial_timeout = 10\n", r":2: partial_timeout"),
    ("agentd.conf", "log_level = info\n", ":1: "),
    ("agentd.conf", "[defaults]\nworkspace_id = 1\n", ":2: .*workspace_id"),
    ("workspaces.d/scout.conf", "[workspace]\nplatform_url = http://platform.example.org\n"
     "workspace_id = 3f2c1a8e-5b7d-4c7e-9a55-0d7f7f7a1c22\n", "allow_http"),
    ("workspaces.d/scout.conf", "[workspace]\nplatform_url = https://platform.example.org\n", "workspace_id"),
    ("workspaces.d/scout.conf", "[workspace]\ntoken = very-secret-token\n", ":2: .*token"),
    ("workspaces.d/-scout.conf", "[workspace]\n", "scout"),
]


@pytest.mark.parametrize("name, text, said", WRONG, ids=[f"{row[0]} {row[2][:30]}" for row in WRONG])
def test_a_wrong_configuration_is_78_with_its_place(daemon, name, text, said):
    path = daemon.write(name, text)
    for arguments in (["--check-config"], []):
        out, err = run(daemon, *arguments, status=78)
        assert out == "" and str(path) in err and re.search(said, err), err
        assert "very-secret" not in err
    assert not daemon.socket.exists()


def test_a_file_that_was_named_has_to_exist(daemon):
    out, err = run(daemon, "--config", daemon.dir / "none.conf", "--check-config", status=78, config=False)
    assert "none.conf" in err


def test_all_that_is_wrong_is_found_without_a_platform(daemon):
    """A check connects to nothing: no name is looked up."""
    daemon.write("workspaces.d/scout.conf", "[workspace]\nplatform_url = https://no-such-host.invalid\n"
                 "workspace_id = 3f2c1a8e-5b7d-4c7e-9a55-0d7f7f7a1c22\n")
    assert run(daemon, "--check-config") == ("", "")


# ---- token files ----

def refused(daemon, said):
    """Neither a check nor a start gets past it; both say where."""
    for arguments in (["--check-config"], []):
        out, err = run(daemon, *arguments, status=78)
        assert re.search(r"scout\.conf:\d+: token_file: \S*scout\.token " + said, err), err


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_token_that_others_can_read_is_refused(platform, daemon, mode):
    daemon.add(platform.create("scout"))
    (daemon.etc / "scout.token").chmod(mode)
    refused(daemon, rf"is open to others \(mode {mode:03o}\)")


@pytest.mark.parametrize("what", ["link", "FIFO", "directory"])
def test_what_is_no_file_is_no_token_file(platform, daemon, what):
    daemon.add(platform.create("scout"))
    path = daemon.etc / "scout.token"
    if what == "link":
        path.rename(daemon.etc / "other.token")
        path.symlink_to("other.token")
    else:
        path.unlink()
        os.mkfifo(path, 0o600) if what == "FIFO" else path.mkdir(0o700)
    refused(daemon, "is no regular file")


@pytest.mark.parametrize("text", ["x" * (1 << 20), "one-token-here\nanother-token\n", "", "short",
                                  "with blanks in it", "with-a-nul\0in-it", "<ROTATE_TO_REVEAL_TOKEN>"],
                         ids=["large", "two lines", "empty", "short", "blanks", "NUL", "placeholder"])
def test_what_is_no_token_is_not_sent(platform, daemon, text):
    scout = platform.create("scout")
    daemon.add(scout)
    daemon.put_token("scout", text)
    daemon.start()
    status = daemon.wait_state("scout", "auth_lost")
    assert not status["token"]["present"] and "scout.token" in status["last_error"]
    if len(text) > 8:
        assert text[:8] not in daemon.log + status["last_error"]


# ---- --once ----

@pytest.mark.smoke
@pytest.mark.dev_platform
def test_once_joins_beats_looks_and_leaves(platform, daemon):
    scouts = [platform.create(name) for name in ("alpha", "beta")]
    for scout in scouts:
        daemon.add(scout)
    out, err = run(daemon, "--once")
    assert out == ""
    for scout in scouts:
        for endpoint in ("state", "heartbeat"):
            assert platform.dev.requests(scout, endpoint=endpoint), endpoint
        assert platform.status(scout) == "online"
    # No socket, and no sign of one.
    assert not daemon.socket.exists() and "listening" not in err


@pytest.mark.dev_platform
def test_once_fails_while_the_platform_is_away(start_platform, daemon):
    platform = start_platform()
    daemon.add(platform.create("scout"))
    with platform.dev.down():
        out, err = run(daemon, "--once", status=1)
    assert "scout" in err and "connect" in err


def test_once_fails_with_a_wrong_token(platform, daemon):
    scout = platform.create("scout")
    daemon.add(scout, token="x" * 43)
    out, err = run(daemon, "--once", status=1)
    assert "scout is auth_lost" in err


@pytest.mark.parametrize("setting, status", [("notify", 0), ("exit", 10)])
def test_once_with_a_paused_workspace(platform, daemon, setting, status):
    scout = platform.create("scout")
    daemon.add(scout, on_pause=setting)
    run(daemon, "--once")
    platform.pause(scout)
    run(daemon, "--once", status=status)


def test_once_without_a_workspace_says_so(daemon):
    out, err = run(daemon, "--once")
    assert "no workspace" in err


@pytest.mark.dev_platform
def test_once_can_be_interrupted(platform, daemon):
    scout = platform.create("scout")
    fault = platform.dev.fault(workspace=scout, hang=True)
    daemon.add(scout)
    daemon.start("--once", ready=False)
    wait_until(lambda: fault.hits, "it joins")
    daemon.signal(signal.SIGINT)
    assert daemon.wait_exit() == 1


def test_once_does_not_run_beside_a_daemon(daemon):
    daemon.start()
    out, err = run(daemon, "--once", status=1)
    assert "another molecule-agentd" in err


# ---- --user ----

def user_env(daemon):
    runtime = daemon.dir / "runtime"
    runtime.mkdir(mode=0o700, exist_ok=True)
    return {"XDG_CONFIG_HOME": str(daemon.dir / "config"), "XDG_STATE_HOME": str(daemon.dir / "xdg-state"),
            "XDG_RUNTIME_DIR": str(runtime)}


def user_daemon(daemon, env):
    return subprocess.Popen([build_dir() / "src/molecule-agentd", "--user"], env={**daemon.env, **env},
                            stderr=subprocess.PIPE)


def end(process):
    process.terminate()
    said = process.communicate(timeout=20)[1].decode()
    assert process.returncode == 0, said
    return said


def test_a_users_daemon_has_that_users_directories(platform, daemon):
    env = user_env(daemon)
    scout = platform.create("scout")
    daemon.add(scout)
    (daemon.dir / "config").mkdir()
    daemon.etc.rename(daemon.dir / "config" / "molecule")
    files = daemon.dir / "config" / "molecule"
    (files / "agentd.conf").write_text("")
    (files / "workspaces.d/scout.conf").write_text(
        (files / "workspaces.d/scout.conf").read_text().replace(str(daemon.etc), str(files)))
    process = user_daemon(daemon, env)
    try:
        path = daemon.dir / "runtime" / "molecule.sock"
        wait_answer(path)
        with Client(path) as client:
            assert [row["name"] for row in client.call("workspace.list")["workspaces"]] == ["scout"]
        # Only that user, whatever groups there are.
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 or path.stat().st_gid == os.getegid()
    finally:
        end(process)
    assert stat.S_IMODE((daemon.dir / "xdg-state" / "molecule").stat().st_mode) == 0o700


def test_a_users_daemon_falls_back_to_the_home_directory(daemon):
    env = {**user_env(daemon), "XDG_CONFIG_HOME": "", "XDG_STATE_HOME": ""}
    process = user_daemon(daemon, env)
    try:
        path = daemon.dir / "runtime" / "molecule.sock"
        wait_answer(path)
    finally:
        end(process)
    assert (daemon.home / ".local/state/molecule/lock").exists()


def test_a_users_daemon_without_a_runtime_directory_says_what_is_missing(daemon):
    out, err = run(daemon, "--user", status=78, env={"XDG_RUNTIME_DIR": ""}, config=False)
    assert "XDG_RUNTIME_DIR" in err
