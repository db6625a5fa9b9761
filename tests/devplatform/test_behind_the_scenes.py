# SPDX-License-Identifier: MIT
"""Outages, rows, clocks, further ports and peers: the rest of /_dev/."""

from __future__ import annotations

import dataclasses
import json
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from . import agents, dev, faults, tls
from .endpoints import ENDPOINTS
from .harness import ADMIN_TOKEN, Created, DevError, Standin
from .settings import Settings

WAIT_S = 10.0


def beat(standin: Standin, workspace: Created) -> int:
    return standin.call("POST", "/registry/heartbeat", {"workspace_id": workspace.id},
                        token=workspace.token).status


def state(standin: Standin, workspace: Created) -> Any:
    reply = standin.call("GET", f"/workspaces/{workspace.id}/state", token=workspace.token)
    return reply.json()["status"] if reply.status == 200 else reply.status


def message(text: str, message_id: str = "m-1") -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": "1", "method": "message/send", "params": {"message": {
        "role": "user", "messageId": message_id, "parts": [{"kind": "text", "text": text}]}}}


# ---- outages ----

def test_the_datastore_goes_and_comes_back(standin: Standin) -> None:
    workspace = standin.create()
    beat(standin, workspace)
    standin.dev("POST", "outage")
    assert standin.dev("GET", "outage") == {"datastore": True, "down": False}
    assert state(standin, workspace) == 401
    assert beat(standin, workspace) == 500
    standin.dev("DELETE", "outage")
    assert state(standin, workspace) == "online"


def test_an_outage_may_end_by_itself(standin: Standin) -> None:
    workspace = standin.create()
    standin.dev("POST", "outage", {"for_ms": 200})
    assert beat(standin, workspace) == 500
    deadline = time.monotonic() + WAIT_S
    while beat(standin, workspace) != 200:
        assert time.monotonic() < deadline


def test_down_means_that_nobody_listens(standin: Standin) -> None:
    control = standin.dev("POST", "listen")
    idle = socket.create_connection(("127.0.0.1", standin.port), WAIT_S)
    # The listener has to know it before it can end it.
    idle.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert idle.recv(65536).startswith(b"HTTP/1.1 200 ")
    standin.dev("POST", "outage", {"kind": "down"})
    try:
        assert idle.recv(65536) == b""
        with pytest.raises(ConnectionRefusedError):
            standin.call("GET", "/health")
        reply = standin.call("GET", "/_dev/outage", port=control["port"])
        assert reply.json() == {"datastore": False, "down": True}
        assert standin.call("GET", "/health", port=control["port"]).status == 200
    finally:
        standin.call("DELETE", "/_dev/outage", port=control["port"])
        idle.close()
    assert standin.call("GET", "/health").status == 200
    standin.dev("DELETE", f"listen/{control['port']}")


def test_the_end_of_one_outage_is_not_the_end_of_the_next(standin: Standin) -> None:
    workspace = standin.create()
    standin.dev("POST", "outage", {"for_ms": 100})
    standin.dev("DELETE", "outage")
    standin.dev("POST", "outage")
    standin.dev("POST", "outage", {"for_ms": 1})
    standin.dev("POST", "outage")
    ends = time.monotonic() + 0.3
    while time.monotonic() < ends:
        assert beat(standin, workspace) == 500


def test_down_for_a_while(standin: Standin) -> None:
    standin.dev("POST", "outage", {"kind": "down", "for_ms": 200})
    with pytest.raises(ConnectionRefusedError):
        standin.call("GET", "/health")
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        try:
            assert standin.call("GET", "/health").status == 200
            return
        except ConnectionRefusedError:
            pass
    pytest.fail("it did not come back")


def test_what_is_behind_is_never_limited_guarded_or_recorded() -> None:
    with Standin.start(settings="rate_limit=1,org_id=o") as strict:
        for _ in range(5):
            strict.dev("GET", "clock")
        assert strict.call("GET", "/health").status == 200
        assert strict.call("GET", "/health").status == 429
        assert [entry["path"] for entry in strict.requests()] == ["/health", "/health"]
        strict.fault(status=500)
        strict.dev("POST", "outage")
        assert strict.dev("GET", "outage")["datastore"] is True


def test_a_web_page_has_no_business_behind_the_scenes(standin: Standin) -> None:
    reply = standin.call("GET", "/_dev/requests", headers={"Origin": "http://localhost:3000"})
    assert reply.status == 403


def test_an_unknown_call_tells_which_ones_there_are(standin: Standin) -> None:
    reply = standin.call("GET", "/_dev/nothing")
    assert reply.status == 404
    assert "POST /_dev/faults" in reply.json()["known"]


def test_the_manual_is_complete() -> None:
    manual = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
    calls = {name for _, name in dev._handlers}
    names = {field.name for field in dataclasses.fields(Settings)}
    words = {*names, *faults._MATCHING, *faults._DOING, *ENDPOINTS, *tls.KINDS,
             *agents.NAMED_MODES, *agents.MEMBERS, *faults.DROPS, *faults.PARTS}
    assert [name for name in sorted(calls) if f"$U/_dev/{name}" not in manual] == []
    assert [word for word in sorted(words) if f"`{word}`" not in manual
            and f'"{word}"' not in manual] == []


# ---- rows ----

def test_a_row_can_be_seen_and_changed(standin: Standin) -> None:
    workspace = standin.create("seen")
    row = standin.workspace(workspace.id)
    assert (row["name"], row["status"]) == ("seen", "provisioning")
    assert row["tokens"][0]["prefix"] == workspace.token[:8]
    assert workspace.token not in json.dumps(row)
    standin.dev("POST", f"workspaces/{workspace.id}", {"status": "hibernated", "tier": 1})
    assert state(standin, workspace) == "hibernated"
    for members in ({"id": "x"}, {"nothing": 1}, {"created_at": "now"}):
        with pytest.raises(DevError, match=": 400 "):
            standin.dev("POST", f"workspaces/{workspace.id}", members)
    with pytest.raises(DevError, match=": 404 "):
        standin.workspace("00000000-0000-4000-8000-000000000000")


def test_a_token_can_be_minted_from_behind(standin: Standin) -> None:
    workspace = standin.create()
    minted = standin.dev("POST", f"workspaces/{workspace.id}/tokens")
    assert state(standin, Created(workspace.id, minted["auth_token"])) == "provisioning"


def test_a_row_can_be_put_into_the_log(standin: Standin) -> None:
    workspace = standin.create()
    standin.dev("POST", f"workspaces/{workspace.id}/activity",
                {"method": "message/send", "request_body": message("hello")})
    [row] = standin.call("GET", f"/workspaces/{workspace.id}/activity?type=a2a_receive",
                         token=workspace.token).json()
    assert row["request_body"] == message("hello")


def test_secrets_that_cannot_be_read(standin: Standin) -> None:
    workspace = standin.create()
    standin.dev("POST", f"workspaces/{workspace.id}", {"unreadable_secrets": ["global:K"]})
    reply = standin.call("GET", f"/workspaces/{workspace.id}/secrets/values",
                         token=workspace.token)
    assert (reply.status, reply.json()["failed_keys"]) == (500, ["global:K"])


def test_waiting_for_a_value(standin: Standin) -> None:
    workspace = standin.create()
    threading.Timer(0.1, beat, (standin, workspace)).start()
    row = standin.wait_workspace(workspace.id, "status", "online", "degraded")
    assert row["status"] == "online"
    with pytest.raises(DevError, match=": 408 "):
        standin.wait_workspace(workspace.id, "status", "paused", timeout_ms=10)
    with pytest.raises(DevError, match=": 400 "):
        standin.wait_workspace(workspace.id, "nothing", 1, timeout_ms=10)


# ---- time ----

def test_the_sweep_and_the_clock(standin: Standin) -> None:
    workspace = standin.create()
    beat(standin, workspace)
    try:
        standin.dev("POST", "clock", {"advance_s": 80})
        standin.dev("POST", "sweep")
        assert state(standin, workspace) == "online"
        standin.dev("POST", "clock", {"advance_s": 15})
        standin.dev("POST", "sweep")
        assert state(standin, workspace) == "offline"
    finally:
        assert standin.dev("POST", "clock", {"shift_s": 0})["shift_s"] == 0
    beat(standin, workspace)
    standin.dev("POST", f"workspaces/{workspace.id}", {"heartbeat_age_s": 91})
    standin.dev("POST", "sweep")
    assert state(standin, workspace) == "offline"


def test_the_clock_that_a_register_starts(standin: Standin) -> None:
    workspace = standin.create()
    standin.call("POST", "/registry/register", {
        "id": workspace.id, "url": "http://localhost:9/", "agent_card": {}},
        token=workspace.token)
    standin.dev("POST", f"workspaces/{workspace.id}", {"runtime": "langgraph"})
    try:
        standin.dev("POST", "clock", {"shift_s": 181})
        standin.dev("POST", "sweep")
        assert state(standin, workspace) == "offline"
    finally:
        standin.dev("POST", "clock", {"shift_s": 0})


def test_settings_can_be_changed_on_the_way(standin: Standin) -> None:
    try:
        standin.dev("POST", "settings", {"org_id": "o-1"})
        assert standin.call("GET", "/plugins").status == 404
        assert standin.call("GET", "/plugins",
                            headers={"X-Molecule-Org-Id": "o-1"}).status == 200
    finally:
        standin.dev("POST", "settings", {"org_id": ""})
    with pytest.raises(DevError, match=": 400 "):
        standin.dev("POST", "settings", {"nothing": 1})


# ---- peers ----

def test_a_stub_peer(standin: Standin) -> None:
    agent = standin.dev("POST", "agents", {"name": "peer"})
    caller, target = standin.create("caller"), standin.create("target")
    standin.call("POST", "/registry/register", {"id": target.id, "url": agent["url"],
                                                "agent_card": {}}, token=target.token)

    def send(text: str, message_id: str) -> Any:
        return standin.call("POST", f"/workspaces/{target.id}/a2a", message(text, message_id),
                            token=caller.token, headers={"X-Workspace-ID": caller.id})

    assert send("hi", "m-1").json()["result"]["parts"][0]["text"] == "echo: hi"
    [seen] = standin.dev("GET", "agents/peer/received?wait_ms=1000")["received"]
    assert seen["json"]["params"]["message"]["messageId"] == "m-1"
    assert seen["headers"]["content-type"] == "application/json"

    standin.dev("POST", "agents/peer", {"mode": ["hang_up", {"status": 500, "json": {
        "error": "no"}}, "break_off", {"body": "text", "headers": {"X-A": "1"}}]})
    assert [send("x", f"m-{n}").status for n in range(2, 6)] == [202, 500, 502, 200]
    standin.dev("DELETE", "agents/peer/received")
    assert standin.dev("GET", "agents/peer")["received"] == 0
    for mode in ("nonsense", {"colour": 1}, []):
        with pytest.raises(DevError, match=": 400 "):
            standin.dev("POST", "agents/peer", {"mode": mode})
    standin.dev("DELETE", "agents/peer")
    assert send("gone", "m-6").status == 502


def test_a_stub_peer_that_redirects_is_slow_or_resets(standin: Standin) -> None:
    agent = standin.dev("POST", "agents", {"name": "odd", "mode": [
        {"redirect": "http://localhost:9/elsewhere"}, {"json": "echo", "delay_ms": 200},
        "reset"]})
    call = {"port": agent["port"], "body": message("x")}
    reply = standin.call("POST", "/in", **call)
    assert (reply.status, reply.headers["Location"]) == (302, "http://localhost:9/elsewhere")
    began = time.monotonic()
    assert standin.call("POST", "/in", **call).status == 200
    assert time.monotonic() - began >= 0.2
    with pytest.raises(ConnectionError):
        standin.call("POST", "/in", **call)
    standin.dev("DELETE", "agents/odd")


def test_events_reach_who_listens(standin: Standin) -> None:
    workspace = standin.create()
    with socket.create_connection(("127.0.0.1", standin.port), WAIT_S) as sock:
        sock.sendall(f"GET /workspaces/{workspace.id}/events/stream HTTP/1.1\r\nHost: x\r\n"
                     f"Authorization: Bearer {workspace.token}\r\n\r\n".encode())
        data = b""
        while b": ping\n\n" not in data:
            data += sock.recv(65536)
        standin.dev("POST", f"workspaces/{workspace.id}/activity", {"summary": "wake up"})
        while b"wake up" not in data:
            data += sock.recv(65536)
    assert b'"type":"ACTIVITY_LOGGED"' in data


# ---- TLS ----

@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Standin, Path]]:
    folder = tmp_path_factory.mktemp("tls") / "new"
    with Standin.start("--tls", str(folder)) as standin:
        yield standin, folder / "ca.pem"


def shake_hands(port: int, authority: Path, name: str = "localhost") -> str:
    """What a careful client makes of a port: the protocol, or why not."""
    context = ssl.create_default_context(cafile=str(authority))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", port), WAIT_S) as sock:
        try:
            with context.wrap_socket(sock, server_hostname=name) as wrapped:
                return str(wrapped.version())
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        except ssl.SSLError as error:
            return str(error)
        except (ConnectionError, EOFError):
            return "closed"


def test_https_with_an_authority_of_its_own(secure: tuple[Standin, Path]) -> None:
    standin, authority = secure
    assert standin.url.startswith("https://127.0.0.1:")
    for name in ("localhost", "127.0.0.1"):
        assert shake_hands(standin.port, authority, name).startswith("TLSv1.")
    context = ssl.create_default_context(cafile=str(authority))
    with socket.create_connection(("127.0.0.1", standin.port), WAIT_S) as sock, \
            context.wrap_socket(sock, server_hostname="localhost") as wrapped:
        wrapped.sendall(b"POST /workspaces HTTP/1.1\r\nHost: h:1\r\nAuthorization: Bearer "
                        + ADMIN_TOKEN.encode() + b"\r\nContent-Length: 33\r\n\r\n"
                        b'{"name":"n","runtime":"external"}')
        assert b'"platform_url":"https://h:1"' in wrapped.recv(65536)
    assert standin.requests(path="/workspaces")[0]["tls"] is True


@pytest.mark.parametrize(("kind", "verdict"), [
    ("tls", "TLSv1."), ("expired", "certificate has expired"),
    ("not_yet_valid", "certificate is not yet valid"), ("wrong_host", "Hostname mismatch"),
    ("self_signed", "self-signed certificate"),
    ("unknown_ca", "unable to get local issuer certificate"),
    ("tls11", "protocol"), ("handshake_cut", "EOF"),
    ("not_tls", "WRONG_VERSION_NUMBER")])
def test_a_certificate_that_a_careful_client_refuses(secure: tuple[Standin, Path], kind: str,
                                                     verdict: str) -> None:
    standin, authority = secure
    since = standin.last()
    opened = standin.dev("POST", "listen", {"kind": kind})
    seen = shake_hands(urllib.parse.urlsplit(opened["url"]).port or 0, authority)
    assert verdict in seen
    assert standin.requests(since=since) == []
    standin.dev("DELETE", f"listen/{opened['port']}")


def test_a_handshake_that_is_never_answered(secure: tuple[Standin, Path]) -> None:
    standin, authority = secure
    opened = standin.dev("POST", "listen", {"kind": "handshake_hang"})
    context = ssl.create_default_context(cafile=str(authority))
    with socket.create_connection(("127.0.0.1", opened["port"]), 0.3) as sock:
        with pytest.raises(TimeoutError):
            context.wrap_socket(sock, server_hostname="localhost")


def test_certificates_need_a_folder(standin: Standin) -> None:
    for kind in ("expired", "nonsense"):
        with pytest.raises(DevError, match=": 400 "):
            standin.dev("POST", "listen", {"kind": kind})
