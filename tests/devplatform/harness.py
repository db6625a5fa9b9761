# SPDX-License-Identifier: MIT
"""For tests: a stand-in in a process of its own, and the calls that look behind it.

    with Standin.start(settings="stale_after_s=5") as platform:
        workspace = platform.create("scout")
        platform.fault(endpoint="heartbeat", status=503, times=2)
        ...
        platform.wait_requests(endpoint="heartbeat", count=3)
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import signal
import subprocess
import sys
import urllib.parse
from pathlib import Path
from types import TracebackType
from typing import Any

PROGRAM = Path(__file__).resolve().parents[2] / "tools" / "devplatform"
ADMIN_TOKEN = "harness-admin-token"
TIMEOUT_S = 30.0


@dataclasses.dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def exchange(connection: http.client.HTTPConnection, method: str, path: str, body: Any,
             headers: dict[str, str], token: str) -> Reply:
    """One request, with which the connection ends."""
    if token:
        headers = {**headers, "Authorization": f"Bearer {token}"}
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        return Reply(response.status, response.headers, response.read())
    finally:
        connection.close()


@dataclasses.dataclass
class Created:
    """A workspace as its operator knows it."""

    id: str
    token: str


class DevError(Exception):
    """A /_dev/ call was refused."""


class Standin:
    def __init__(self, process: subprocess.Popen[str], url: str, admin_token: str):
        self.process = process
        self.url = url
        self.admin_token = admin_token
        parts = urllib.parse.urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 0
        self.control = self.port    # where /_dev/ calls go

    @staticmethod
    def command(*arguments: str, settings: str = "", generation: str = "2026-04") -> list[str]:
        """Without a rate limit, unless settings asks for one."""
        if "rate_limit" not in settings:
            settings = ",".join(filter(None, (settings, "rate_limit=0")))
        return [sys.executable, str(PROGRAM), "--stdin", "--admin-token", ADMIN_TOKEN,
                "--generation", generation, "--settings", settings, *arguments]

    @classmethod
    def start(cls, *arguments: str, settings: str = "", generation: str = "2026-04") -> Standin:
        process = subprocess.Popen(cls.command(*arguments, settings=settings,
                                               generation=generation),
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError(f"the stand-in has not started (status {process.wait()})")
        standin = cls(process, url, ADMIN_TOKEN)
        if "--tls" in arguments:
            # The main port speaks TLS; a plain one is for us.
            standin.control = int(process.stdout.readline().rpartition(":")[2])
        return standin

    def stop(self) -> int:
        """The exit status. One that does not end shows on stderr where it hangs, and is aborted."""
        self.process.terminate()
        try:
            return self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait()
            raise
        finally:
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe:
                    pipe.close()

    def __enter__(self) -> Standin:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        status = self.stop()
        if status != 0 and error is None:
            raise RuntimeError(f"the stand-in has ended with status {status}")

    # ---- calls ----

    def call(self, method: str, path: str, body: Any = None, *, token: str = "",
             headers: dict[str, str] | None = None, port: int = 0) -> Reply:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection(self.host, port or self.control,
                                                timeout=TIMEOUT_S)
        return exchange(connection, method, path, body, headers or {}, token)

    def dev(self, method: str, path: str, body: Any = None) -> Any:
        reply = self.call(method, f"/_dev/{path}", body)
        if reply.status >= 400:
            raise DevError(f"{method} /_dev/{path}: {reply.status} {reply.body.decode()}")
        return reply.json()

    def create(self, name: str = "agent", **members: Any) -> Created:
        """An external workspace with its token."""
        reply = self.call("POST", "/workspaces", {"name": name, "runtime": "external",
                                                  **members}, token=self.admin_token)
        value = reply.json()
        return Created(value["id"], value.get("connection", {}).get("auth_token", ""))

    # ---- behind the scenes ----

    def fault(self, **rule: Any) -> int:
        """Add a fault; returns its id."""
        return self.dev("POST", "faults", rule)["id"]

    def clear_faults(self) -> None:
        self.dev("DELETE", "faults")

    def requests(self, **query: Any) -> list[dict[str, Any]]:
        return self.dev("GET", "requests?" + urllib.parse.urlencode(query))["requests"]

    def wait_requests(self, *, count: int = 1, wait_ms: int = 10_000,
                      **query: Any) -> list[dict[str, Any]]:
        """Until so many requests that match have been answered."""
        found = self.requests(count=count, wait_ms=wait_ms, **query)
        if len(found) < count:
            raise AssertionError(f"only {len(found)} of {count} requests have come: {query}")
        return found

    def last(self) -> int:
        """The number of the latest request, for since."""
        return self.dev("GET", "requests?since=999999999999")["last"]

    def wait_workspace(self, workspace: str, field: str, *values: Any,
                       timeout_ms: int = 10_000) -> dict[str, Any]:
        return self.dev("POST", "wait", {"workspace": workspace, "field": field,
                                         "values": list(values), "timeout_ms": timeout_ms})

    def workspace(self, identifier: str) -> dict[str, Any]:
        return self.dev("GET", f"workspaces/{identifier}")
