# SPDX-License-Identifier: MIT
"""Plugins: what there is, downloads, and the installation that wants a container."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from .. import archive, auth
from ..router import Call, Refused, route
from ..wire import Response, json_response
from .notebook import NO_CONTAINER

PLUGIN_MAX = 100 << 20      # bytes of a plugin's files
SCHEMES = ["github", "local"]

_LOCAL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")


@dataclasses.dataclass
class Source:
    scheme: str
    spec: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.spec}"


# ---- finding a plugin ----

def _parse(text: str) -> Source:
    """A bare name, local://NAME, or github://OWNER/REPO#REF."""
    scheme, sign, spec = text.partition("://")
    if not sign:
        scheme, spec = "local", text
    if not spec:
        raise Refused(400, "invalid plugin source")
    if scheme not in SCHEMES:
        raise Refused(400, "failed to resolve plugin source", available_schemes=SCHEMES)
    source = Source(scheme, spec)
    if scheme == "github" and "#" not in spec:
        raise Refused(422, "unpinned github source: add #<tag or commit>", source=str(source))
    return source


def _stage(call: Call, source: Source) -> Path:
    """The plugin's folder, or a refusal."""
    failed = f"failed to fetch plugin from {source.scheme}"
    if source.scheme != "local" or not _LOCAL_NAME.fullmatch(source.spec):
        raise Refused(502, failed, source=str(source))
    root = call.platform.options.plugins
    folder = root / source.spec if root else None
    if folder is None or not folder.is_dir():
        raise Refused(404, failed, source=str(source))
    if any(path.is_symlink() and path.is_dir() for path in folder.rglob("*")):
        raise Refused(502, failed, source=str(source))
    if not _sum_holds(folder):
        raise Refused(422, "plugin manifest integrity check failed", source=str(source))
    return folder


def _sum_holds(folder: Path) -> bool:
    """Whether manifest.json, if it names a sum, names the right one."""
    try:
        expected = json.loads((folder / "manifest.json").read_bytes()).get("sha256")
    except FileNotFoundError:
        return True
    except (ValueError, AttributeError):
        return False
    if not expected:
        return True
    entries = sorted(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes()
                     for path in folder.rglob("*")
                     if path.is_file() and path != folder / "manifest.json")
    return hashlib.sha256(b"".join(entries)).hexdigest() == str(expected).lower()


# ---- downloads ----

@route("GET", "/workspaces/:id/plugins/:name/download", gate=auth.strictly_own, unlocked=True)
def download(call: Call) -> Response:
    name = call.params["name"]
    if "\\" in name or ".." in name:
        raise Refused(400, "invalid plugin name")
    source = _parse(call.argument("source") or name)
    resolved = source.spec.partition("#")[0].rpartition("/")[2]
    if source.scheme == "local" and resolved != name:
        raise Refused(400, "plugin name mismatch", resolved_name=resolved,
                      requested_name=name)
    folder = _stage(call, source)
    try:
        data = archive.pack(folder, PLUGIN_MAX)
    except archive.TooLarge:
        raise Refused(413, "staged plugin exceeds size limit", source=str(source)) from None
    except (archive.Unreadable, OSError):
        raise Refused(500, "failed to pack plugin") from None
    return Response(200, [
        ("Content-Type", "application/gzip"),
        ("Content-Disposition", f'attachment; filename="{name}.tar.gz"'),
        ("Content-Length", str(len(data))), ("X-Plugin-Name", name),
        ("X-Plugin-Source", str(source))], data)


# ---- what there is ----

def _manifest(folder: Path) -> dict[str, Any]:
    """The few members of plugin.yaml that are shown; YAML as far as plugins use it."""
    try:
        lines = (folder / "plugin.yaml").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    members: dict[str, Any] = {}
    key = ""
    for line in lines:
        item = re.match(r"\s+-\s*(.+)|-\s+(.+)", line)
        if item and key:
            members[key] = [*(members[key] or []), _scalar(item.group(1) or item.group(2))]
            continue
        pair = re.match(r"([A-Za-z_][\w-]*):\s*(.*)", line)
        if pair:
            key, text = pair.group(1), pair.group(2).strip()
            if text.startswith("["):
                members[key] = [_scalar(part) for part in text.strip("[]").split(",") if part]
            else:
                members[key] = _scalar(text) if text else None
    return members


def _scalar(text: str) -> str:
    return text.strip().strip("\"'")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _show(folder: Path) -> dict[str, Any]:
    found = _manifest(folder)
    lists = {name: found.get(name) if isinstance(found.get(name), list) else None
             for name in ("tags", "skills", "runtimes")}
    return {"name": folder.name, "version": _text(found.get("version")),
            "description": _text(found.get("description")),
            "author": _text(found.get("author")), **lists}


def _available(call: Call) -> list[dict[str, Any]]:
    root = call.platform.options.plugins
    if root is None:
        return []
    return [_show(folder) for folder in sorted(root.iterdir()) if folder.is_dir()]


def _suits(plugin: dict[str, Any], runtime: str) -> bool:
    """A plugin that names no runtimes suits all; - and _ are the same."""
    wanted = runtime.replace("-", "_")
    return not plugin["runtimes"] or wanted in [name.replace("-", "_")
                                                for name in plugin["runtimes"]]


@route("GET", "/plugins", unlocked=True)
def list_all(call: Call) -> Response:
    runtime = call.argument("runtime")
    return json_response(200, [plugin for plugin in _available(call)
                               if not runtime or _suits(plugin, runtime)])


@route("GET", "/workspaces/:id/plugins/available", gate=auth.workspace)
def list_suitable(call: Call) -> Response:
    row = call.store.find(call.id)
    return json_response(200, [plugin for plugin in _available(call)
                               if row is None or _suits(plugin, row.runtime)])


@route("GET", "/workspaces/:id/plugins/compatibility", gate=auth.workspace)
def compatibility(call: Call) -> Response:
    runtime = call.argument("runtime")
    if not runtime:
        raise Refused(400, "runtime is required")
    return json_response(200, {"target_runtime": runtime, "compatible": [],
                               "incompatible": [], "all_compatible": True})


@route("GET", "/plugins/sources", unlocked=True)
def sources(call: Call) -> Response:
    return json_response(200, {"schemes": SCHEMES})


# ---- installation ----

@route("GET", "/workspaces/:id/plugins", gate=auth.workspace)
def installed(call: Call) -> Response:
    return json_response(200, [])


@route("POST", "/workspaces/:id/plugins", gate=auth.workspace)
def install(call: Call) -> Response:
    fields = call.fields()
    text, expected = fields.string("source"), fields.string("sha256")
    if not text:
        raise Refused(400, "'source' is required (a name, local://name or github://...)")
    source = _parse(text)
    folder = _stage(call, source)
    if expected:
        manifest = folder / "plugin.yaml"
        actual = hashlib.sha256(manifest.read_bytes() if manifest.exists() else b"").hexdigest()
        if actual != expected.lower():
            raise Refused(422, f"sha256 mismatch: expected {expected}, got {actual}",
                          source=str(source))
    _check_allowlist(call, source)
    raise Refused(503, NO_CONTAINER)


def _check_allowlist(call: Call, source: Source) -> None:
    row = call.store.find(call.id)
    roots = [row, *call.store.ancestors(row)] if row else []
    allowed = call.store.rows("allowlist", roots[-1].id) if roots else {}
    if allowed and source.spec not in allowed:
        raise Refused(403, f'plugin "{source.spec}" is not in the org allowlist')


@route("DELETE", "/workspaces/:id/plugins/:name", gate=auth.workspace)
def remove(call: Call) -> Response:
    raise Refused(503, NO_CONTAINER)


@route("PUT", "/orgs/:id/plugins/allowlist", gate=auth.admin)
def set_allowlist(call: Call) -> Response:
    plugins = call.fields().array("plugins") or []
    table = call.store.rows("allowlist", call.id)
    table.clear()
    table.update(dict.fromkeys(plugins, True))
    return json_response(200, {"org_id": call.id, "plugins": sorted(table)})


@route("POST", "/workspaces/:id/plugin-install-report", gate=auth.workspace)
def report(call: Call) -> Response:
    """Later generation: an external agent tells what it has installed."""
    if not call.platform.options.later:
        return Response(404, [("Content-Type", "text/plain")], b"404 page not found")
    call.fields()
    return Response(204)
