# SPDX-License-Identifier: MIT
"""Limits on connections, messages that do not end, descriptors; and who may call what."""

import contextlib
import grp
import json
import os
import pwd
import resource
import socket
import subprocess
import sys

import pytest

from test_rpc_calls import metric
from wire import Wire, cpu_s, descriptors, framed, info, rss_kib, wait_until

NOBODY = pwd.getpwnam("nobody")
RESERVE = 16    # beyond the limit, for root and the daemon's user

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")

# Run as another user: says what each line of its input is answered with, all on one connection.
PROBE = """
import socket, sys
daemon = socket.socket(socket.AF_UNIX)
daemon.connect(sys.argv[1])
lines = daemon.makefile("rwb")
for call in sys.stdin.buffer:
    try:
        lines.write(call)
        lines.flush()
    except BrokenPipeError:
        pass
    sys.stdout.buffer.write(lines.readline())
    sys.stdout.flush()
"""


class Stranger:
    """A client of another user, in a process of its own."""

    def __init__(self, path, uid, gid, groups=()):
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROBE, str(path)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, user=uid, group=gid, extra_groups=list(groups))

    def say(self, line):
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        return json.loads(answer) if answer else None

    def call(self, method, **params):
        return self.say(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method,
                                    "params": params}).encode())

    def kind(self, method, **params):
        """Of the error; "" if there is none."""
        return self.call(method, **params).get("error", {}).get("data", {}).get("kind", "")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def public(daemon):
    """A daemon whose socket everybody can open: what counts is who they are."""
    daemon.dir.chmod(0o755)

    def start(**sections):
        daemon.configure(**sections)
        daemon.start()
        daemon.socket.chmod(0o666)

    return start


@contextlib.contextmanager
def connections(path, count):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Wire(path)) for _ in range(count)]


# ---- connections ----

def test_serves_a_thousand_connections(daemon):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    try:
        daemon.start()
        with connections(daemon.socket, 1024) as wires:
            for i, wire in enumerate(wires):
                wire.send(info(i))
            for i, wire in enumerate(wires):
                assert wire.message()["id"] == i
            assert daemon.call("daemon.status")["connections"] == 1025
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_one_too_many_is_told_so(daemon):
    daemon.configure(rpc={"max_connections": 4})
    daemon.start()
    # Root, who runs this or whose daemon it is, has a few more.
    with connections(daemon.socket, 4 + RESERVE) as wires:
        for wire in wires:
            assert wire.sync() == []
        with Wire(daemon.socket) as late:
            message = late.message()
            assert message["id"] is None and message["error"]["code"] == -32017
            assert message["error"]["data"] == {"kind": "overloaded", "retryable": True}
            assert "max_connections" in message["error"]["message"]
            assert late.rest() == b""
        wires.pop().close()
        wait_until(lambda: is_served(daemon), "there is room again")


def is_served(daemon):
    with Wire(daemon.socket) as wire:
        with contextlib.suppress(BrokenPipeError):
            wire.send(info())
        return "result" in wire.message()


@as_root
def test_a_user_takes_no_more_than_their_share(daemon, public):
    public(rpc={"max_connections_per_uid": 2}, daemon={"socket_group": "games"})
    gid = grp.getgrnam("games").gr_gid
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            member = stack.enter_context(Stranger(daemon.socket, NOBODY.pw_uid, gid))
            assert member.kind("daemon.info") == ""
        with Stranger(daemon.socket, NOBODY.pw_uid, gid) as third:
            message = third.call("daemon.info")
            assert message["error"]["data"]["kind"] == "overloaded"
            assert "max_connections_per_uid" in message["error"]["message"]
        with Stranger(daemon.socket, 1234, gid) as other:
            assert other.kind("daemon.info") == ""
        assert daemon.call("daemon.info")
    daemon.wait_log(rf"refused a connection of uid {NOBODY.pw_uid} \(pid \d+, unit \S+\)")


# ---- messages that do not end ----

@pytest.mark.parametrize("start", [b"{", b'["abc', framed(info())[:-5], b"Content-Le", b"}"],
                         ids=["text", "string", "body", "header", "after an error"])
def test_a_message_that_does_not_end_ends_the_connection(daemon, start):
    daemon.configure(rpc={"partial_timeout": "1s"})
    daemon.start()
    with Wire(daemon.socket) as wire, Wire(daemon.socket) as idle:
        assert idle.sync() == []
        wire.send(start)
        sent = wire.rest()
        assert b'"kind":"parse_error"' in sent and b"has not ended" in sent
        # One that owes nothing stays.
        assert idle.sync() == []
    assert metric(daemon, "molecule_rpc_partial_timeouts_total") == 1


# ---- descriptors ----

@pytest.mark.parametrize("spare", [0, 1, 5])
def test_survives_without_descriptors(daemon, spare):
    daemon.start()
    daemon.call("daemon.info")
    used = descriptors(daemon.pid)
    before = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (used + spare, before[1]))
    with contextlib.ExitStack() as stack:
        # Those beyond the limit are hung up on, and none hangs.
        ends = []
        for _ in range(spare + 20):
            wire = stack.enter_context(Wire(daemon.socket))
            with contextlib.suppress(OSError):
                wire.send(info())
            try:
                ends.append(wire.line_or_end())
            except OSError:
                ends.append(b"")
        assert sum(1 for end in ends if end) == spare
        daemon.wait_log("out of file descriptors")

        # Clients keep knocking: it must not spin. Each knock is an event to wait for.
        began = cpu_s(daemon.pid)
        for _ in range(10):
            with Wire(daemon.socket) as wire:
                with contextlib.suppress(OSError):
                    wire.rest()
        assert cpu_s(daemon.pid) - began < 0.5
        assert daemon.call("daemon.info")
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, before)
    wait_until(lambda: is_served_after_all(daemon), "it is served again")
    assert daemon.log.count("out of file descriptors") == 1


def is_served_after_all(daemon):
    try:
        return is_served(daemon)
    except (AssertionError, OSError):
        return False


def test_descriptors_that_are_sent_along_are_not_kept(daemon):
    daemon.start()
    with Wire(daemon.socket) as wire:
        assert wire.sync() == []
        before = descriptors(daemon.pid)
        for i in range(50):
            socket.send_fds(wire.socket, [info(i)], [0, 1, 2])
            assert wire.message()["id"] == i
        assert descriptors(daemon.pid) == before


# ---- memory ----

def test_memory_comes_back_after_large_messages(daemon):
    # A sanitizer would keep it for a while.
    daemon.env["ASAN_OPTIONS"] += ":quarantine_size_mb=1"
    daemon.start()
    big = b'{"jsonrpc":"2.0","id":1,"method":"daemon.info","params":{"x":"%s"}}' % (b"x" * 1000000)

    def round_of(count):
        with connections(daemon.socket, count) as wires:
            for wire in wires:
                wire.send(big)
                assert wire.message()["id"] == 1
            return rss_kib(daemon.pid)

    # Idle again, a connection holds nothing of what it has said.
    first = round_of(10)
    assert round_of(60) - first < 40 * 1024


# ---- who may ----

READ, USE, ADMIN = "daemon.info", "secrets.list", "daemon.reload"


@as_root
def test_a_stranger_is_refused_with_a_sentence(daemon, public):
    public(daemon={"socket_group": "games"})
    with Stranger(daemon.socket, NOBODY.pw_uid, NOBODY.pw_gid) as stranger:
        for method in (READ, USE, ADMIN, "rpc.discover", "events.subscribe", "workspace.join"):
            message = stranger.call(method)
            assert message["error"]["code"] == -32002
            assert message["error"]["message"] == (
                f"user {NOBODY.pw_uid} may not call {method}: add the user to group games and log in again")
        assert stranger.kind("no.such.method") == "method_not_found"
    # A line a minute, however often.
    daemon.wait_log(rf"refused daemon\.info to uid {NOBODY.pw_uid} \(pid \d+, unit ")
    assert daemon.log.count("refused ") == 1


@as_root
@pytest.mark.parametrize("supplementary", [False, True])
def test_a_member_of_the_group_may_read_and_use_but_not_administer(daemon, public, supplementary):
    public(daemon={"socket_group": "games"})
    gid = grp.getgrnam("games").gr_gid
    with Stranger(daemon.socket, NOBODY.pw_uid, NOBODY.pw_gid if supplementary else gid,
                  [gid] if supplementary else []) as member:
        assert member.kind(READ) == ""
        assert member.kind(USE) == "not_found"
        for method in (ADMIN, "workspace.join", "workspace.leave", "token.set", "token.rotate"):
            message = member.call(method)
            assert message["error"]["data"]["kind"] == "forbidden"
            assert "only root and the daemon's own user may" in message["error"]["message"]


@as_root
def test_without_a_group_only_root_and_its_own_user_are_served(daemon, public):
    public(daemon={"socket_group": "no-such-group-here"})
    with Stranger(daemon.socket, NOBODY.pw_uid, NOBODY.pw_gid) as stranger:
        message = stranger.call(READ)
        assert "this daemon serves its own user and root" in message["error"]["message"]
    assert daemon.call(ADMIN)["unchanged"]


@as_root
def test_the_socket_admits_the_group_and_nobody_else(daemon):
    daemon.configure(daemon={"socket_group": "games"})
    daemon.start()
    status = daemon.socket.stat()
    assert (status.st_mode & 0o7777, status.st_gid) == (0o660, grp.getgrnam("games").gr_gid)


@as_root
def test_who_connected_counts_not_who_calls(daemon, public):
    """A connection that root has handed to somebody else is root's."""
    public(daemon={"socket_group": "games"})
    with Wire(daemon.socket) as wire:
        # Whether it blocks belongs to the socket, not to the descriptor.
        wire.socket.settimeout(None)
        done = subprocess.run(
            [sys.executable, "-c", "import os, sys; os.write(0, sys.argv[1].encode()); "
             "os.write(1, os.read(0, 65536))", info().decode()],
            stdin=wire.socket, stdout=subprocess.PIPE, user=NOBODY.pw_uid, check=True)
        assert "result" in json.loads(done.stdout)
