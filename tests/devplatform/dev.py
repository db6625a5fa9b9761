# SPDX-License-Identifier: MIT
"""/_dev/: looking behind the platform, and making it fail.

These calls are never limited, recorded, guarded or subject to a fault.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import agents, tls
from .faults import BadRule
from .journal import Filter
from .model import Workspace, canonical, rfc3339
from .settings import GENERATIONS
from .wire import Connection, Request, Response, json_response

if TYPE_CHECKING:
    from .server import Server

WAIT_MAX_S = 600.0


class Failed(Exception):
    def __init__(self, status: int, error: str, /, **members: Any):
        super().__init__(error)
        self.status = status
        self.value = {"error": error, **members}


@dataclasses.dataclass
class DevCall:
    server: Server
    request: Request
    connection: Connection
    rest: list[str]     # what follows the name in the path

    def body(self) -> dict[str, Any]:
        if not self.request.body:
            return {}
        try:
            value = json.loads(self.request.body)
        except ValueError as error:
            raise Failed(400, f"the body is not JSON: {error}") from None
        if not isinstance(value, dict):
            raise Failed(400, "the body is a JSON object")
        return value

    def number(self, name: str, default: float = 0) -> float:
        text = self.request.argument(name)
        try:
            return float(text) if text else default
        except ValueError:
            raise Failed(400, f"{name} is a number") from None

    def name(self) -> str:
        if not self.rest:
            raise Failed(404, "the path ends too early")
        return self.rest[0]


Answer = tuple[int, Any]
Handler = Callable[[DevCall], Answer]
_handlers: dict[tuple[str, str], Handler] = {}


def dev(method: str, name: str) -> Callable[[Handler], Handler]:
    def declare(handler: Handler) -> Handler:
        _handlers[method, name] = handler
        return handler

    return declare


class Dev:
    def __init__(self, server: Server):
        self._server = server
        self.agents: dict[str, agents.Agent] = {}

    def respond(self, request: Request, connection: Connection) -> Response:
        if request.header("origin"):
            # Whoever sends this is a web page, and has no business here.
            return json_response(403, {"error": "/_dev/ is not for browsers"})
        name, *rest = request.path.removeprefix("/_dev/").split("/")
        handler = _handlers.get((request.method, name))
        if handler is None:
            known = sorted({f"{method} /_dev/{entry}" for method, entry in _handlers})
            return json_response(404, {"error": "no such /_dev/ call", "known": known})
        try:
            status, value = handler(DevCall(self._server, request, connection, rest))
        except Failed as failure:
            return json_response(failure.status, failure.value)
        except (BadRule, tls.TlsError) as error:
            return json_response(400, {"error": str(error)})
        except (TypeError, ValueError, AttributeError) as error:
            return json_response(400, {"error": f"cannot read the body: {error}"})
        return json_response(status, value)

    def stop(self) -> None:
        for agent in list(self.agents.values()):
            agent.stop()


# ---- requests ----

@dev("GET", "requests")
def requests(call: DevCall) -> Answer:
    journal, argument = call.server.journal, call.request.argument
    if argument("pending"):
        return 200, {"requests": [record.show() for record in journal.pending()]}
    status = int(call.number("status")) if argument("status") else None
    wanted = Filter(int(call.number("since")), argument("method"), argument("path"),
                    argument("endpoint"), argument("workspace"), status)
    found = journal.read(wanted, int(call.number("count", 1)),
                         min(call.number("wait_ms") / 1000, WAIT_MAX_S))
    return 200, {"requests": [record.show() for record in found], "last": journal.last}


@dev("DELETE", "requests")
def forget_requests(call: DevCall) -> Answer:
    call.server.journal.clear()
    return 200, {"last": call.server.journal.last}


# ---- faults ----

@dev("POST", "faults")
def add_fault(call: DevCall) -> Answer:
    if call.rest:
        if not call.server.faults.release(_fault_id(call)):
            raise Failed(404, "no such fault")
        return 200, {"released": True}
    return 201, call.server.faults.add(call.body()).show()


@dev("GET", "faults")
def list_faults(call: DevCall) -> Answer:
    if not call.rest:
        return 200, {"faults": call.server.faults.show()}
    found = call.server.faults.show(_fault_id(call))
    if not found:
        raise Failed(404, "no such fault")
    return 200, found[0]


@dev("DELETE", "faults")
def remove_faults(call: DevCall) -> Answer:
    if not call.rest:
        return 200, {"removed": call.server.faults.clear()}
    if not call.server.faults.remove(_fault_id(call)):
        raise Failed(404, "no such fault")
    return 200, {"removed": 1}


def _fault_id(call: DevCall) -> int:
    if not call.name().isdigit():
        raise Failed(404, "no such fault")
    return int(call.name())


# ---- outages ----

@dev("POST", "outage")
def outage(call: DevCall) -> Answer:
    """The datastore is gone, or (kind: down) the whole platform is."""
    body = call.body()
    kind = body.get("kind", "datastore")
    if kind not in ("datastore", "down"):
        raise Failed(400, "kind is datastore or down")
    call.server.begin_outage(kind, float(body.get("for_ms", 0)) / 1000, call.connection)
    return 200, {"outage": kind}


@dev("GET", "outage")
def show_outage(call: DevCall) -> Answer:
    return 200, {"datastore": call.server.platform.store.down,
                 "down": not call.server.main.is_open}


@dev("DELETE", "outage")
def end_outage(call: DevCall) -> Answer:
    call.server.end_outage()
    return 200, {"outage": None}


# ---- workspaces ----

_TIMES = ("created_at", "updated_at", "last_outbound_at", "last_heartbeat_at",
          "presence_until", "removed_at")


def _row(call: DevCall, identifier: str) -> Workspace | None:
    return call.server.platform.store._workspaces.get(canonical(identifier) or "")


def _show(call: DevCall, row: Workspace) -> dict[str, Any]:
    platform = call.server.platform
    value = dataclasses.asdict(row)
    for name in _TIMES:
        value[name] = None if value[name] is None else rfc3339(value[name])
    now = platform.clock.now()
    value["heartbeat_age_s"] = (None if row.last_heartbeat_at is None
                                else round(now - row.last_heartbeat_at, 3))
    live = platform.store._tokens_of.get(row.id, {}).values()
    value["tokens"] = [{"id": token.id, "prefix": token.prefix} for token in live]
    value["secrets"] = sorted(platform.store._secrets.get(row.id, ()))
    value["queue"] = platform.proxy.queue(row.id)
    return value


@dev("GET", "workspaces")
def show_workspaces(call: DevCall) -> Answer:
    with call.server.platform.lock:
        if not call.rest:
            rows = call.server.platform.store._workspaces.values()
            return 200, {"workspaces": [_show(call, row) for row in rows]}
        row = _row(call, call.name())
        if row is None:
            raise Failed(404, "no such workspace")
        return 200, _show(call, row)


@dev("POST", "workspaces")
def set_workspace(call: DevCall) -> Answer:
    platform = call.server.platform
    if call.rest[1:] == ["activity"]:
        return _add_activity(call)
    if call.rest[1:] == ["tokens"]:
        with platform.lock:
            text, token = platform.store.mint(call.name())
        return 201, {"auth_token": text, "id": token.id}
    with platform.lock:
        row = _row(call, call.name())
        if row is None:
            raise Failed(404, "no such workspace")
        for name, value in call.body().items():
            _set(call, row, name, value)
        platform.changed.notify_all()
        return 200, _show(call, row)


def _set(call: DevCall, row: Workspace, name: str, value: Any) -> None:
    if name == "heartbeat_age_s":
        row.last_heartbeat_at = call.server.platform.clock.now() - float(value)
    elif name == "unreadable_secrets":
        table = call.server.platform.store.rows("unreadable secrets", row.id)
        table.clear()
        table.update(dict.fromkeys(value, True))
    elif name == "status":
        call.server.platform.set_status(row, str(value), f"WORKSPACE_{str(value).upper()}")
    elif name == "id" or name in _TIMES or not hasattr(row, name):
        raise Failed(400, f"{name} cannot be set")
    else:
        setattr(row, name, value)


def _add_activity(call: DevCall) -> Answer:
    platform, body = call.server.platform, call.body()
    with platform.lock:
        kind = body.pop("activity_type", "a2a_receive")
        row = platform.log_activity(call.name(), kind, **body)
        platform.changed.notify_all()
    return 201, {"id": row.id, "seq": row.seq}


@dev("POST", "wait")
def wait(call: DevCall) -> Answer:
    """Until a field of a workspace has a value (or one of several)."""
    body, platform = call.body(), call.server.platform
    field, identifier = body.get("field", "status"), body.get("workspace", "")
    wanted = body["values"] if "values" in body else [body.get("value")]
    timeout_s = min(float(body.get("timeout_ms", 5000)) / 1000, WAIT_MAX_S)
    deadline = time.monotonic() + timeout_s
    with platform.changed:
        while True:
            row = _row(call, identifier)
            shown = _show(call, row) if row else {}
            if row and field not in shown:
                raise Failed(400, f"a workspace has no {field}")
            if row and shown[field] in wanted:
                return 200, shown
            left = deadline - time.monotonic()
            if left <= 0:
                raise Failed(408, "the time is over", workspace=shown or None)
            platform.changed.wait(left)


# ---- time ----

@dev("POST", "sweep")
def sweep(call: DevCall) -> Answer:
    call.server.platform.sweep_all()
    return 200, {"swept": True}


@dev("GET", "clock")
def clock(call: DevCall) -> Answer:
    now = call.server.platform.clock
    return 200, {"now": rfc3339(now.now()), "shift_s": now.shift_s,
                 "monotonic": time.monotonic()}


@dev("POST", "clock")
def set_clock(call: DevCall) -> Answer:
    """shift_s sets the distance to the real time, advance_s adds to it."""
    body, platform = call.body(), call.server.platform
    with platform.lock:
        platform.clock.shift_s = (float(body.get("shift_s", platform.clock.shift_s))
                                  + float(body.get("advance_s", 0)))
        platform.changed.notify_all()
    return clock(call)


# ---- settings ----

@dev("GET", "settings")
def settings(call: DevCall) -> Answer:
    options = call.server.platform.options
    return 200, {**dataclasses.asdict(options.settings), "generation": options.generation}


@dev("POST", "settings")
def change_settings(call: DevCall) -> Answer:
    """Change settings of a running stand-in; the sweepers keep their rhythm."""
    platform = call.server.platform
    with platform.lock:
        for name, value in call.body().items():
            if name == "generation":
                if value not in GENERATIONS:
                    raise Failed(400, f"generation is one of {', '.join(GENERATIONS)}")
                platform.options.generation = value
            elif not hasattr(platform.settings, name):
                raise Failed(400, f"no setting is called {name}")
            else:
                setattr(platform.settings, name, value)
        platform.limit.limit = platform.settings.rate_limit
    return settings(call)


# ---- listeners ----

@dev("POST", "listen")
def listen(call: DevCall) -> Answer:
    kind = call.body().get("kind", "plain")
    wrap = None if kind == "plain" else tls.faulty(kind, call.server.platform.options.tls)
    listener = call.server.listen(wrap)
    return 201, {"url": listener.url, "port": listener.port, "kind": kind}


@dev("GET", "listen")
def list_listeners(call: DevCall) -> Answer:
    server = call.server
    return 200, {"main": server.url, "extra": [entry.url for entry in server.extra.values()],
                 "connections": server.main.connection_count}


@dev("DELETE", "listen")
def close_listener(call: DevCall) -> Answer:
    name = call.name()
    listener = call.server.extra.pop(int(name), None) if name.isdigit() else None
    if listener is None:
        raise Failed(404, "no such listener")
    listener.close(spare=call.connection)
    return 200, {"closed": listener.url}


# ---- agents ----

@dev("POST", "agents")
def start_agent(call: DevCall) -> Answer:
    """Start a peer; with a name in the path, change the mode of one."""
    body, running = call.body(), call.server.dev.agents
    if call.rest:
        agent = _agent(call)
        agent.set_mode(body.get("mode", "echo"))
        return 200, agent.show()
    name = str(body.get("name", f"agent-{len(running) + 1}"))
    if name in running:
        raise Failed(409, f"an agent called {name} is running")
    agent = running[name] = agents.Agent(name, body.get("mode", "echo"))
    return 201, agent.show()


def _agent(call: DevCall) -> agents.Agent:
    agent = call.server.dev.agents.get(call.name())
    if agent is None:
        raise Failed(404, "no such agent")
    return agent


@dev("GET", "agents")
def show_agents(call: DevCall) -> Answer:
    if not call.rest:
        return 200, {"agents": [agent.show() for agent in call.server.dev.agents.values()]}
    agent = _agent(call)
    if call.rest[1:] != ["received"]:
        return 200, agent.show()
    wait_s = min(call.number("wait_ms") / 1000, WAIT_MAX_S)
    return 200, {"received": agent.received(int(call.number("count", 1)), wait_s)}


@dev("DELETE", "agents")
def stop_agent(call: DevCall) -> Answer:
    agent = _agent(call)
    if call.rest[1:] == ["received"]:
        agent.forget()
        return 200, {"forgotten": True}
    agent.stop()
    del call.server.dev.agents[agent.name]
    return 200, {"stopped": agent.name}
