# SPDX-License-Identifier: MIT
"""Tasks that the platform hands to a peer in the background.

A delegation is two rows of the source's activity log: the request (method
delegate) and, once there is one, the outcome (method delegate_result).
"""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import Any

from .. import auth, gojson
from ..model import Activity, canonical, new_id, rfc3339
from ..platform import Platform
from ..proxy import Outcome, QueueItem, message_of
from ..router import Call, Refused, route
from ..store import StoreError
from ..wire import Response, json_response

LISTED_MAX = 50
PREVIEW_MAX = 300       # bytes
SUMMARY_MAX = 80        # characters of a result in its summary

log = logging.getLogger("devplatform")


# ---- by the platform ----

@route("POST", "/workspaces/:id/delegate", gate=auth.workspace,
       bad="invalid delegation request", outage="failed to store delegation")
def delegate(call: Call) -> Response:
    fields = call.fields()
    target = fields.string("target_id", required=True)
    task = fields.string("task", required=True)
    key = fields.string("idempotency_key")
    if canonical(target) is None:
        raise Refused(400, "target_id must be a valid UUID")
    if target == call.id:
        raise Refused(400, "self-delegation not permitted")
    known = _known(call, key) if key else None
    if known is not None:
        return json_response(200, {"delegation_id": _delegation_id(known),
                                   "status": known.status, "target_id": known.target_id,
                                   "idempotent_hit": True})
    delegation_id = new_id()
    row = _log(call.platform, call.id, "delegate", target, delegation_id, "pending",
               summary=f"Delegating to {target}", idempotency_key=key,
               request_body={"task": task, "delegation_id": delegation_id})
    call.platform.emit(call.id, "DELEGATION_SENT", delegation_id=delegation_id,
                       target_id=target)
    threading.Thread(target=_deliver, args=(call.platform, row, task), daemon=True).start()
    return json_response(202, {"delegation_id": delegation_id, "status": "delegated",
                               "target_id": target})


def _known(call: Call, key: str) -> Activity | None:
    """The delegation with that key. One that has failed makes room."""
    for row in call.store.activity(call.id):
        if row.method == "delegate" and row.idempotency_key == key:
            if row.status != "failed":
                return row
            call.store.forget_activity(row)
    return None


def _log(platform: Platform, source: str, method: str, target: str | None,
         delegation_id: str, status: str, **columns: Any) -> Activity:
    platform.emit(source, "DELEGATION_STATUS", delegation_id=delegation_id, status=status)
    return platform.log_activity(source, "delegation", source_id=source, target_id=target,
                                 method=method, status=status, **columns)


def _deliver(platform: Platform, row: Activity, task: str) -> None:
    """In the background: send the task as the source, and write down what came of it."""
    delegation_id = _delegation_id(row)
    envelope = {"jsonrpc": "2.0", "id": new_id(), "method": "message/send", "params": {
        "message": {"role": "user", "messageId": delegation_id,
                    "metadata": {"delegation_id": delegation_id},
                    "parts": [{"type": "text", "text": task}]}}}
    with platform.lock:
        row.status = "dispatched"
    outcome = _send(platform, row, envelope)
    if outcome.status == 502 or (outcome.status == 503 and b'"restarting"' in outcome.body):
        time.sleep(platform.settings.delegate_retry_s)
        outcome = _send(platform, row, envelope)
    with platform.lock:
        try:
            _conclude(platform, row, outcome)
        except StoreError as error:
            log.warning("the outcome of delegation %s is lost: %s", delegation_id, error)
        platform.changed.notify_all()


def _send(platform: Platform, row: Activity, envelope: dict[str, Any]) -> Outcome:
    return platform.proxy.send(row.workspace_id, row.target_id or "",
                               json.dumps(envelope).encode())


def _conclude(platform: Platform, row: Activity, outcome: Outcome) -> None:
    source, target, delegation_id = row.workspace_id, row.target_id, _delegation_id(row)
    value = outcome.value()
    if not outcome.ok:
        row.status, row.error_detail = "failed", outcome.error()
        _log(platform, source, "delegate_result", target, delegation_id, "failed",
             summary="Delegation failed", error_detail=row.error_detail)
        platform.emit(source, "DELEGATION_FAILED", delegation_id=delegation_id,
                      error=row.error_detail)
    elif isinstance(value, dict) and value.get("queued") is True:
        row.status = "queued"
        _log(platform, source, "delegate_result", target, delegation_id, "queued",
             summary="Delegation queued \u2014 target at capacity",
             response_body={"delegation_id": delegation_id, "queued": True})
    else:
        row.status = "completed"
        text = reply_text(outcome)
        _log(platform, source, "delegate_result", target, delegation_id, "completed",
             summary=_summary(text), response_body={"text": text,
                                                    "delegation_id": delegation_id})
        platform.emit(source, "DELEGATION_COMPLETE", delegation_id=delegation_id)


def _summary(text: str) -> str:
    shown = text[:SUMMARY_MAX] + ("..." if len(text) > SUMMARY_MAX else "")
    return f"Delegation completed ({shown})"


def reply_text(outcome: Outcome) -> str:
    """The first text of an agent's reply, else the reply as it is."""
    value = outcome.value()
    result = value.get("result") if isinstance(value, dict) else None
    if isinstance(result, dict):
        groups = [result, *(entry for entry in result.get("artifacts") or []
                            if isinstance(entry, dict))]
        for group in groups:
            for part in group.get("parts") or []:
                if isinstance(part, dict) and part.get("kind") == "text":
                    return str(part.get("text", ""))
    return outcome.body.decode("utf-8", "replace")


def delivered(platform: Platform, item: QueueItem, outcome: Outcome) -> None:
    """A queued delegation has been answered: only the row of its outcome changes."""
    message = message_of(gojson.decode(item.body)) or {}
    metadata = message.get("metadata")
    wanted = metadata.get("delegation_id") if isinstance(metadata, dict) else None
    if not wanted or not canonical(item.caller):
        return
    for row in platform.store.activity(item.caller):
        if _delegation_id(row) != wanted:
            continue
        if row.method == "delegate_result":
            text = reply_text(outcome)
            row.status, row.summary = "completed", _summary(text)
            row.response_body = {"text": text, "delegation_id": wanted}
            platform.emit(item.caller, "DELEGATION_COMPLETE", delegation_id=wanted)
        elif platform.options.later:
            row.status = "completed"


# ---- the listing ----

def _delegation_id(row: Activity) -> str:
    for body in (row.request_body, row.response_body):
        if isinstance(body, dict) and body.get("delegation_id"):
            return str(body["delegation_id"])
    return ""


def _preview(text: str) -> str:
    """300 bytes, which may cut a character in two."""
    data = text.encode("utf-8", "replace")
    if len(data) <= PREVIEW_MAX:
        return text
    return data[:PREVIEW_MAX].decode("utf-8", "replace") + "..."


def _show(row: Activity) -> dict[str, Any]:
    value: dict[str, Any] = {
        "id": row.id, "type": "delegation", "source_id": row.source_id or "",
        "target_id": row.target_id or "", "summary": row.summary or "",
        "status": row.status, "created_at": rfc3339(row.created_at)}
    if _delegation_id(row):
        value["delegation_id"] = _delegation_id(row)
    if row.error_detail:
        value["error"] = row.error_detail
    if isinstance(row.response_body, dict) and row.response_body.get("text"):
        value["response_preview"] = _preview(row.response_body["text"])
    return value


@route("GET", "/workspaces/:id/delegations", gate=auth.workspace)
def delegations(call: Call) -> Response:
    rows = [row for row in call.store.activity(call.id)[::-1]
            if row.activity_type == "delegation"]
    return json_response(200, [_show(row) for row in rows[:LISTED_MAX]])


# ---- by the agent itself: only the books ----

@route("POST", "/workspaces/:id/delegations/record", gate=auth.workspace,
       outage="failed to record delegation")
def record(call: Call) -> Response:
    fields = call.fields()
    target = fields.string("target_id", required=True)
    task = fields.string("task", required=True)
    delegation_id = fields.string("delegation_id", required=True)
    if canonical(target) is None:
        raise Refused(400, "target_id must be a valid UUID")
    _log(call.platform, call.id, "delegate", target, delegation_id, "dispatched",
         summary=f"Delegating to {target}",
         request_body={"task": task, "delegation_id": delegation_id})
    return json_response(202, {"delegation_id": delegation_id, "status": "recorded"})


@route("POST", "/workspaces/:id/delegations/:delegation/update", gate=auth.workspace,
       outage="failed to update delegation")
def update(call: Call) -> Response:
    fields, delegation_id = call.fields(), call.params["delegation"]
    status = fields.string("status")
    if status not in ("completed", "failed"):
        raise Refused(400, "status must be 'completed' or 'failed'")
    for row in call.store.activity(call.id):
        if row.method == "delegate" and _delegation_id(row) == delegation_id:
            row.status = status
            row.error_detail = fields.string("error") or None
    if status == "completed":
        text = fields.string("response_preview")
        _log(call.platform, call.id, "delegate_result", None, delegation_id, "completed",
             summary=_summary(text),
             response_body={"text": text, "delegation_id": delegation_id})
    return json_response(200, {"delegation_id": delegation_id, "status": status})
