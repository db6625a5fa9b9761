# SPDX-License-Identifier: MIT
"""What an agent remembers: keys with values, and scoped texts."""

from __future__ import annotations

import re
from typing import Any

from .. import auth
from ..gojson import ABSENT
from ..model import canonical, new_id, rfc3339
from ..router import Call, Refused, route
from ..store import StoreError
from ..wire import Response, json_response

SCOPES = ("LOCAL", "TEAM", "GLOBAL")
NAMESPACE_MAX = 50
LISTED_MAX = 50

#: What is struck out of a text before it is kept.
_CREDENTIALS = [re.compile(pattern) for pattern in (
    r"sk-[A-Za-z0-9_-]{16,}", r"\b[A-Z][A-Z0-9_]*_(?:TOKEN|KEY|SECRET)=\S+",
    r"Bearer\s+\S+", r"[A-Za-z0-9+/_-]{33,}={0,2}")]


# ---- keys and values ----

def _live(call: Call) -> dict[str, dict[str, Any]]:
    """The table, without what has expired."""
    table = call.store.rows("memory", call.id)
    now = call.platform.clock.now()
    for key in [key for key, row in table.items() if row["expires"] and row["expires"] <= now]:
        del table[key]
    return table


def _show(key: str, row: dict[str, Any]) -> dict[str, Any]:
    value = {"key": key, "value": row["value"], "version": row["version"],
             "updated_at": rfc3339(row["updated"])}
    if row["expires"]:
        value["expires_at"] = rfc3339(row["expires"])
    return value


@route("GET", "/workspaces/:id/memory", gate=auth.workspace)
def list_keys(call: Call) -> Response:
    table = _live(call)
    return json_response(200, [_show(key, table[key]) for key in sorted(table)])


@route("GET", "/workspaces/:id/memory/:key", gate=auth.workspace)
def read_key(call: Call) -> Response:
    row = _live(call).get(call.params["key"])
    if row is None:
        raise Refused(404, "key not found")
    return json_response(200, _show(call.params["key"], row))


@route("POST", "/workspaces/:id/memory", gate=auth.workspace, outage="failed to set memory")
def write_key(call: Call) -> Response:
    fields = call.fields()
    key, value = fields.string("key"), fields.raw("value")
    expected, ttl = fields.whole("if_match_version"), fields.integer("ttl_seconds")
    if not key:
        raise Refused(400, "key is required")
    if value is ABSENT:
        raise StoreError("no value")
    call.store.check_text(key, value)
    table = _live(call)
    current = table[key]["version"] if key in table else None
    if expected is not None and expected != (current or 0):
        missing = ": key does not exist" if current is None else ""
        raise Refused(409, f"if_match_version mismatch{missing}", expected_version=expected,
                      current_version=current)
    now = call.platform.clock.now()
    version = (current or 0) + 1
    table[key] = {"value": value, "version": version, "updated": now,
                  "expires": now + ttl if ttl > 0 else None}
    return json_response(200, {"status": "ok", "key": key, "version": version})


@route("DELETE", "/workspaces/:id/memory/:key", gate=auth.workspace)
def delete_key(call: Call) -> Response:
    _live(call).pop(call.params["key"], None)
    return json_response(200, {"status": "deleted"})


# ---- scoped texts ----

def redact(text: str) -> str:
    for pattern in _CREDENTIALS:
        text = pattern.sub("[REDACTED]", text)
    return text


def commit(call: Call, content: str, scope: str, namespace: str) -> dict[str, Any]:
    row = call.store.find(call.id)
    if scope == "GLOBAL" and row is not None and row.parent_id:
        raise Refused(403, "only root workspaces can write GLOBAL memories")
    memory = {"id": new_id(), "workspace_id": call.id, "content": redact(content),
              "scope": scope, "namespace": namespace,
              "created_at": rfc3339(call.platform.clock.now())}
    call.store.check_text(content, namespace)
    call.store.rows("memories", call.id)[memory["id"]] = memory
    return memory


@route("POST", "/workspaces/:id/memories", gate=auth.workspace,
       outage="failed to store memory")
def write_text(call: Call) -> Response:
    fields = call.fields()
    content = fields.string("content", required=True)
    scope = fields.string("scope", required=True)
    namespace = fields.string("namespace") or "general"
    if scope not in SCOPES:
        raise Refused(400, "scope must be LOCAL, TEAM, or GLOBAL")
    if len(namespace) > NAMESPACE_MAX:
        raise Refused(400, f"namespace must be <= {NAMESPACE_MAX} characters")
    memory = commit(call, content, scope, namespace)
    return json_response(201, {"id": memory["id"], "scope": scope, "namespace": namespace})


def recall(call: Call, scope: str, wanted: str, namespace: str) -> list[dict[str, Any]]:
    """Newest first: one's own, or with scope GLOBAL everybody's global ones."""
    tables = (call.store.tables("memories") if scope == "GLOBAL"
              else iter([call.store.rows("memories", call.id)]))
    found = [memory for table in tables for memory in table.values()
             if (not scope or memory["scope"] == scope)
             and (not namespace or memory["namespace"] == namespace)
             and wanted.lower() in memory["content"].lower()]
    return [_wrapped(memory) for memory in found[::-1]]


def _wrapped(memory: dict[str, Any]) -> dict[str, Any]:
    """Global texts say where they come from, so that they are not taken for one's own."""
    if memory["scope"] != "GLOBAL":
        return memory
    origin = f"[MEMORY id={memory['id']} scope=GLOBAL from={memory['workspace_id']}]: "
    return {**memory, "content": origin + memory["content"]}


@route("GET", "/workspaces/:id/memories", gate=auth.workspace)
def list_texts(call: Call) -> Response:
    found = recall(call, call.argument("scope"), call.argument("q"),
                   call.argument("namespace"))
    return json_response(200, found[:call.limit(LISTED_MAX, LISTED_MAX)])


@route("DELETE", "/workspaces/:id/memories/:memory", gate=auth.workspace,
       outage="delete failed")
def delete_text(call: Call) -> Response:
    if canonical(call.params["memory"]) is None:
        raise StoreError("not a UUID")
    if call.store.rows("memories", call.id).pop(call.params["memory"], None) is None:
        raise Refused(404, "memory not found or not owned by this workspace")
    return json_response(200, {"status": "deleted"})
