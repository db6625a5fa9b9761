# SPDX-License-Identifier: MIT
"""/registry: joining, staying alive, and finding each other."""

from __future__ import annotations

from typing import Any

from .. import auth, urls
from ..gojson import ABSENT, BadBody, Fields
from ..model import Workspace, canonical
from ..router import Call, Refused, route
from ..store import StoreError
from ..wire import Response, json_response

SPEND_MAX = 10 ** 12        # cents; a larger report is cut to this
DELIVERY_MODES = ("push", "poll")


# ---- register ----

@route("POST", "/registry/register", outage="registration failed", unlocked=True)
def register(call: Call) -> Response:
    fields = call.fields()
    workspace_id = fields.string("id", required=True)
    url = fields.string("url")
    card = fields.raw("agent_card")
    if card is ABSENT:
        raise BadBody("agent_card is required")
    mode = _delivery_mode(call, fields, workspace_id)
    _check_url(call, url, mode)
    with call.platform.lock:
        auth.registry(call, workspace_id)
        try:
            row = _upsert(call, workspace_id, url, card, mode)
        finally:
            call.platform.changed.notify_all()
        value: dict[str, Any] = {"status": "registered"}
        if call.platform.options.later:
            value["delivery_mode"] = mode
            value["platform_inbound_secret"] = row.inbound_secret
        if not call.store.live_tokens(workspace_id):
            value["auth_token"] = call.store.mint(row.id)[0]
    return json_response(200, value)


def _delivery_mode(call: Call, fields: Fields, workspace_id: str) -> str:
    """Of the later generation: as asked for, else as it was, else push."""
    if not call.platform.options.later:
        return "push"
    mode = fields.string("delivery_mode")
    if mode and mode not in DELIVERY_MODES:
        raise Refused(400, "delivery_mode must be 'push' or 'poll'")
    if mode:
        return mode
    with call.platform.lock:
        try:
            row = call.store.find(workspace_id)
        except StoreError:
            row = None
    return row.delivery_mode if row else "push"


def _check_url(call: Call, url: str, mode: str) -> None:
    """Before the token, and without the lock: it may take a resolver's time."""
    if mode == "poll":
        return
    later = call.platform.options.later
    if not url:
        if later:
            raise Refused(400, "url is required for push-mode workspaces")
        raise BadBody("url is required")
    try:
        urls.check_registrable(url, saas=call.platform.saas)
    except urls.BadUrl as error:
        if later:
            raise Refused(400, str(error)) from None
        raise BadBody(str(error)) from None


def _upsert(call: Call, workspace_id: str, url: str, card: Any, mode: str) -> Workspace:
    platform, store, now = call.platform, call.store, call.platform.clock.now()
    store.check_text(url, card)
    row = store.find(workspace_id)
    if row is None:
        key = canonical(workspace_id) or ""
        row = Workspace(key, workspace_id, now, now, tier=1)
        store.insert(row)
    if row.removed:
        return row
    row.agent_card = card
    row.delivery_mode = mode
    row.last_heartbeat_at = row.updated_at = now
    if row.status == "paused" and platform.settings.keep_paused:
        return row
    if not row.url.startswith("http://127.0.0.1"):
        row.url = url
    row.presence_until = now + platform.settings.presence_ttl_s
    platform.set_status(row, "online", "WORKSPACE_ONLINE", url=row.url, agent_card=card)
    return row


# ---- heartbeat ----

@route("POST", "/registry/heartbeat", outage="failed to update")
def heartbeat(call: Call) -> Response:
    fields = call.fields()
    workspace_id = fields.string("workspace_id", required=True)
    beat = _Beat(fields)
    auth.registry(call, workspace_id)
    call.store.check_int32(beat.active_tasks, beat.uptime_seconds)
    call.store.check_text(beat.sample_error, beat.current_task)
    row = call.store.find(workspace_id)
    value: dict[str, Any] = {"status": "ok"}
    if row is not None and not row.removed:
        _apply(call, row, beat)
        if call.platform.options.later:
            value["platform_inbound_secret"] = row.inbound_secret
    return json_response(200, value)


class _Beat:
    """What a heartbeat reports; whatever is left out is zero or empty."""

    def __init__(self, fields: Fields):
        self.error_rate = fields.number("error_rate") or 0.0
        self.sample_error = fields.string("sample_error")
        self.active_tasks = fields.integer("active_tasks")
        self.uptime_seconds = fields.integer("uptime_seconds")
        self.current_task = fields.string("current_task")
        self.monthly_spend = fields.integer("monthly_spend")
        self.runtime_state = fields.string("runtime_state")
        self.agent_card = fields.raw("agent_card")
        metadata = Fields(fields.mapping("runtime_metadata"))
        self.capabilities = metadata.mapping("capabilities") or {}
        if not all(isinstance(value, bool) for value in self.capabilities.values()):
            raise BadBody("capabilities are booleans")
        self.idle_timeout_s = metadata.integer("idle_timeout_seconds")


def _apply(call: Call, row: Workspace, beat: _Beat) -> None:
    platform, now = call.platform, call.platform.clock.now()
    task_changed = row.current_task != beat.current_task
    row.last_error_rate, row.last_sample_error = beat.error_rate, beat.sample_error
    row.active_tasks, row.uptime_seconds = beat.active_tasks, beat.uptime_seconds
    row.current_task = beat.current_task
    if beat.monthly_spend > 0:
        row.monthly_spend = min(beat.monthly_spend, SPEND_MAX)
    if platform.options.later and beat.agent_card is not ABSENT:
        row.agent_card = beat.agent_card
    row.last_heartbeat_at = row.updated_at = now
    if row.presence_until is not None:
        row.presence_until = now + platform.settings.presence_ttl_s
    _evaluate(call, row, beat)
    # Only now: a capability counts from the next heartbeat on.
    row.capabilities = beat.capabilities
    row.idle_timeout_s = beat.idle_timeout_s if beat.idle_timeout_s > 0 else None
    if task_changed:
        platform.emit(row.id, "TASK_UPDATED", current_task=row.current_task,
                      active_tasks=row.active_tasks)
    platform.emit(row.id, "WORKSPACE_HEARTBEAT", active_tasks=row.active_tasks,
                  uptime_seconds=row.uptime_seconds)
    platform.proxy.drain(row)


def _evaluate(call: Call, row: Workspace, beat: _Beat) -> None:
    """Where a heartbeat moves a workspace, judged by the status it had before."""
    reviving = {"provisioning", "offline"}
    if call.platform.options.later:
        reviving |= {"awaiting_agent", "failed"}
    judges_itself = row.capabilities.get("status_mgmt", False)
    if row.status in reviving:
        call.platform.set_status(row, "online", "WORKSPACE_ONLINE", recovered_from=row.status)
    elif row.status == "online":
        wedged = beat.runtime_state == "wedged"
        if wedged or (beat.error_rate >= 0.5 and not judges_itself):
            call.platform.set_status(row, "degraded", "WORKSPACE_DEGRADED",
                                     error_rate=beat.error_rate)
    elif row.status == "degraded" and not judges_itself:
        if beat.error_rate < 0.1 and not beat.runtime_state:
            call.platform.set_status(row, "online", "WORKSPACE_ONLINE",
                                     recovered_from="degraded")


# ---- card ----

@route("POST", "/registry/update-card", outage="failed to update card")
def update_card(call: Call) -> Response:
    fields = call.fields()
    workspace_id = fields.string("workspace_id", required=True)
    card = fields.raw("agent_card")
    if card is ABSENT:
        raise BadBody("agent_card is required")
    auth.registry(call, workspace_id)
    call.store.check_text(card)
    row = call.store.find(workspace_id)
    if row is not None:
        row.agent_card = card
        call.platform.emit(row.id, "AGENT_CARD_UPDATED", agent_card=card)
    return json_response(200, {"status": "updated"})


# ---- peers ----

def peers_of(call: Call, row: Workspace) -> list[Workspace]:
    """Siblings, children, parent."""
    everyone = list(call.store.workspaces())
    siblings = [peer for peer in everyone if peer.parent_id == row.parent_id and peer is not row]
    children = [peer for peer in everyone if peer.parent_id == row.id]
    parent = [peer for peer in everyone if peer.id == row.parent_id]
    return siblings + children + parent


def _show_peer(row: Workspace) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "role": row.role, "tier": row.tier,
            "status": row.status, "agent_card": row.agent_card, "url": row.url,
            "parent_id": row.parent_id, "active_tasks": row.active_tasks}


@route("GET", "/registry/:id/peers", outage="lookup failed")
def peers(call: Call) -> Response:
    auth.discovery(call, call.id)
    row = call.store.find(call.id)
    if row is None:
        raise Refused(404, "workspace not found")
    found = peers_of(call, row)
    wanted = call.argument("q")
    if wanted:
        if not call.platform.options.later and any(peer.role is None for peer in found):
            return Response(500)    # the filter stumbles over a role that is null
        found = [peer for peer in found
                 if wanted in peer.name or wanted in (peer.role or "")]
    return json_response(200, [_show_peer(peer) for peer in found])


@route("GET", "/registry/discover/:target", unlocked=True, outage="lookup failed")
def discover(call: Call) -> Response:
    platform = call.platform
    caller, target_id = call.request.header("x-workspace-id"), call.params["target"]
    if not caller:
        raise Refused(400, "X-Workspace-ID header is required")
    with platform.lock:
        auth.discovery(call, caller)
        if not call.store.can_communicate(caller, target_id):
            raise Refused(403, "not authorized to discover this workspace")
        target, source = call.store.find(target_id), call.store.find(caller)
        if target is None:
            raise Refused(404, "workspace not found")
        if not target.external or not target.url:
            return _invented(call, target)
        url = target.url
    if not urls.is_dialable(url, strict=platform.settings.strict_dial, saas=platform.saas):
        raise Refused(503, "workspace URL failed safety check")
    if source is None or not source.external:
        # A container reaches the host under another name.
        for name in ("127.0.0.1", "localhost"):
            url = url.replace(f"//{name}", "//host.docker.internal")
    return json_response(200, {"id": target.id, "name": target.name, "url": url})


def _invented(call: Call, target: Workspace) -> Response:
    """The container's address, also for a workspace that has no container."""
    if target.status not in ("online", "degraded"):
        raise Refused(503, "workspace not available", status=target.status)
    return json_response(200, {"id": target.id, "name": target.name,
                               "url": f"http://ws-{target.id[:12]}:8000"})


@route("POST", "/registry/check-access")
def check_access(call: Call) -> Response:
    fields = call.fields()
    caller = fields.string("caller_id", required=True)
    target = fields.string("target_id", required=True)
    return json_response(200, {"allowed": call.store.can_communicate(caller, target)})
