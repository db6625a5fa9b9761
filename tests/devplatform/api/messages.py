# SPDX-License-Identifier: MIT
"""Messages to agents, and the stream of what happens to a workspace."""

from __future__ import annotations

import queue
import select

from .. import auth, gojson
from ..router import Call, Refused, route
from ..wire import Connection, Response, chunk

#: Callers that only the platform itself may name.
RESERVED = ("webhook:", "system:", "test:", "channel:")

STREAM_CHECK_S = 1.0    # how often an idle stream looks whether anybody is still there


@route("POST", "/workspaces/:id/a2a", unlocked=True)
def send(call: Call) -> Response:
    caller = call.request.header("x-workspace-id")
    if caller.startswith(RESERVED):
        raise Refused(403, "invalid caller ID")
    if caller and caller != call.id:
        with call.platform.lock:
            auth.a2a_caller(call, caller)
    patience = call.request.header("x-timeout")
    outcome = call.platform.proxy.send(
        caller, call.id, call.request.body,
        patience_s=int(patience) if patience.isascii() and patience.isdigit() else 0)
    response = Response(outcome.status, [("Content-Type", "application/json")], outcome.body)
    if outcome.retry_after_s is not None:
        response.add("Retry-After", str(outcome.retry_after_s))
    return response


@route("GET", "/workspaces/:id/events/stream", gate=auth.workspace, unlocked=True)
def events(call: Call) -> Response:
    """Server-sent events; open until the listener leaves, whatever becomes of the workspace."""
    hub = call.platform.events
    subscription = hub.subscribe(call.id)

    def pump(connection: Connection) -> None:
        try:
            connection.send(chunk(b": ping\n\n"))
            while True:
                try:
                    event = subscription.queue.get(timeout=STREAM_CHECK_S)
                except queue.Empty:
                    if _has_left(connection):
                        return
                    continue
                connection.send(chunk(b"data: " + gojson.encode(event) + b"\n\n"))
        finally:
            hub.unsubscribe(subscription)

    return Response(200, [("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache"),
                          ("X-Accel-Buffering", "no")], pump=pump)


def _has_left(connection: Connection) -> bool:
    """Nothing comes in on a stream, except for its end."""
    readable, _, _ = select.select([connection.sock], [], [], 0)
    return bool(readable) and not connection.sock.recv(4096)
