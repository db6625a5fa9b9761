# SPDX-License-Identifier: MIT
"""The tool bridge: JSON-RPC calls that stand for other endpoints."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from .. import auth
from ..gojson import BadBody, decode, encode
from ..model import new_id
from ..proxy import Outcome
from ..router import Call, Refused, route
from ..store import StoreError
from ..wire import Connection, Response, chunk, json_response
from .delegation import reply_text
from .memory import SCOPES, commit, recall
from .registry import peers_of

PROTOCOL = "2024-11-05"
PING_S = 30.0


class ToolError(Exception):
    """A tool's refusal: JSON-RPC error -32000."""


class RpcError(Exception):
    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.code = code


def _schema(required: list[str], **properties: str) -> dict[str, Any]:
    return {"type": "object", "required": required,
            "properties": {name: {"type": "string", "description": text}
                           for name, text in properties.items()}}


# ---- the tools ----

Arguments = dict[str, Any]


def _required(arguments: Arguments, name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str) or not value:
        raise ToolError(f"{name} is required")
    return value


def _send(call: Call, target: str, task: str) -> Outcome:
    with call.platform.lock:
        if not call.store.can_communicate(call.id, target):
            raise ToolError("workspace is not authorised to communicate with target")
    message = {"role": "user", "messageId": new_id(), "parts": [{"type": "text", "text": task}]}
    body = {"jsonrpc": "2.0", "id": new_id(), "method": "message/send",
            "params": {"message": message}}
    return call.platform.proxy.send(call.id, target, encode(body))


def _delegate(call: Call, arguments: Arguments) -> str:
    target, task = _required(arguments, "workspace_id"), _required(arguments, "task")
    outcome = _send(call, target, task)
    if not outcome.ok:
        raise ToolError(outcome.error())
    return reply_text(outcome)


def _delegate_async(call: Call, arguments: Arguments) -> str:
    target, task = _required(arguments, "workspace_id"), _required(arguments, "task")

    def run() -> None:
        try:
            _send(call, target, task)
        except ToolError:
            pass    # nobody is left who could be told

    threading.Thread(target=run, daemon=True).start()
    return json.dumps({"status": "dispatched", "task_id": new_id(), "target_id": target})


def _check_status(call: Call, arguments: Arguments) -> str:
    return json.dumps({"status": "not_found", "task_id": _required(arguments, "task_id")})


def _list_peers(call: Call, arguments: Arguments) -> str:
    with call.platform.lock:
        row = call.store.find(call.id)
        found = peers_of(call, row) if row else []
        return json.dumps([{"id": peer.id, "name": peer.name, "role": peer.role or "",
                            "status": peer.status, "tier": peer.tier} for peer in found])


def _info(call: Call, arguments: Arguments) -> str:
    with call.platform.lock:
        row = call.store.find(call.id)
        if row is None:
            raise ToolError("workspace not found")
        return json.dumps({"id": row.id, "name": row.name, "role": row.role or "",
                           "tier": row.tier, "status": row.status,
                           **({"parent_id": row.parent_id} if row.parent_id else {})})


def _commit(call: Call, arguments: Arguments) -> str:
    scope = arguments.get("scope") or "LOCAL"
    if scope not in SCOPES or scope == "GLOBAL":
        raise ToolError("scope must be LOCAL or TEAM")
    with call.platform.lock:
        memory = commit(call, _required(arguments, "content"), scope, "general")
    return json.dumps({"id": memory["id"], "scope": scope})


def _recall(call: Call, arguments: Arguments) -> str:
    scope = arguments.get("scope") or ""
    if scope == "GLOBAL":
        raise ToolError("GLOBAL memories are not available here")
    with call.platform.lock:
        return json.dumps(recall(call, scope, str(arguments.get("query") or ""), ""))


Tool = Callable[[Call, Arguments], str]

_TOOLS: dict[str, tuple[Tool, str, dict[str, Any]]] = {
    "delegate_task": (
        _delegate, "Hand a task to a peer and wait for its answer.",
        _schema(["workspace_id", "task"], workspace_id="the peer", task="what to do")),
    "delegate_task_async": (
        _delegate_async, "Hand a task to a peer without waiting.",
        _schema(["workspace_id", "task"], workspace_id="the peer", task="what to do")),
    "check_task_status": (
        _check_status, "Ask what became of a task.", _schema(["task_id"], task_id="the task")),
    "list_peers": (_list_peers, "List the workspaces that can be called.", _schema([])),
    "get_workspace_info": (_info, "Tell about this workspace.", _schema([])),
    "commit_memory": (
        _commit, "Remember a text.",
        _schema(["content"], content="the text", scope="LOCAL or TEAM")),
    "recall_memory": (
        _recall, "Find texts that were remembered.",
        _schema([], query="what to look for", scope="LOCAL or TEAM")),
}


# ---- the protocol ----

def _initialize(call: Call, params: Any) -> Any:
    return {"protocolVersion": PROTOCOL, "capabilities": {"tools": {"listChanged": False}},
            "serverInfo": {"name": "molecule-a2a", "version": "1.0.0"}}


def _list_tools(call: Call, params: Any) -> Any:
    return {"tools": [{"name": name, "description": text, "inputSchema": schema}
                      for name, (_, text, schema) in _TOOLS.items()]}


def _call_tool(call: Call, params: Any) -> Any:
    if not isinstance(params, dict) or not isinstance(params.get("name"), str):
        raise RpcError(-32602, "invalid parameters")
    if params["name"] not in _TOOLS:
        raise RpcError(-32000, f"unknown tool: {params['name']}")
    arguments = params.get("arguments")
    try:
        text = _TOOLS[params["name"]][0](call, arguments if isinstance(arguments, dict) else {})
    except (ToolError, Refused, StoreError) as error:
        raise RpcError(-32000, str(error)) from None
    return {"content": [{"type": "text", "text": text}]}


_METHODS = {"initialize": _initialize, "tools/list": _list_tools, "tools/call": _call_tool}


@route("POST", "/workspaces/:id/mcp", gate=auth.workspace, unlocked=True)
def rpc(call: Call) -> Response:
    verdict = call.platform.mcp_limit.take(auth.bearer(call))
    if not verdict.allowed:
        raise Refused(429, "MCP rate limit exceeded", [("Retry-After", str(verdict.reset_s))],
                      retry_after=verdict.reset_s)
    try:
        request = decode(call.request.body)
    except BadBody as error:
        return json_response(400, {"jsonrpc": "2.0", "id": None, "error": {
            "code": -32700, "message": f"parse error: {error}"}})
    request = request if isinstance(request, dict) else {}
    reply: dict[str, Any] = {"jsonrpc": "2.0", "id": request.get("id")}
    name = request.get("method")
    if name == "notifications/initialized":
        return json_response(200, {"jsonrpc": "2.0", "id": None})
    try:
        if name not in _METHODS:
            raise RpcError(-32601, f"method not found: {name}")
        reply["result"] = _METHODS[name](call, request.get("params"))
    except RpcError as error:
        reply["error"] = {"code": error.code, "message": str(error)}
    return json_response(200, reply)


@route("GET", "/workspaces/:id/mcp/stream", gate=auth.workspace, unlocked=True)
def stream(call: Call) -> Response:
    def pump(connection: Connection) -> None:
        endpoint = f"event: endpoint\ndata: /workspaces/{call.id}/mcp\n\n"
        connection.send(chunk(endpoint.encode()))
        while not call.platform.stopping.wait(PING_S):
            connection.send(chunk(b": ping\n\n"))

    return Response(200, [("Content-Type", "text/event-stream"),
                          ("Cache-Control", "no-cache")], pump=pump)
