# SPDX-License-Identifier: MIT
"""The activity log, and messages from an agent to its user."""

from __future__ import annotations

import datetime
from typing import Any

from .. import auth
from ..gojson import ABSENT, Fields
from ..model import Activity, canonical, rfc3339
from ..router import Call, Refused, route
from ..store import StoreError
from ..wire import Response, json_response

TYPES = ("a2a_send", "a2a_receive", "task_update", "agent_log", "skill_promotion",
         "memory_write", "error")
SUMMARY_MAX = 200
SINCE_MAX_S = 30 * 24 * 3600


# ---- reading ----

@route("GET", "/workspaces/:id/activity", gate=auth.workspace)
def read(call: Call) -> Response:
    source, kind = call.argument("source"), call.argument("type")
    if source not in ("", "canvas", "agent"):
        raise Refused(400, "source must be 'canvas' or 'agent'")
    rows = [row for row in call.store.activity(call.id)
            if (not kind or row.activity_type == kind)
            and (not source or (row.source_id is None) == (source == "canvas"))]
    limit = call.limit(100, 500)
    later = call.platform.options.later
    if later:
        rows = _narrowed(call, rows)
    if later and call.argument("since_id"):
        page = _after(call, rows, call.argument("since_id"))[:limit]
    else:
        page = rows[::-1][:limit]
    return json_response(200, [_show(call, row) for row in page])


def _show(call: Call, row: Activity) -> dict[str, Any]:
    value: dict[str, Any] = {
        "id": row.id, "workspace_id": row.workspace_id, "activity_type": row.activity_type,
        "source_id": row.source_id, "target_id": row.target_id, "method": row.method,
        "summary": row.summary, "duration_ms": row.duration_ms, "status": row.status,
        "error_detail": row.error_detail, "created_at": rfc3339(row.created_at)}
    if row.request_body is not None:
        value["request_body"] = row.request_body
    if row.response_body is not None:
        value["response_body"] = row.response_body
    if call.platform.options.later:
        value["seq"] = row.seq
        if call.argument("include") == "peer_info" and row.source_id:
            peer = call.store.find(row.source_id)
            if peer:
                value["peer_name"], value["peer_role"] = peer.name, peer.role
    return value


# The later generation has cursors; this one ignores them all.

def _narrowed(call: Call, rows: list[Activity]) -> list[Activity]:
    if call.argument("since_secs"):
        horizon = call.platform.clock.now() - _since_secs(call.argument("since_secs"))
        rows = [row for row in rows if row.created_at >= horizon]
    peer = call.argument("peer_id")
    if peer:
        if canonical(peer) is None:
            raise Refused(400, "peer_id must be a UUID")
        rows = [row for row in rows if peer.lower() in (row.source_id, row.target_id)]
    if call.argument("before_ts"):
        horizon = _timestamp(call.argument("before_ts"))
        rows = [row for row in rows if row.created_at < horizon]
    return rows


def _since_secs(text: str) -> int:
    value = int(text) if text.isascii() and text.isdigit() else 0
    if value <= 0:
        raise Refused(400, "since_secs must be a positive integer")
    return min(value, SINCE_MAX_S)


def _timestamp(text: str) -> float:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise Refused(400, "before_ts must be an RFC 3339 timestamp") from None
    if moment.tzinfo is None:
        raise Refused(400, "before_ts must be an RFC 3339 timestamp")
    return moment.timestamp()


def _after(call: Call, rows: list[Activity], cursor: str) -> list[Activity]:
    """Strictly after the cursor, oldest first; a cursor that is gone is a 410."""
    for row in call.store.activity(call.id):
        if row.id == cursor.lower():
            return [entry for entry in rows if entry.seq > row.seq]
    raise Refused(410, "since_id is unknown or has expired; omit it to start over")


# ---- writing ----

@route("POST", "/workspaces/:id/activity", gate=auth.workspace)
def write(call: Call) -> Response:
    fields = call.fields()
    kind = fields.string("activity_type", required=True)
    columns = _columns(fields)
    if kind not in TYPES:
        raise Refused(400, f"invalid activity_type, must be one of: {', '.join(TYPES)}")
    source = fields.string("source_id")
    if source and source != call.id:
        raise Refused(403, "source_id must match authenticated workspace")
    try:
        call.platform.log_activity(call.id, kind, source_id=call.id, **columns)
    except StoreError:
        pass    # it says logged all the same
    return json_response(200, {"status": "logged"})


def _columns(fields: Fields) -> dict[str, Any]:
    def raw(name: str) -> Any:
        value = fields.raw(name)
        return None if value is ABSENT else value

    request = raw("request_body")
    return {
        "method": fields.text("method"), "summary": fields.text("summary"),
        "target_id": fields.text("target_id") or None,
        "status": fields.string("status") or "ok", "error_detail": fields.text("error_detail"),
        "duration_ms": fields.whole("duration_ms"),
        "request_body": raw("metadata") if request is None else request,
        "response_body": raw("response_body")}


@route("POST", "/workspaces/:id/notify", gate=auth.workspace, bad="message is required",
       outage="failed to send message")
def notify(call: Call) -> Response:
    fields = call.fields()
    message = fields.string("message", required=True)
    attachments = [_attachment(index, item)
                   for index, item in enumerate(fields.array("attachments") or [])]
    row = call.store.find(call.id)
    if row is None or row.removed:
        raise Refused(404, "workspace not found")
    response: dict[str, Any] = {"result": message}
    if attachments:
        response["parts"] = [{"kind": "file", "file": item} for item in attachments]
    call.platform.emit(row.id, "AGENT_MESSAGE", message=message, name=row.name,
                       workspace_id=row.id, attachments=attachments)
    call.platform.log_activity(row.id, "a2a_receive", method="notify",
                               summary=f"Agent message: {message}"[:SUMMARY_MAX],
                               response_body=response)
    return json_response(200, {"status": "sent"})


def _attachment(index: int, item: Any) -> dict[str, Any]:
    fields = Fields(item)
    value: dict[str, Any] = {"uri": fields.string("uri"), "name": fields.string("name")}
    if not value["uri"] or not value["name"]:
        raise Refused(400, f"attachment[{index}]: uri and name are required")
    if fields.string("mimetype"):
        value["mimeType"] = fields.string("mimetype")
    if fields.integer("size"):
        value["size"] = fields.integer("size")
    return value


@route("GET", "/workspaces/:id/session-search", gate=auth.workspace)
def search(call: Call) -> Response:
    wanted, limit = call.argument("q").lower(), call.limit(50, 200)
    found: list[dict[str, Any]] = []
    for row in call.store.activity(call.id)[::-1]:
        text = row.summary or ""
        if wanted in text.lower():
            found.append({"kind": "activity", "id": row.id, "workspace_id": call.id,
                          "label": row.activity_type, "content": text, "method": row.method,
                          "status": row.status, "created_at": rfc3339(row.created_at)})
    for memory in list(call.store.rows("memories", call.id).values())[::-1]:
        if wanted in memory["content"].lower():
            found.append({"kind": "memory", "id": memory["id"], "workspace_id": call.id,
                          "label": memory["scope"], "content": memory["content"],
                          "method": "", "status": "", "created_at": memory["created_at"]})
    return json_response(200, found[:limit])
