# SPDX-License-Identifier: MIT
"""The platform, as its operator sees it: through its public HTTP API.

Dev is for what no real platform offers: faults, recorded requests, settings.
"""

from __future__ import annotations

import dataclasses
import http.client
import shutil
import ssl
import sys
import tempfile
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from devplatform.harness import Reply, Standin, exchange  # noqa: E402

PATIENCE_S = 20.0
CANARY_MIN = 8      # a shorter value may turn up in a log by chance


@dataclasses.dataclass
class Workspace:
    """A workspace and the token that its operator was given; "" if there was none."""

    id: str
    name: str
    token: str
    platform: Platform


class Platform:
    """Start one, or use the one at a given URL.

    canaries: every token and secret that has been seen; none may turn up in a log.
    headers: go with every request, as for a platform of an organisation.
    """

    def __init__(self, url: str, admin_token: str, standin: Standin | None = None,
                 ca_file: Path | None = None, plugins: Path | None = None):
        self.url, self.admin_token, self.ca_file = url, admin_token, ca_file
        self.standin = standin
        self.canaries: set[str] = {admin_token}
        self.created: list[Workspace] = []
        self.headers: dict[str, str] = {}
        self._plugins = plugins
        self._dev = Dev(self, standin) if standin else None

    @classmethod
    def start(cls, settings: str = "", generation: str = "2026-04",
              tls: Path | None = None) -> Platform:
        """A stand-in; ca_file is what to trust if tls names a folder for its certificates."""
        plugins = Path(tempfile.mkdtemp(prefix="molecule-plugins-"))
        arguments = ("--tls", str(tls)) if tls else ()
        standin = Standin.start(*arguments, "--plugins", str(plugins), settings=settings,
                                generation=generation)
        platform = cls(standin.url, standin.admin_token, standin, tls / "ca.pem" if tls else None,
                       plugins)
        org = dict(part.split("=", 1) for part in settings.split(",") if part).get("org_id")
        if org:
            platform.headers["X-Molecule-Org-Id"] = org
        return platform

    def stop(self) -> None:
        if self.standin:
            assert self._plugins
            shutil.rmtree(self._plugins)
            assert self.standin.stop() == 0, "the stand-in has failed"

    @property
    def dev(self) -> Dev:
        assert self._dev, "a test that uses /_dev/ must be marked dev_platform"
        return self._dev

    # ---- requests ----

    def call(self, method: str, path: str, body: Any = None, *, token: str = "",
             headers: dict[str, str] | None = None) -> Reply:
        """One request, on a connection of its own."""
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.netloc, timeout=PATIENCE_S,
                context=ssl.create_default_context(cafile=self.ca_file))
        else:
            connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE_S)
        sent = {**self.headers, "Content-Type": "application/json", **(headers or {})}
        return exchange(connection, method, parts.path.rstrip("/") + path, body, sent, token)

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """As the operator; anything but success fails the test."""
        reply = self.call(method, path, body, token=self.admin_token)
        assert reply.status < 300, f"{method} {path}: {reply.status} {reply.body!r}"
        return reply.json() if reply.body else None

    def wait_for_room(self, requests: int = 150) -> None:
        """Until the platform's rate limit, which all who test here share, leaves so many."""
        limits = self.call("GET", "/health").headers
        left, reset = limits.get("X-RateLimit-Remaining"), limits.get("X-RateLimit-Reset")
        if left and reset and left.isdigit() and reset.isdigit() and int(left) < requests:
            time.sleep(min(int(reset) + 1, 61))     # nothing but time brings more

    # ---- workspaces ----

    def create(self, name: str = "scout", token: bool = True, **members: Any) -> Workspace:
        """An external workspace. Without token: it has none that lives, so it may register."""
        value = self.admin("POST", "/workspaces",
                           {"name": name, "runtime": "external", "external": True, **members})
        text = value.get("connection", {}).get("auth_token", "")
        workspace = Workspace(value["id"], name, text, self)
        self.created.append(workspace)
        if text:
            self.canaries.add(text)
        if token and not text:
            workspace.token = self.mint(workspace)
        if not token:
            self.revoke_all(workspace)
            workspace.token = ""
        return workspace

    def unborn(self, name: str = "scout") -> Workspace:
        """An id that the platform has never heard of; a register creates it."""
        workspace = Workspace(str(uuid.uuid4()), name, "", self)
        self.created.append(workspace)
        return workspace

    def register(self, workspace: Workspace, url: str) -> None:
        """As the agent at that URL would."""
        reply = self.call("POST", "/registry/register",
                          {"id": workspace.id, "url": url, "agent_card": {"name": workspace.name}},
                          token=workspace.token)
        assert reply.status == 200, reply.body

    def show(self, workspace: Workspace) -> dict[str, Any]:
        """As anybody may see it."""
        reply = self.call("GET", f"/workspaces/{workspace.id}")
        assert reply.status == 200, reply.body
        return reply.json()

    def status(self, workspace: Workspace) -> str:
        return self.show(workspace)["status"]

    def pause(self, workspace: Workspace) -> None:
        self.admin("POST", f"/workspaces/{workspace.id}/pause")

    def resume(self, workspace: Workspace) -> None:
        self.admin("POST", f"/workspaces/{workspace.id}/resume")

    def delete(self, workspace: Workspace, purge: bool = False) -> None:
        self.admin("DELETE", f"/workspaces/{workspace.id}?confirm=true"
                   + ("&purge=true" if purge else ""))

    def forget_created(self) -> None:
        """Takes everything that the test has made off the platform."""
        while self.created:
            self.call("DELETE", f"/workspaces/{self.created.pop().id}?confirm=true&purge=true",
                      token=self.admin_token)

    # ---- tokens ----

    def mint(self, workspace: Workspace) -> str:
        token = self.admin("POST", f"/workspaces/{workspace.id}/tokens")["auth_token"]
        self.canaries.add(token)
        return token

    def tokens(self, workspace: Workspace) -> list[dict[str, Any]]:
        """Those that live: id and prefix."""
        return self.admin("GET", f"/workspaces/{workspace.id}/tokens")["tokens"]

    def revoke(self, workspace: Workspace, token: str) -> None:
        [found] = [row for row in self.tokens(workspace) if token.startswith(row["prefix"])]
        self.admin("DELETE", f"/workspaces/{workspace.id}/tokens/{found['id']}")

    def revoke_all(self, workspace: Workspace, but: str = "") -> None:
        for row in self.tokens(workspace):
            if not but or not but.startswith(row["prefix"]):
                self.admin("DELETE", f"/workspaces/{workspace.id}/tokens/{row['id']}")

    def accepts(self, workspace: Workspace, token: str) -> bool:
        return self.call("GET", f"/workspaces/{workspace.id}/state", token=token).status == 200

    # ---- secrets ----

    def set_secret(self, workspace: Workspace, key: str, value: str) -> None:
        if len(value) >= CANARY_MIN:
            self.canaries.add(value)
        self.admin("POST", f"/workspaces/{workspace.id}/secrets", {"key": key, "value": value})

    def delete_secret(self, workspace: Workspace, key: str) -> None:
        self.admin("DELETE", f"/workspaces/{workspace.id}/secrets/{urllib.parse.quote(key, '')}")


    # ---- plugins ----

    @property
    def plugins(self) -> Path:
        """The folder that a stand-in serves plugins from, one folder each."""
        assert self._plugins, "a test that publishes plugins must be marked dev_platform"
        return self._plugins

    def publish(self, name: str, files: dict[str, str | bytes | None] | None = None,
                version: str = "1.0.0", manifest: str | None = None) -> Path:
        """A local plugin, in place of the one of that name. Names that end in .sh can be run.

        Without manifest its plugin.yaml has name and version; "" leaves it out. A name
        with None is a folder.
        """
        folder = self.plugins / name
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir()
        text = f"name: {name}\nversion: {version}\n" if manifest is None else manifest
        wanted = {**({"plugin.yaml": text} if text else {}), **(files or {})}
        for path, content in wanted.items():
            target = folder / path
            if content is None:
                target.mkdir(parents=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
            target.chmod(0o755 if path.endswith(".sh") else 0o644)
        return folder

    def unpublish_all(self) -> None:
        if self._plugins:
            for folder in self._plugins.iterdir():
                shutil.rmtree(folder)

    def tarball(self, workspace: Workspace, name: str) -> bytes:
        """As an agent would get it."""
        reply = self.call("GET", f"/workspaces/{workspace.id}/plugins/{name}/download",
                          token=workspace.token)
        assert reply.status == 200, reply.body
        return reply.body


class Fault:
    """A rule of /_dev/faults. Goes with the test at the latest."""

    def __init__(self, dev: Dev, number: int):
        self.dev, self.number = dev, number

    @property
    def hits(self) -> int:
        return self.dev.call("GET", f"faults/{self.number}")["hits"]

    def release(self) -> None:
        """Lets go whoever hangs."""
        self.dev.call("POST", f"faults/{self.number}/release")

    def remove(self) -> None:
        """Whoever hangs is let go."""
        self.dev.call("DELETE", f"faults/{self.number}")


class Dev:
    """What lies behind the scenes of a stand-in: see tests/devplatform/README.md."""

    def __init__(self, platform: Platform, standin: Standin):
        self.platform, self.standin = platform, standin

    def call(self, method: str, path: str, body: Any = None) -> Any:
        return self.standin.dev(method, path, body)

    def reset(self) -> None:
        """No faults, no outage, no requests: for the next test."""
        self.call("DELETE", "outage")
        self.call("DELETE", "faults")
        self.call("DELETE", "requests")

    # ---- faults and outages ----

    def fault(self, endpoint: str = "any", workspace: Workspace | None = None,
              **rule: Any) -> Fault:
        if workspace:
            rule["workspace"] = workspace.id
        return Fault(self, self.call("POST", "faults", {"endpoint": endpoint, **rule})["id"])

    def clear_faults(self) -> None:
        self.call("DELETE", "faults")

    @contextmanager
    def down(self) -> Iterator[None]:
        """Nobody listens at the URL in this block. The calls of this class still work."""
        standin, usual = self.standin, self.standin.control
        standin.control = self.call("POST", "listen", {"kind": "plain"})["port"]
        self.call("POST", "outage", {"kind": "down"})
        try:
            yield
        finally:
            self.call("DELETE", "outage")
            aside, standin.control = standin.control, usual
            self.call("DELETE", f"listen/{aside}")

    @contextmanager
    def datastore_outage(self) -> Iterator[None]:
        """The platform answers, and knows nothing: 401, 500, 503."""
        self.call("POST", "outage", {})
        try:
            yield
        finally:
            self.call("DELETE", "outage")

    # ---- requests ----

    def mark(self) -> int:
        """The number of the latest request, for since."""
        return self.standin.last()

    def requests(self, workspace: Workspace | None = None, **query: Any) -> list[dict[str, Any]]:
        """What has come: endpoint, since, method, path, status, pending=1."""
        if workspace:
            query["workspace"] = workspace.id
        return self.standin.requests(**query)

    def wait(self, workspace: Workspace | None = None, count: int = 1, seconds: float = 10,
             **query: Any) -> list[dict[str, Any]]:
        """Until so many requests have come (with pending=1: are being held)."""
        found = self.requests(workspace, count=count, wait_ms=int(seconds * 1000), **query)
        assert len(found) >= count, f"only {len(found)} of {count} requests have come: {query}"
        return found

    def wait_held(self, workspace: Workspace | None = None, since: int = 0,
                  **query: Any) -> None:
        """Until a request hangs on a fault."""
        found = self.wait(workspace, since=since, **query)
        while not any(row["outcome"] == "hanging" for row in found):
            # What had come before the fault is answered only now.
            found = self.wait(workspace, since=since, count=len(found) + 1, **query)

    def none_within(self, seconds: float, workspace: Workspace | None = None,
                    **query: Any) -> None:
        """No such request comes in all that time: it ends early only if one does."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            # A call to the stand-in has a deadline of its own.
            found = self.requests(workspace, count=1, wait_ms=int(min(left, 10) * 1000), **query)
            assert not found, [(row["endpoint"], row["target"], row["status"]) for row in found]

    # ---- workspaces and settings ----

    def row(self, workspace: Workspace) -> dict[str, Any]:
        return self.call("GET", f"workspaces/{workspace.id}")

    def change(self, workspace: Workspace, **columns: Any) -> None:
        self.call("POST", f"workspaces/{workspace.id}", columns)

    def wait_row(self, workspace: Workspace, field: str, *values: Any) -> dict[str, Any]:
        return self.standin.wait_workspace(workspace.id, field, *values)

    def settings(self, **values: Any) -> None:
        self.call("POST", "settings", values)

    def listen(self, kind: str = "plain") -> str:
        """Another port of the same platform; its URL."""
        return self.call("POST", "listen", {"kind": kind})["url"]
