# SPDX-License-Identifier: MIT
"""The stand-in's own behaviour: what a test can see, and what it can break.

What the platform answers is held against the recorded scenarios instead; see
the script contract.
"""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import threading
import time
from typing import Any

import pytest

from .harness import ADMIN_TOKEN, PROGRAM, Created, DevError, Standin

WAIT_S = 10.0


class Raw:
    """A socket on which a test sees every byte."""

    def __init__(self, standin: Standin, port: int = 0):
        self.host = f"127.0.0.1:{port or standin.port}"
        self.sock = socket.create_connection(("127.0.0.1", port or standin.port), WAIT_S)
        self.rest = b""

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def ask(self, target: str = "/health", method: str = "GET", body: bytes = b"") -> None:
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self.sock.sendall(f"{method} {target} HTTP/1.1\r\nHost: {self.host}\r\n"
                          f"{length}\r\n".encode() + body)

    def all(self) -> bytes:
        """Everything up to the FIN; a RST raises ConnectionResetError."""
        data = b""
        while piece := self.sock.recv(65536):
            data += piece
        return data

    def until(self, end: bytes) -> bytes:
        data, self.rest = self.rest, b""
        while end not in data:
            piece = self.sock.recv(65536)
            assert piece, f"the connection ended after {data!r}"
            data += piece
        return data

    def reply(self) -> tuple[bytes, bytes]:
        """Head and body of a reply with a Content-Length."""
        data = self.until(b"\r\n\r\n")
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(header(head, "content-length")[0])
        while len(body) < length:
            body += self.sock.recv(65536)
        self.rest = body[length:]
        return head, body[:length]


def header(head: bytes, name: str) -> list[str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = [line.partition(": ") for line in lines if line]
    return [value for key, _, value in pairs if key.lower() == name]


def misbehaving(standin: Standin, target: str = "/health", **rule: Any) -> bytes:
    """Everything that comes over the wire for one request under a rule."""
    standin.fault(**rule)
    with Raw(standin) as raw:
        raw.ask(target)
        return raw.all()


def beat(standin: Standin, workspace: Created, **members: Any) -> int:
    return standin.call("POST", "/registry/heartbeat",
                        {"workspace_id": workspace.id, **members},
                        token=workspace.token).status


def state(standin: Standin, workspace: Created) -> Any:
    return standin.call("GET", f"/workspaces/{workspace.id}/state",
                        token=workspace.token).json()


# ---- starting and stopping ----

def test_prints_its_url_and_a_token_and_ends_well() -> None:
    process = subprocess.Popen([str(PROGRAM)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        url = process.stdout.readline().strip()
        token = process.stdout.readline().strip().removeprefix("admin token: ")
        standin = Standin(process, url, token)
        assert url.startswith("http://127.0.0.1:")
        assert standin.create().token
        process.terminate()
        assert process.wait(WAIT_S) == 0


def test_ends_with_its_starter() -> None:
    standin = Standin.start()
    assert standin.process.stdin is not None
    standin.process.stdin.close()
    assert standin.process.wait(WAIT_S) == 0
    standin.stop()


@pytest.mark.parametrize("arguments", [["--settings", "nonsense=1"], ["--settings", "a2a_idle_s"],
                                       ["--settings", "rate_limit=many"],
                                       ["--plugins", "/no/such/folder"],
                                       ["--generation", "1999-01"]])
def test_a_wrong_command_line_is_refused(arguments: list[str]) -> None:
    ended = subprocess.run([str(PROGRAM), *arguments], capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "devplatform: error: " in ended.stderr


def test_a_port_that_is_taken_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run([str(PROGRAM), "--port", port], capture_output=True, text=True)
    assert ended.returncode == 1
    assert "cannot start" in ended.stderr


# ---- the wire ----

def test_requests_may_follow_each_other_on_one_connection(standin: Standin) -> None:
    with Raw(standin) as raw:
        raw.ask()
        raw.ask("/no/such/route")
        assert raw.reply()[1] == b'{"status":"ok"}'
        assert raw.reply()[1] == b"404 page not found"


def test_asks_for_a_body_that_waits_to_be_asked_for(standin: Standin) -> None:
    with Raw(standin) as raw:
        raw.sock.sendall(b"POST /registry/check-access HTTP/1.1\r\nHost: x\r\n"
                         b"Content-Length: 33\r\nExpect: 100-continue\r\n\r\n")
        assert raw.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        raw.sock.sendall(b'{"caller_id":"a","target_id":"a"}')
        assert raw.reply()[1] == b'{"allowed":true}'


def test_a_chunked_body_is_read(standin: Standin) -> None:
    with Raw(standin) as raw:
        raw.sock.sendall(b"POST /registry/check-access HTTP/1.1\r\nHost: x\r\n"
                         b"Transfer-Encoding: chunked\r\n\r\n"
                         b'11\r\n{"caller_id":"a",\r\n10\r\n"target_id":"a"}\r\n0\r\n\r\n')
        assert raw.reply()[1] == b'{"allowed":true}'


def test_what_is_no_http_is_refused(standin: Standin) -> None:
    with Raw(standin) as raw:
        raw.sock.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert raw.all().startswith(b"HTTP/1.1 400 ")


# ---- what was asked ----

def test_requests_are_remembered(standin: Standin) -> None:
    workspace = standin.create()
    since = standin.last()
    beat(standin, workspace, active_tasks=3)
    state(standin, workspace)
    first, second = standin.requests(since=since)
    assert (first["method"], first["path"]) == ("POST", "/registry/heartbeat")
    assert (first["endpoint"], first["status"]) == ("heartbeat", 200)
    assert json.loads(first["body"])["active_tasks"] == 3
    assert ["Authorization", f"Bearer {workspace.token}"] in first["headers"]
    assert second["endpoint"] == "state"
    assert second["seq"] == first["seq"] + 1
    assert second["time"] >= first["time"]
    assert [entry["seq"] for entry in standin.requests(workspace=workspace.id, method="GET")] \
        == [second["seq"]]
    assert standin.requests(path="/registry/*", since=since) == [first]
    assert standin.requests(status=404) == []
    standin.dev("DELETE", "requests")
    assert standin.requests() == []


def test_a_reader_can_wait_for_requests(standin: Standin) -> None:
    workspace = standin.create()
    threading.Timer(0.1, beat, (standin, workspace)).start()
    threading.Timer(0.2, beat, (standin, workspace)).start()
    found = standin.wait_requests(endpoint="heartbeat", workspace=workspace.id, count=2)
    assert [entry["status"] for entry in found] == [200, 200]
    assert standin.requests(endpoint="register", wait_ms=1) == []


def test_one_connection_is_seen_as_one(standin: Standin) -> None:
    with Raw(standin) as raw:
        for _ in range(2):
            raw.ask()
            raw.reply()
    with Raw(standin) as raw:
        raw.ask()
        raw.reply()
    numbers = [entry["connection"] for entry in standin.requests()]
    assert numbers[0] == numbers[1] != numbers[2]


def test_only_so_many_requests_are_kept() -> None:
    with Standin.start("--record", "3") as small:
        for _ in range(5):
            small.call("GET", "/health")
        assert [entry["seq"] for entry in small.requests()] == [3, 4, 5]


# ---- rules ----

def test_a_rule_counts(standin: Standin) -> None:
    rule = standin.fault(endpoint="health", status=500, after=1, times=2)
    seen = [standin.call("GET", "/health").status for _ in range(5)]
    assert seen == [200, 500, 500, 200, 200]
    shown = standin.dev("GET", f"faults/{rule}")
    assert (shown["hits"], shown["spent"]) == (2, True)
    assert [entry["fault"] for entry in standin.requests()] == [None, rule, rule, None, None]


def test_a_rule_is_for_one_workspace(standin: Standin) -> None:
    one, other = standin.create("one"), standin.create("other")
    standin.fault(workspace=one.id, status=503)
    assert beat(standin, one) == 503
    assert beat(standin, other) == 200
    assert standin.call("GET", f"/workspaces/{one.id}/state").status == 503
    assert standin.call("GET", f"/registry/{one.id}/peers").status == 503


ENDPOINT_CALLS = {
    "register": ("POST", "/registry/register"), "heartbeat": ("POST", "/registry/heartbeat"),
    "update_card": ("POST", "/registry/update-card"), "state": ("GET", "/workspaces/W/state"),
    "secrets": ("GET", "/workspaces/W/secrets/values"), "peers": ("GET", "/registry/W/peers"),
    "discover": ("GET", "/registry/discover/W"), "a2a": ("POST", "/workspaces/W/a2a"),
    "delegate": ("POST", "/workspaces/W/delegate"), "workspace": ("GET", "/workspaces/W"),
    "delegations": ("GET", "/workspaces/W/delegations"),
    "tokens": ("POST", "/workspaces/W/tokens"), "activity": ("GET", "/workspaces/W/activity"),
    "notify": ("POST", "/workspaces/W/notify"), "events": ("GET", "/workspaces/W/events/stream"),
    "download": ("GET", "/workspaces/W/plugins/p/download"), "health": ("GET", "/health"),
    "plugins": ("POST", "/workspaces/W/plugins"), "mcp": ("POST", "/workspaces/W/mcp"),
    "check_access": ("POST", "/registry/check-access"), "any": ("GET", "/anything"),
}


@pytest.mark.parametrize("endpoint", ENDPOINT_CALLS)
def test_every_endpoint_has_a_name(standin: Standin, endpoint: str) -> None:
    rule = standin.fault(endpoint=endpoint, status=418)
    for name, (method, path) in ENDPOINT_CALLS.items():
        if endpoint in (name, "any"):
            assert standin.call(method, path, {}).status == 418
        elif name != "events":
            assert standin.call(method, path, {}).status != 418, name
    assert standin.dev("GET", f"faults/{rule}")["hits"] >= 1


def test_a_path_pattern_will_do_as_well(standin: Standin) -> None:
    standin.fault(method="GET", path="/he*", status=500)
    assert standin.call("GET", "/health").status == 500
    assert standin.call("GET", "/metrics").status == 200


@pytest.mark.parametrize("rule", [
    {}, {"endpoint": "nothing", "status": 500}, {"endpoint": "any"}, {"statsu": 500},
    {"status": 500, "times": 0}, {"drop": "nowhere"}, {"drop": "accept"}, {"slow": {"bytes": 0}},
    {"slow": {"colour": 1}}, {"headers": [["a"]]}, {"redirect": {"status": 301}}])
def test_a_rule_that_makes_no_sense_is_refused(standin: Standin, rule: dict[str, Any]) -> None:
    with pytest.raises(DevError, match=": 400 "):
        standin.fault(**rule)


def test_removing_a_rule_ends_it(standin: Standin) -> None:
    rule = standin.fault(status=500)
    assert standin.call("GET", "/health").status == 500
    standin.dev("DELETE", f"faults/{rule}")
    assert standin.call("GET", "/health").status == 200
    with pytest.raises(DevError, match=": 404 "):
        standin.dev("DELETE", f"faults/{rule}")
    assert standin.dev("GET", "faults") == {"faults": []}


# ---- each kind of fault, as it looks on the wire ----

def test_a_delay(standin: Standin) -> None:
    standin.fault(delay_ms=300, times=1)
    began = time.monotonic()
    assert standin.call("GET", "/health").json() == {"status": "ok"}
    assert time.monotonic() - began >= 0.3


def test_a_status_with_headers_and_body(standin: Standin) -> None:
    standin.fault(status=502, headers={"X-A": "1", "Content-Type": "text/html"},
                  body="<h1>no</h1>")
    reply = standin.call("GET", "/health")
    assert (reply.status, reply.body) == (502, b"<h1>no</h1>")
    assert (reply.headers["X-A"], reply.headers["Content-Type"]) == ("1", "text/html")


def test_only_the_body_is_replaced(standin: Standin) -> None:
    standin.fault(json={"status": "<fine>"})
    reply = standin.call("GET", "/health")
    assert reply.headers["X-Frame-Options"] == "DENY"
    assert reply.body == b'{"status":"\\u003cfine\\u003e"}'


def test_an_override_does_not_reach_the_platform(standin: Standin) -> None:
    workspace = standin.create()
    standin.fault(endpoint="heartbeat", status=200, json={"status": "ok"}, times=1)
    beat(standin, workspace)
    assert state(standin, workspace)["status"] == "provisioning"
    standin.fault(endpoint="heartbeat", status=500, process=True, times=1)
    assert beat(standin, workspace) == 500
    assert state(standin, workspace)["status"] == "online"


@pytest.mark.parametrize("value", ["0", "5", "-1", "abc", "1e400",
                                   "Fri, 20 Nov 2026 12:00:00 GMT", ["5", "7"]])
def test_retry_after(standin: Standin, value: str | list[str]) -> None:
    data = misbehaving(standin, status=429, retry_after=value, close=True)
    assert header(data, "retry-after") == ([value] if isinstance(value, str) else value)


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body(standin: Standin, status: int) -> None:
    data = misbehaving(standin, status=status, body="ignored", close=True)
    assert data.startswith(b"HTTP/1.1 %d " % status)
    assert data.endswith(b"\r\n\r\n")
    assert header(data, "content-length") == []


def test_dropped_before_the_reply_but_after_the_deed(standin: Standin) -> None:
    """The hazard of a first register: the token is minted, and lost."""
    workspace = standin.call("POST", "/workspaces", {
        "name": "lost", "external": True, "runtime": "external", "url": "http://localhost:9/"},
        token=ADMIN_TOKEN).json()["id"]
    body = json.dumps({"id": workspace, "url": "http://localhost:9/", "agent_card": {}})
    standin.fault(endpoint="register", drop="reply")
    with Raw(standin) as raw:
        raw.ask("/registry/register", "POST", body.encode())
        assert raw.all() == b""
    assert len(standin.workspace(workspace)["tokens"]) == 1
    assert standin.requests(endpoint="register")[0]["outcome"] == "dropped"


def test_dropped_before_the_deed(standin: Standin) -> None:
    workspace = standin.create()
    standin.fault(endpoint="heartbeat", drop="request")
    with Raw(standin) as raw:
        raw.ask("/registry/heartbeat", "POST", json.dumps({"workspace_id": workspace.id}).encode())
        assert raw.all() == b""
    assert standin.workspace(workspace.id)["status"] == "provisioning"


def test_dropped_in_the_head(standin: Standin) -> None:
    data = misbehaving(standin, drop="headers")
    assert data.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\n\r\n" not in data


def test_dropped_in_the_body(standin: Standin) -> None:
    head, _, body = misbehaving(standin, drop="body").partition(b"\r\n\r\n")
    assert header(head, "content-length") == ["15"]
    assert body == b'{"statu'


@pytest.mark.parametrize("drop", ["request", "reply", "headers", "body"])
def test_dropped_with_a_reset(standin: Standin, drop: str) -> None:
    standin.fault(drop=drop, rst=True)
    with Raw(standin) as raw:
        raw.ask()
        with pytest.raises(ConnectionResetError):
            raw.all()


def test_dropped_before_anything_was_read(standin: Standin) -> None:
    standin.fault(drop="accept", times=2)
    with Raw(standin) as raw:
        assert raw.all() == b""     # nothing was asked
    with Raw(standin) as raw:
        assert raw.all() == b""
    assert standin.call("GET", "/health").status == 200
    standin.fault(drop="accept", rst=True, times=1)
    with pytest.raises(ConnectionResetError), Raw(standin) as raw:
        raw.all()


@pytest.mark.parametrize("off", [-1, 1, 100])
def test_a_wrong_length(standin: Standin, off: int) -> None:
    head, _, body = misbehaving(standin, length_off=off).partition(b"\r\n\r\n")
    assert header(head, "content-length") == [str(15 + off)]
    assert body == b'{"status":"ok"}'


def test_a_wrong_length_on_a_connection_that_stays(standin: Standin) -> None:
    standin.fault(length_off=-1, keep_open=True, times=1)
    with Raw(standin) as raw:
        raw.ask()
        raw.until(b'"ok"}')
        raw.ask()
        assert raw.until(b'"ok"}').startswith(b"HTTP/1.1 200 ")


def test_both_kinds_of_length(standin: Standin) -> None:
    head, _, body = misbehaving(standin, both_lengths=True).partition(b"\r\n\r\n")
    assert header(head, "content-length") == ["15"]
    assert header(head, "transfer-encoding") == ["chunked"]
    assert body == b'f\r\n{"status":"ok"}\r\n0\r\n\r\n'


def test_a_bad_chunk(standin: Standin) -> None:
    head, _, body = misbehaving(standin, bad_chunk=True).partition(b"\r\n\r\n")
    assert header(head, "transfer-encoding") == ["chunked"]
    assert body.startswith(b"zz\r\n")


def test_a_reply_without_a_head(standin: Standin) -> None:
    assert misbehaving(standin, http09=True) == b'{"status":"ok"}'


def test_gzip_that_nobody_asked_for(standin: Standin) -> None:
    standin.fault(gzip=True)
    reply = standin.call("GET", "/health")
    assert reply.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(reply.body) == b'{"status":"ok"}'


def test_garbage(standin: Standin) -> None:
    assert misbehaving(standin, raw="\x00\xffgarbage\r\n\r\n") == b"\x00\xffgarbage\r\n\r\n"
    standin.clear_faults()
    assert misbehaving(standin, raw_base64="AAEC") == b"\0\1\2"


@pytest.mark.parametrize("part", ["head", "body", "all"])
def test_a_reply_in_drops(standin: Standin, part: str) -> None:
    standin.fault(slow={"bytes": 5, "every_ms": 20, "part": part}, times=1)
    pieces = 0
    with Raw(standin) as raw:
        raw.ask()
        data = b""
        while not data.endswith(b'"ok"}'):
            data += raw.sock.recv(65536)
            pieces += 1
    assert pieces > (2 if part == "body" else 20)


def test_huge_headers(standin: Standin) -> None:
    data = misbehaving(standin, huge_headers={"count": 1000, "bytes": 100}, close=True)
    assert sum(name.startswith(b"X-Filler-") for name in data.split(b"\r\n")) == 1000
    assert data.endswith(b'\r\n\r\n{"status":"ok"}')


def test_a_huge_body(standin: Standin) -> None:
    standin.fault(huge_body_mib=3)
    reply = standin.call("GET", "/health")
    assert len(reply.json()["filler"]) == 3 << 20


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect(standin: Standin, status: int) -> None:
    standin.fault(redirect={"location": "http://localhost:9/x", "status": status})
    reply = standin.call("GET", "/health")
    assert (reply.status, reply.headers["Location"]) == (status, "http://localhost:9/x")


def test_json_that_breaks_off(standin: Standin) -> None:
    standin.fault(cut=3, times=1)
    standin.fault(malformed=True, times=1)
    assert standin.call("GET", "/health").body == b'{"s'
    assert standin.call("GET", "/health").body == b'{"statu'


def test_wrong_types(standin: Standin) -> None:
    workspace = standin.create()
    standin.fault(endpoint="state", wrong_types=True, times=1)
    standin.fault(endpoint="state", wrong_types="paused", times=1)
    assert state(standin, workspace) == {"workspace_id": 7, "status": 7, "paused": "yes",
                                         "deleted": "yes"}
    assert state(standin, workspace) == {"workspace_id": workspace.id, "paused": "yes",
                                         "status": "provisioning", "deleted": False}


def test_interim_replies_first(standin: Standin) -> None:
    data = misbehaving(standin, interim=[100, 103], close=True)
    assert data.startswith(b"HTTP/1.1 100 Interim\r\n\r\nHTTP/1.1 103 Interim\r\n\r\n"
                           b"HTTP/1.1 200 OK\r\n")


def test_connection_close(standin: Standin) -> None:
    data = misbehaving(standin, close=True)
    assert header(data, "connection") == ["close"]
    assert data.endswith(b'{"status":"ok"}')


def test_hanging_until_released(standin: Standin) -> None:
    rule = standin.fault(hang=True)
    with Raw(standin) as raw:
        raw.ask()
        [record] = standin.wait_requests(path="/health")
        assert (record["outcome"], record["status"]) == ("hanging", None)
        standin.dev("POST", f"faults/{rule}/release")
        assert raw.reply()[1] == b'{"status":"ok"}'
        raw.ask()       # the rule is still there
        standin.wait_requests(path="/health", count=2)
        standin.dev("DELETE", f"faults/{rule}")
        assert raw.reply()[1] == b'{"status":"ok"}'
