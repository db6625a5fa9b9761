# SPDX-License-Identifier: MIT
"""/workspaces: creating, showing, pausing, resuming, removing."""

from __future__ import annotations

from typing import Any

from .. import auth
from ..gojson import BadBody, Fields, plain_number
from ..model import (FORBIDDEN_IN_NAMES, NAME_MAX, ROLE_MAX, Workspace, canonical, new_id,
                     rfc3339)
from ..router import Call, Refused, route
from ..store import StoreError
from ..wire import Response, json_response

RUNTIME_MAX = 100


# ---- creating and showing ----

@route("POST", "/workspaces", gate=auth.admin, bad="invalid workspace payload",
       outage="failed to create workspace")
def create(call: Call) -> Response:
    fields = call.fields()
    row = _new_row(call, fields)
    url = fields.string("url")
    external = fields.boolean("external") or row.external
    if row.parent_id and call.store.find(row.parent_id) is None:
        raise StoreError("no such parent")
    later = call.platform.options.later
    row.url = url if external else ""
    if external and (url or later):
        row.runtime = "external"
        row.status = "online" if url else "awaiting_agent"
    call.store.insert(row)
    for key, value in (fields.mapping("secrets") or {}).items():
        call.store.set_secret(row.id, key, value)
    call.platform.emit(row.id, "WORKSPACE_PROVISIONING", name=row.name)
    if not external:
        return json_response(201, {"id": row.id, "status": row.status})
    if url:
        return json_response(201, {"id": row.id, "external": True, "status": "online"})
    return json_response(201, {"id": row.id, "external": True, "status": "awaiting_agent",
                               "connection": _connection(call, row)})


def _new_row(call: Call, fields: Fields) -> Workspace:
    now = call.platform.clock.now()
    runtime = fields.string("runtime") or "langgraph"
    tier = fields.integer("tier") or 3
    limit, tasks = fields.whole("budget_limit"), fields.integer("max_concurrent_tasks") or 1
    name, role = fields.string("name", required=True), fields.string("role")
    if len(runtime) > RUNTIME_MAX or bad_text(name, NAME_MAX) or bad_text(role, ROLE_MAX):
        raise Refused(400, "invalid workspace fields")
    return Workspace(new_id(), name, now, now, role=role or None, tier=tier, runtime=runtime,
                     parent_id=(fields.string("parent_id") or "").lower() or None,
                     budget_limit=limit, max_concurrent_tasks=tasks)


def bad_text(text: str, longest: int) -> bool:
    return len(text) > longest or not FORBIDDEN_IN_NAMES.isdisjoint(text)


def _connection(call: Call, row: Workspace) -> dict[str, str]:
    """What an operator hands to whoever starts the agent. The token is shown only here."""
    host = call.request.header("host")
    base = f"{'https' if call.request.secure else 'http'}://{host}"
    token = call.store.mint(row.id)[0]
    register = f"{base}/registry/register"
    return {
        "workspace_id": row.id, "platform_url": base, "auth_token": token,
        "registry_endpoint": register, "heartbeat_endpoint": f"{base}/registry/heartbeat",
        "curl_register_template": (
            f"curl -X POST {register} -H 'Authorization: Bearer {token}' "
            f"-H 'Content-Type: application/json' -d '{{\"id\":\"{row.id}\","
            f"\"url\":\"https://YOUR-AGENT/\",\"agent_card\":{{\"name\":\"YOUR-AGENT\"}}}}'"),
        "python_snippet": (
            "from molecule_agent import RemoteAgentClient\n"
            f"client = RemoteAgentClient(workspace_id={row.id!r}, platform_url={base!r})\n"),
    }


def _show(row: Workspace) -> dict[str, Any]:
    return {
        "id": row.id, "name": row.name, "role": row.role, "tier": row.tier,
        "status": row.status, "agent_card": row.agent_card, "url": row.url,
        "parent_id": row.parent_id, "active_tasks": row.active_tasks,
        "max_concurrent_tasks": row.max_concurrent_tasks,
        "last_error_rate": plain_number(row.last_error_rate),
        "uptime_seconds": row.uptime_seconds, "runtime": row.runtime,
        "x": plain_number(row.x), "y": plain_number(row.y), "collapsed": row.collapsed,
        "last_outbound_at": rfc3339(row.last_outbound_at) if row.last_outbound_at else None,
    }


@route("GET", "/workspaces", gate=auth.admin)
def list_all(call: Call) -> Response:
    return json_response(200, [
        {**_show(row), "current_task": row.current_task, "workspace_dir": row.workspace_dir,
         "last_sample_error": row.last_sample_error, "budget_limit": row.budget_limit,
         "monthly_spend": row.monthly_spend} for row in call.store.workspaces()])


@route("GET", "/workspaces/:id")
def show(call: Call) -> Response:
    if canonical(call.id) is None:
        raise Refused(400, "invalid workspace ID")
    row = call.store.find(call.id)
    if row is None:
        raise Refused(404, "workspace not found")
    gone = row.removed and call.argument("include_removed") != "true"
    if gone and call.platform.options.later:
        raise Refused(410, "workspace removed", id=row.id,
                      removed_at=rfc3339(row.removed_at or row.updated_at),
                      hint="this workspace was removed; create a new one to go on")
    return json_response(200, _show(row))


@route("GET", "/workspaces/:id/state", gate=auth.strictly_own)
def state(call: Call) -> Response:
    row = call.store.find(call.id)
    if row is None or row.removed:
        value = {"workspace_id": call.id, "deleted": True}
        if row is not None:
            value["status"] = "removed"
        return json_response(404, value)
    return json_response(200, {"workspace_id": row.id, "status": row.status,
                               "paused": row.status == "paused", "deleted": False})


@route("PATCH", "/workspaces/:id", gate=auth.workspace)
def change(call: Call) -> Response:
    fields = call.fields()
    for name, longest in (("name", NAME_MAX), ("role", ROLE_MAX)):
        if bad_text(fields.string(name), longest):
            raise Refused(400, f"{name} contains invalid characters")
    row = call.store.find(call.id)
    if row is None:
        raise Refused(404, "workspace not found")
    for name in ("name", "role", "runtime", "workspace_dir"):
        if fields.text(name) is not None:
            setattr(row, name, fields.string(name))
    for name in ("x", "y"):
        if fields.number(name) is not None:
            setattr(row, name, fields.number(name))
    if fields.whole("tier") is not None:
        row.tier = fields.integer("tier")
    if fields.has("collapsed"):
        row.collapsed = fields.boolean("collapsed")
    if fields.has("parent_id"):
        row.parent_id = fields.string("parent_id").lower() or None
    row.updated_at = call.platform.clock.now()
    restart = any(fields.has(name) for name in ("tier", "runtime", "workspace_dir"))
    return json_response(200, {"status": "updated", **({"needs_restart": True}
                                                       if restart else {})})


# ---- pausing and resuming ----

def _subtree(call: Call, row: Workspace) -> list[Workspace]:
    return [row, *call.store.descendants(row.id)]


@route("POST", "/workspaces/:id/pause", gate=auth.workspace, outage="failed to pause")
def pause(call: Call) -> Response:
    row = call.store.find(call.id)
    if row is None or row.status in ("paused", "removed"):
        raise Refused(404, "workspace not found or already paused")
    paused = [entry for entry in _subtree(call, row) if entry.status != "paused"]
    for entry in paused:
        entry.url, entry.presence_until = "", None
        call.platform.set_status(entry, "paused", "WORKSPACE_PAUSED")
    return json_response(200, {"status": "paused", "paused_count": len(paused)})


@route("POST", "/workspaces/:id/resume", gate=auth.workspace, outage="failed to resume")
def resume(call: Call) -> Response:
    row = call.store.find(call.id)
    if row is None or row.status != "paused":
        raise Refused(404, "workspace not found or not paused")
    for ancestor in call.store.ancestors(row):
        if ancestor.status == "paused":
            raise Refused(409, f'parent workspace "{ancestor.name}" is paused '
                               "\u2014 resume it first")
    resumed = [entry for entry in _subtree(call, row) if entry.status == "paused"]
    for entry in resumed:
        _provision(call, entry)
    return json_response(200, {"status": "provisioning", "resumed_count": len(resumed)})


@route("POST", "/workspaces/:id/restart", gate=auth.workspace, outage="failed to restart")
def restart(call: Call) -> Response:
    row = call.store.find(call.id)
    if row is None or row.removed:
        raise Refused(404, "workspace not found")
    row.url = ""
    _provision(call, row)
    return json_response(200, {"status": "provisioning", "config_dir": "existing-volume",
                               "reset_session": False})


def restart_container(call: Call, row: Workspace) -> None:
    """What a change of its secrets does to a workspace that is not external."""
    if not row.external and not row.removed:
        row.url = ""
        _provision(call, row)


def _provision(call: Call, row: Workspace) -> None:
    """There is no container to start, so this fails, a moment later."""
    platform = call.platform
    platform.set_status(row, "provisioning", "WORKSPACE_PROVISIONING")

    def fail() -> None:
        if row.status in ("provisioning", "online"):
            platform.set_status(row, "failed", "WORKSPACE_PROVISION_FAILED",
                                error="no configuration for this workspace")

    platform.later(platform.settings.resume_ms / 1000, fail)


@route("POST", "/workspaces/:id/hibernate", gate=auth.workspace)
def hibernate(call: Call) -> Response:
    """It says so; nothing happens."""
    row = call.store.find(call.id)
    if row is None or row.status not in ("online", "degraded"):
        raise Refused(404, "workspace not found or not in a hibernatable state "
                           "(must be online or degraded)")
    return json_response(200, {"status": "hibernated"})


# ---- removing ----

@route("DELETE", "/workspaces/:id", gate=auth.admin, outage="failed to delete workspace")
def delete(call: Call) -> Response:
    key = canonical(call.id)
    if key is None:
        raise Refused(400, "invalid workspace ID")
    children = call.store.children(key)
    if children and call.argument("confirm") != "true":
        return json_response(409, {
            "status": "confirmation_required", "children_count": len(children),
            "message": f"this workspace has {len(children)} child workspace(s); "
                       "use ?confirm=true to delete them too",
            "children": [{"id": child.id, "name": child.name} for child in children]})
    below = call.store.descendants(key)
    row = call.store.find(key)
    purge = call.argument("purge") == "true"
    for entry in ([row] if row else []) + below:
        _remove(call, entry)
        if purge:
            call.store.purge(entry.id)
    return json_response(200, {"status": "purged" if purge else "removed",
                               "cascade_deleted": len(below)})


def _remove(call: Call, row: Workspace) -> None:
    call.store.revoke_all(row.id)
    row.presence_until = None
    if not row.removed:
        row.removed_at = call.platform.clock.now()
        call.platform.set_status(row, "removed", "WORKSPACE_REMOVED")


# ---- budget ----

def _show_budget(row: Workspace) -> dict[str, Any]:
    left = None if row.budget_limit is None else row.budget_limit - row.monthly_spend
    return {"budget_limit": row.budget_limit, "monthly_spend": row.monthly_spend,
            "budget_remaining": left}


@route("GET", "/workspaces/:id/budget", gate=auth.workspace)
def budget(call: Call) -> Response:
    row = call.store.find(call.id)
    if row is None:
        raise Refused(404, "workspace not found")
    return json_response(200, _show_budget(row))


@route("PATCH", "/workspaces/:id/budget", gate=auth.admin)
def set_budget(call: Call) -> Response:
    fields = call.fields()
    if not fields.has("budget_limit"):
        raise BadBody("budget_limit is required")
    limit = fields.number("budget_limit")
    if limit is not None and limit < 0:
        raise Refused(400, "budget_limit must be >= 0")
    row = call.store.find(call.id)
    if row is None:
        raise Refused(404, "workspace not found")
    row.budget_limit = None if limit is None else int(limit)
    return json_response(200, _show_budget(row))
