# SPDX-License-Identifier: MIT
"""Secrets of a workspace, and the global ones that everybody gets."""

from __future__ import annotations

from typing import Any

from .. import auth
from ..model import Secret, canonical, rfc3339
from ..router import Call, Refused, route
from ..wire import Response, json_response
from .workspaces import restart_container


def _show(key: str, secret: Secret, scope: str) -> dict[str, Any]:
    return {"key": key, "has_value": True, "scope": scope,
            "created_at": rfc3339(secret.created_at), "updated_at": rfc3339(secret.updated_at)}


def _save(call: Call, workspace_id: str) -> str:
    fields = call.fields()
    key = fields.string("key", required=True)
    call.store.set_secret(workspace_id, key, fields.string("value", required=True))
    _restart(call, workspace_id)
    return key


def _restart(call: Call, workspace_id: str) -> None:
    """Containers get their secrets when they start; external agents fetch them."""
    for row in call.store.workspaces():
        if workspace_id in ("", row.id):
            restart_container(call, row)


def _delete(call: Call, workspace_id: str) -> str:
    key = call.params["key"]
    if call.store.secrets(workspace_id).pop(key, None) is None:
        raise Refused(404, "secret not found")
    _restart(call, workspace_id)
    return key


@route("GET", "/workspaces/:id/secrets/values", gate=auth.strictly_own)
def values(call: Call) -> Response:
    if canonical(call.id) != call.id:
        raise Refused(400, "invalid workspace ID")
    broken = call.store.rows("unreadable secrets", call.id)
    if broken:
        raise Refused(500, "one or more secrets failed to decrypt; refusing to return "
                           "partial bundle", failed_keys=sorted(broken))
    return json_response(200, call.store.bundle(call.id))


@route("GET", "/workspaces/:id/secrets", gate=auth.workspace)
def list_own(call: Call) -> Response:
    own, common = call.store.secrets(call.id), call.store.secrets("")
    return json_response(200, [_show(key, own[key], "workspace") for key in sorted(own)]
                         + [_show(key, common[key], "global")
                            for key in sorted(common) if key not in own])


@route("POST", "/workspaces/:id/secrets", gate=auth.workspace, outage="failed to save secret")
@route("PUT", "/workspaces/:id/secrets", gate=auth.workspace, outage="failed to save secret")
def save_own(call: Call) -> Response:
    return json_response(200, {"status": "saved", "key": _save(call, call.id)})


@route("DELETE", "/workspaces/:id/secrets/:key", gate=auth.workspace)
def delete_own(call: Call) -> Response:
    return json_response(200, {"status": "deleted", "key": _delete(call, call.id)})


@route("GET", "/settings/secrets", gate=auth.admin)
@route("GET", "/admin/secrets", gate=auth.admin)
def list_global(call: Call) -> Response:
    common = call.store.secrets("")
    return json_response(200, [_show(key, common[key], "global") for key in sorted(common)])


@route("POST", "/settings/secrets", gate=auth.admin, outage="failed to save secret")
@route("PUT", "/settings/secrets", gate=auth.admin, outage="failed to save secret")
@route("POST", "/admin/secrets", gate=auth.admin, outage="failed to save secret")
@route("PUT", "/admin/secrets", gate=auth.admin, outage="failed to save secret")
def save_global(call: Call) -> Response:
    return json_response(200, {"status": "saved", "key": _save(call, ""), "scope": "global"})


@route("DELETE", "/settings/secrets/:key", gate=auth.admin)
@route("DELETE", "/admin/secrets/:key", gate=auth.admin)
def delete_global(call: Call) -> Response:
    return json_response(200, {"status": "deleted", "key": _delete(call, ""),
                               "scope": "global"})


# The model is kept as a secret; why, nobody knows.

MODEL_KEY = "MODEL_PROVIDER"


@route("GET", "/workspaces/:id/model", gate=auth.workspace)
def model(call: Call) -> Response:
    secret = call.store.secrets(call.id).get(MODEL_KEY)
    if secret is None:
        return json_response(200, {"model": "", "source": "default"})
    return json_response(200, {"model": secret.value, "source": "workspace_secrets"})


@route("PUT", "/workspaces/:id/model", gate=auth.workspace)
def set_model(call: Call) -> Response:
    name = call.fields().string("model")
    if name:
        call.store.set_secret(call.id, MODEL_KEY, name)
    else:
        call.store.secrets(call.id).pop(MODEL_KEY, None)
    return json_response(200, {"status": "saved", "model": name})
