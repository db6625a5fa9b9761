# SPDX-License-Identifier: MIT
"""Who gets the socket and the state directory, and what is left alone."""

import fcntl
import os
import socket
import stat
import subprocess
import sys

import pytest

from harness import Client, build_dir
from wire import Wire, info, wait_answer

# What systemd does: the listening sockets from descriptor 3 on, and the pid of who gets them.
LAUNCHER = """
import fcntl, os, socket, sys
sockets = [socket.socket(socket.AF_UNIX) for _ in sys.argv[1].split(":")]
for listener, path in zip(sockets, sys.argv[1].split(":")):
    listener.bind(path)
    listener.listen()
high = [fcntl.fcntl(listener, fcntl.F_DUPFD, 100) for listener in sockets]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i)
    os.close(fd)
os.environ.update(LISTEN_FDS=str(len(sockets)), LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


def run(daemon, status, *arguments, **more):
    """A daemon that does not get far; what it says."""
    done = subprocess.run([build_dir() / "src/molecule-agentd", "--config", daemon.etc / "agentd.conf",
                           *arguments], env=daemon.env, capture_output=True, text=True, timeout=20, **more)
    assert done.returncode == status, done
    assert done.stdout == ""
    return done.stderr


# ---- the socket ----

def test_the_socket_is_for_its_user_and_group_from_birth(daemon):
    daemon.start(umask=0)
    assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o660
    assert stat.S_IMODE(daemon.state.stat().st_mode) == 0o700
    daemon.stop()
    daemon.start(umask=0o777)
    assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o660


def test_listens_on_several_paths(daemon):
    below = daemon.dir / "run" / "agentd.sock"
    daemon.configure(daemon={"socket": f"{daemon.socket} {below}"})
    daemon.start()
    for path in (daemon.socket, below):
        assert Client(path).call("daemon.info")["pid"] == daemon.pid
    assert stat.S_IMODE(below.parent.stat().st_mode) == 0o755
    daemon.stop()
    assert not daemon.socket.exists() and not below.exists()


def test_replaces_a_socket_that_nobody_listens_on(daemon):
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(daemon.socket))
    stale.close()
    daemon.start()
    assert daemon.call("daemon.info")
    daemon.wait_log("replacing stale socket")


def test_does_not_take_a_socket_that_somebody_listens_on(daemon):
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(daemon.socket))
        other.listen()
        assert "another daemon answers" in run(daemon, 1)
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(daemon.socket))
        client.close()


@pytest.mark.parametrize("kind", ["regular file", "directory", "symbolic link", "FIFO"])
def test_leaves_alone_what_is_no_socket(daemon, kind):
    path = daemon.socket
    if kind == "regular file":
        path.write_text("dear diary")
    elif kind == "directory":
        path.mkdir()
    elif kind == "symbolic link":
        path.symlink_to("elsewhere")
    else:
        os.mkfifo(path)
    said = run(daemon, 78)
    assert f"a {kind} is there, which is left alone" in said
    assert os.path.lexists(path) and not (daemon.dir / "elsewhere").exists()
    if kind == "regular file":
        assert path.read_text() == "dear diary"


@pytest.mark.parametrize("path, said", [
    ("/" + "x" * 107, "107"), ("relative.sock", "begins with /"), ("/no/such/directory/at.sock", "directory")])
def test_a_path_that_cannot_be_is_named(daemon, path, said):
    daemon.configure(daemon={"socket": path})
    assert said in run(daemon, 78)


def test_a_path_of_the_longest_length_works(daemon):
    room = 107 - len(str(daemon.dir)) - 1
    path = daemon.dir / ("s" * room)
    assert len(str(path)) == 107
    daemon.configure(daemon={"socket": path})
    daemon.start()
    assert Client(path).call("daemon.info")


def test_two_daemons_of_one_socket_are_one_too_many(daemon, start_daemon):
    daemon.start()
    second = start_daemon()
    second.configure(daemon={"socket": daemon.socket})
    assert "another daemon" in run(second, 1)
    assert daemon.call("daemon.info")
    daemon.stop()
    second.start()
    assert Client(daemon.socket).call("daemon.info")["pid"] == second.pid


def test_a_stopping_daemon_takes_no_others_socket_along(daemon):
    daemon.start()
    daemon.socket.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(daemon.socket))
        daemon.stop()
        assert daemon.socket.is_socket()


# ---- the state directory ----

def test_two_daemons_of_one_state_directory_are_one_too_many(daemon, start_daemon):
    daemon.start()
    second = start_daemon()
    second.configure(daemon={"state_dir": daemon.state})
    said = run(second, 1)
    assert f"another molecule-agentd uses {daemon.state}" in said
    assert not second.socket.exists()
    daemon.stop()
    second.start()
    second.stop()


def test_makes_the_state_directory_and_what_is_above_it(daemon):
    deep = daemon.dir / "var" / "lib" / "molecule"
    daemon.configure(daemon={"state_dir": deep})
    daemon.start()
    assert stat.S_IMODE(deep.stat().st_mode) == 0o700


def damage(state, what):
    if what == "a file":
        state.write_text("")
    elif what == "a link":
        (state.parent / "elsewhere").mkdir(mode=0o700)
        state.symlink_to("elsewhere")
    elif what == "open to others":
        state.mkdir()
        state.chmod(0o777)
    elif what == "somebody else's":
        state.mkdir(mode=0o700)
        os.chown(state, 65534, 65534)


@pytest.mark.parametrize("what, why", [
    ("a file", "Not a directory"), ("a link", "it is a symbolic link"),
    ("open to others", "others may write to it"), ("somebody else's", "it belongs to user 65534")])
def test_a_state_directory_that_cannot_be_trusted_is_refused(daemon, what, why):
    if what == "somebody else's" and os.geteuid() != 0:
        pytest.skip("only root can give it away")
    damage(daemon.state, what)
    said = run(daemon, 78)
    assert str(daemon.state) in said and why in said
    if what == "a link":
        assert list((daemon.dir / "elsewhere").iterdir()) == []
    # It is not for the harness to look at.
    if daemon.state.is_dir() and not daemon.state.is_symlink():
        daemon.state.rmdir()
    else:
        daemon.state.unlink()


@pytest.mark.parametrize("what", ["lock", "tokens", "workspaces.d"])
def test_follows_no_link_in_the_state_directory(platform, daemon, what):
    daemon.state.mkdir(mode=0o700)
    target = daemon.dir / "target"
    target.mkdir(mode=0o700)
    (daemon.state / what).symlink_to(target)
    scout = platform.create("scout")
    if what == "lock":
        assert "lock" in run(daemon, 1)
    else:
        daemon.start()
        daemon.client.send("workspace.join", platform_url=platform.url, workspace_id=scout.id,
                           token=scout.token, name="scout")
        daemon.call("daemon.info")
        daemon.stop()
    assert list(target.iterdir()) == []
    (daemon.state / what).unlink()


def test_cleans_up_what_a_kill_has_left(daemon):
    for place in (daemon.state, daemon.state / "tokens", daemon.state / "workspaces.d"):
        place.mkdir(mode=0o700)
        (place / ".tmp-0123456789abcdef").touch(mode=0o600)
    daemon.start()
    daemon.stop()
    assert sorted(path.name for path in daemon.state.rglob("*")) == ["lock", "tokens", "workspaces.d"]


# ---- sockets that are passed ----

def launch(daemon, *paths):
    """As systemd starts it."""
    program = build_dir() / "src/molecule-agentd"
    return subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, ":".join(map(str, paths)), program, "--config",
         daemon.etc / "agentd.conf"], env=daemon.env, stderr=subprocess.PIPE)


def test_takes_the_sockets_that_systemd_passes(daemon):
    paths = [daemon.dir / "one", daemon.dir / "two"]
    process = launch(daemon, *paths)
    try:
        for path in paths:
            wait_answer(path)
        # It does not listen anywhere else, and what is not its own it does not remove.
        assert not daemon.socket.exists()
    finally:
        process.terminate()
        said = process.communicate(timeout=20)[1].decode()
    assert process.returncode == 0, said
    assert all(path.is_socket() for path in paths)


def test_sockets_that_are_for_somebody_else_are_not_taken(daemon):
    daemon.start(env={"LISTEN_FDS": "1", "LISTEN_PID": "1"})
    assert daemon.call("daemon.info")


@pytest.mark.parametrize("kind", ["closed", "a file", "datagrams"])
def test_what_is_passed_must_be_a_listening_socket(daemon, kind, tmp_path):
    with open(tmp_path / "file", "w") as file, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        source = {"closed": -1, "a file": file.fileno(), "datagrams": datagrams.fileno()}[kind]

        def become_the_service():
            os.environ["LISTEN_PID"] = str(os.getpid())
            if source >= 0:
                os.dup2(source, 3)

        command = [sys.executable, "-c", "import os, sys; os.environ['LISTEN_PID'] = str(os.getpid()); "
                   "os.execv(sys.argv[1], sys.argv[1:])", build_dir() / "src/molecule-agentd",
                   "--config", daemon.etc / "agentd.conf"]
        done = subprocess.run(command, env={**daemon.env, "LISTEN_FDS": "1"}, capture_output=True,
                              text=True, timeout=20, preexec_fn=become_the_service,
                              pass_fds=[3] if source >= 0 else [])
    assert done.returncode == 78, done
    assert "systemd" in done.stderr


# ---- where the log goes ----

def test_serves_though_nobody_takes_its_log(daemon):
    with open("/dev/full", "w") as full:
        process = subprocess.Popen([build_dir() / "src/molecule-agentd", "--config",
                                    daemon.etc / "agentd.conf"], env=daemon.env, stderr=full)
    try:
        wait_answer(daemon.socket)
        with Wire(daemon.socket) as wire:
            wire.send(b"}\n" * 10)
            assert len(wire.sync()) == 10
    finally:
        process.terminate()
    assert process.wait(20) == 0


def test_a_reader_of_its_log_that_sleeps_does_not_stop_it(daemon):
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    process = subprocess.Popen([build_dir() / "src/molecule-agentd", "--config",
                                daemon.etc / "agentd.conf"], env=daemon.env, stderr=writer)
    os.close(writer)
    try:
        wait_answer(daemon.socket)
        with Wire(daemon.socket) as wire:
            # Each reload is a line of the log; nobody has read one of them.
            for i in range(500):
                wire.send(b'{"jsonrpc":"2.0","id":%d,"method":"daemon.reload"}' % i)
                assert wire.message()["id"] == i
            wire.send(info())
            assert wire.message()["id"] == 1
            text = Client(daemon.socket).call("daemon.metrics")["text"]
        lost = [line for line in text.splitlines() if line.startswith("molecule_log_lost_total")]
        assert int(lost[0].split()[1]) > 0
    finally:
        process.terminate()
    assert process.wait(20) == 0
    os.close(reader)
