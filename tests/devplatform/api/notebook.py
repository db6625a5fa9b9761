# SPDX-License-Identifier: MIT
"""Small things an agent may keep or ask for: approvals, config, checkpoints, and the like."""

from __future__ import annotations

import datetime
from typing import Any

from .. import auth
from ..gojson import ABSENT, BadBody, Fields, decode
from ..model import new_id, rfc3339
from ..router import Call, Refused, route
from ..wire import Response, json_response

APPROVALS_LISTED = 50
APPROVAL_EXPIRES_S = 600
CONFIG_MAX = 256 << 10

NO_CONTAINER = "workspace container not running"


# ---- approvals ----

@route("POST", "/workspaces/:id/approvals", gate=auth.workspace)
def ask(call: Call) -> Response:
    fields = call.fields()
    row = {"id": new_id(), "action": fields.string("action", required=True),
           "reason": fields.text("reason"), "task_id": fields.string("task_id"),
           "status": "pending", "created": call.platform.clock.now(), "decided_at": None,
           "decided_by": None}
    fields.mapping("context")   # stored, and never shown again
    call.store.check_text(row["action"], row["reason"], row["task_id"])
    call.store.rows("approvals", call.id)[row["id"]] = row
    call.platform.emit(call.id, "APPROVAL_REQUESTED", approval_id=row["id"],
                       action=row["action"])
    return json_response(201, {"approval_id": row["id"], "status": "pending"})


def _show_approval(row: dict[str, Any]) -> dict[str, Any]:
    value = {name: row[name] for name in ("id", "action", "reason", "task_id", "status",
                                          "decided_at", "decided_by")}
    return {**value, "created_at": rfc3339(row["created"])}


@route("GET", "/workspaces/:id/approvals", gate=auth.workspace)
def approvals(call: Call) -> Response:
    rows = list(call.store.rows("approvals", call.id).values())[::-1]
    return json_response(200, [_show_approval(row) for row in rows[:APPROVALS_LISTED]])


@route("GET", "/approvals/pending", gate=auth.admin)
def pending(call: Call) -> Response:
    """Looking also closes: what has waited for too long is denied now."""
    now, found = call.platform.clock.now(), []
    for table in call.store.tables("approvals"):
        for row in table.values():
            if row["status"] == "pending" and now - row["created"] > APPROVAL_EXPIRES_S:
                row.update(status="denied", decided_at=rfc3339(now), decided_by="timeout")
            if row["status"] == "pending":
                found.append(_show_approval(row))
    return json_response(200, found)


@route("POST", "/workspaces/:id/approvals/:approval/decide", gate=auth.workspace)
def decide(call: Call) -> Response:
    fields = call.fields()
    decision = fields.string("decision")
    if decision not in ("approved", "denied"):
        raise Refused(400, "decision must be 'approved' or 'denied'")
    row = call.store.rows("approvals", call.id).get(call.params["approval"])
    if row is None or row["status"] != "pending":
        raise Refused(404, "approval not found or already decided")
    row.update(status=decision, decided_at=rfc3339(call.platform.clock.now()),
               decided_by=fields.string("decided_by") or "human")
    call.platform.emit(call.id, f"APPROVAL_{decision.upper()}", approval_id=row["id"])
    return json_response(200, {"status": decision, "approval_id": row["id"]})


# ---- config ----

@route("GET", "/workspaces/:id/config", gate=auth.workspace)
def config(call: Call) -> Response:
    return json_response(200, {"data": call.store.rows("config", call.id)})


@route("PATCH", "/workspaces/:id/config", gate=auth.workspace)
def change_config(call: Call) -> Response:
    if len(call.request.body) > CONFIG_MAX:
        raise Refused(413, "config too large")
    value = decode(call.request.body)
    if not isinstance(value, dict):
        raise BadBody("not an object")
    call.store.check_text(value)
    call.store.rows("config", call.id).update(value)
    return json_response(200, {"status": "updated"})


# ---- checkpoints ----

@route("POST", "/workspaces/:id/checkpoints", gate=auth.workspace)
def save_checkpoint(call: Call) -> Response:
    fields = call.fields()
    payload = fields.raw("payload")
    row = {"id": new_id(), "workspace_id": call.id,
           "workflow_id": fields.string("workflow_id", required=True),
           "step_name": fields.string("step_name", required=True),
           "step_index": fields.integer("step_index"),
           "completed_at": rfc3339(call.platform.clock.now()),
           "payload": None if payload is ABSENT else payload}
    table = call.store.rows("checkpoints", call.id)
    # One row for each step of a workflow; the latest counts.
    for key in [key for key, old in table.items() if old["workflow_id"] == row["workflow_id"]
                and old["step_index"] == row["step_index"]]:
        del table[key]
    table[row["id"]] = row
    return json_response(201, {name: row[name] for name in ("id", "workspace_id", "workflow_id",
                                                            "step_name")})


@route("GET", "/workspaces/:id/checkpoints/latest", gate=auth.workspace)
def latest_checkpoint(call: Call) -> Response:
    rows = list(call.store.rows("checkpoints", call.id).values())
    if not rows:
        raise Refused(404, "no checkpoints found for workspace")
    return json_response(200, rows[-1])


def _of_workflow(call: Call) -> list[dict[str, Any]]:
    return [row for row in call.store.rows("checkpoints", call.id).values()
            if row["workflow_id"] == call.params["workflow"]]


@route("GET", "/workspaces/:id/checkpoints/:workflow", gate=auth.workspace)
def checkpoints(call: Call) -> Response:
    found = _of_workflow(call)
    if not found:
        raise Refused(404, "no checkpoints found for workflow")
    return json_response(200, sorted(found, key=lambda row: row["step_index"], reverse=True))


@route("DELETE", "/workspaces/:id/checkpoints/:workflow", gate=auth.workspace)
def delete_checkpoints(call: Call) -> Response:
    found = _of_workflow(call)
    for row in found:
        del call.store.rows("checkpoints", call.id)[row["id"]]
    return json_response(200, {"deleted": len(found), "workflow_id": call.params["workflow"]})


# ---- instructions ----

@route("GET", "/workspaces/:id/instructions/resolve", gate=auth.workspace)
def instructions(call: Call) -> Response:
    texts = [row["content"] for row in call.store.rows("instructions", "").values()]
    return json_response(200, {"workspace_id": call.id, "instructions": "\n\n".join(texts)})


@route("POST", "/instructions", gate=auth.admin)
def add_instruction(call: Call) -> Response:
    fields: Fields = call.fields()
    row = {"id": new_id(), "title": fields.string("title"),
           "content": fields.string("content", required=True)}
    call.store.rows("instructions", "")[row["id"]] = row
    return json_response(201, row)


@route("GET", "/instructions", gate=auth.admin)
def list_instructions(call: Call) -> Response:
    return json_response(200, list(call.store.rows("instructions", "").values()))


@route("DELETE", "/instructions/:instruction", gate=auth.admin)
def delete_instruction(call: Call) -> Response:
    if call.store.rows("instructions", "").pop(call.params["instruction"], None) is None:
        raise Refused(404, "instruction not found")
    return json_response(200, {"status": "deleted"})


# ---- what is always empty here ----

@route("GET", "/workspaces/:id/metrics", gate=auth.workspace)
def usage(call: Call) -> Response:
    now = datetime.datetime.fromtimestamp(call.platform.clock.now(), datetime.timezone.utc)
    start = now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    return json_response(200, {"input_tokens": 0, "output_tokens": 0, "total_calls": 0,
                               "estimated_cost_usd": "0.000000",
                               "period_start": rfc3339(start),
                               "period_end": rfc3339(start + 86400)})


@route("GET", "/workspaces/:id/schedules", gate=auth.workspace)
@route("GET", "/workspaces/:id/traces", gate=auth.workspace)
@route("GET", "/workspaces/:id/shared-context", gate=auth.workspace)
def nothing(call: Call) -> Response:
    return json_response(200, [])


@route("GET", "/workspaces/:id/audit", gate=auth.workspace)
def audit(call: Call) -> Response:
    return json_response(200, {"chain_valid": None, "events": None, "total": 0})


@route("GET", "/workspaces/:id/transcript", gate=auth.workspace)
def transcript(call: Call) -> Response:
    raise Refused(404, "workspace not found")


@route("POST", "/workspaces/:id/chat/uploads", gate=auth.workspace)
@route("GET", "/workspaces/:id/chat/download", gate=auth.workspace)
def files(call: Call) -> Response:
    raise Refused(503, NO_CONTAINER)
