# SPDX-License-Identifier: MIT
"""Tokens: of a workspace, of the organisation, and the ones for tests."""

from __future__ import annotations

from typing import Any

from .. import auth
from ..model import Token, rfc3339
from ..router import Call, Refused, route
from ..store import TOKENS_MAX, StoreError
from ..wire import Response, json_response

NAME_MAX = 100


def _show(row: Token) -> dict[str, Any]:
    return {"id": row.id, "prefix": row.prefix, "created_at": rfc3339(row.created_at),
            "last_used_at": rfc3339(row.last_used_at) if row.last_used_at else None}


@route("GET", "/workspaces/:id/tokens", gate=auth.workspace, outage="failed to list tokens")
def list_own(call: Call) -> Response:
    offset_text = call.argument("offset")
    offset = int(offset_text) if offset_text.isascii() and offset_text.isdigit() else 0
    live = call.store.live_tokens(call.id)[::-1]
    page = live[offset:offset + call.limit(50, 200)]
    return json_response(200, {"count": len(page), "tokens": [_show(row) for row in page]})


@route("POST", "/workspaces/:id/tokens", gate=auth.workspace, outage="failed to create token")
def create(call: Call) -> Response:
    if len(call.store.live_tokens(call.id)) >= TOKENS_MAX:
        raise Refused(429, f"maximum {TOKENS_MAX} active tokens per workspace")
    row = call.store.find(call.id)
    if row is None:
        raise StoreError("no such workspace")
    return json_response(201, {"auth_token": call.store.mint(row.id)[0], "workspace_id": row.id,
                               "message": "Save this token now - it cannot be shown again."})


@route("DELETE", "/workspaces/:id/tokens/:token", gate=auth.workspace,
       outage="failed to revoke token")
def revoke(call: Call) -> Response:
    if not call.store.revoke(call.id, call.params["token"]):
        raise Refused(404, "token not found or already revoked")
    return json_response(200, {"status": "revoked"})


@route("GET", "/admin/workspaces/:id/test-token")
def for_tests(call: Call) -> Response:
    if not call.platform.settings.test_tokens:
        raise Refused(404, "not found")
    if call.platform.admin_token:
        auth.admin(call)
    row = call.store.find(call.id)
    if row is None:
        raise Refused(404, "workspace not found")
    return json_response(200, {"auth_token": call.store.mint(row.id)[0],
                               "workspace_id": row.id})


# ---- of the organisation ----


@route("POST", "/org/tokens", gate=auth.admin, outage="failed to create token")
def create_org(call: Call) -> Response:
    name = call.fields().string("name") if call.request.body else ""
    if len(name) > NAME_MAX:
        raise Refused(400, f"name must be <= {NAME_MAX} characters")
    verdict = call.platform.org_token_limit.take(call.request.peer[0])
    if not verdict.allowed:
        raise Refused(429, "rate limit exceeded", [("Retry-After", str(verdict.reset_s))],
                      retry_after=verdict.reset_s)
    text, row = call.store.mint("", name)
    return json_response(200, {"id": row.id, "prefix": row.prefix, "auth_token": text,
                               "warning": "Save this token now - it cannot be shown again.",
                               **({"name": name} if name else {})})


@route("GET", "/org/tokens", gate=auth.admin)
def list_org(call: Call) -> Response:
    return json_response(200, [{**_show(row), "name": row.name}
                               for row in call.store.live_tokens("")[::-1]])


@route("DELETE", "/org/tokens/:token", gate=auth.admin, outage="failed to revoke token")
def revoke_org(call: Call) -> Response:
    if not call.store.revoke("", call.params["token"]):
        raise Refused(404, "token not found or already revoked")
    return json_response(200, {"status": "revoked"})
