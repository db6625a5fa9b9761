# SPDX-License-Identifier: MIT
"""Health, metrics, and what only an operator asks for."""

from __future__ import annotations

from .. import auth
from ..model import canonical
from ..router import Call, Refused, route
from ..wire import Response, json_response


@route("GET", "/health", unlocked=True)
def health(call: Call) -> Response:
    """Well, whatever has happened to the datastore."""
    return json_response(200, {"status": "ok"})


@route("GET", "/metrics", unlocked=True)
def metrics(call: Call) -> Response:
    text = ("# HELP molecule_http_requests_total Requests received.\n"
            "# TYPE molecule_http_requests_total counter\n"
            f"molecule_http_requests_total {call.platform.requests_served}\n")
    return Response(200, [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")],
                    text.encode())


@route("GET", "/admin/liveness", gate=auth.admin)
def liveness(call: Call) -> Response:
    counts: dict[str, int] = {}
    for row in call.store.workspaces():
        counts[row.status] = counts.get(row.status, 0) + 1
    return json_response(200, {"workspaces": counts})


@route("POST", "/admin/a2a-queue/drop-stale", gate=auth.admin)
def drop_stale(call: Call) -> Response:
    text = call.argument("max_age_minutes") or "60"
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise Refused(400, "max_age_minutes must be a positive integer")
    workspace_id = call.argument("workspace_id")
    if workspace_id and canonical(workspace_id) is None:
        raise Refused(400, "invalid workspace_id")
    dropped = call.platform.proxy.drop_stale(workspace_id, int(text) * 60)
    return json_response(200, {"dropped": dropped})
