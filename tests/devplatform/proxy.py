# SPDX-License-Identifier: MIT
"""The A2A proxy: messages to agents, and the queue for those that are busy."""

from __future__ import annotations

import dataclasses
import http.client
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import gojson, urls
from .dial import Answer, OutboundCall
from .model import Workspace, canonical, new_id
from .store import StoreError

if TYPE_CHECKING:
    from .platform import Platform

REQUEST_MAX = 1 << 20       # a larger body is cut here, silently
ATTEMPTS_MAX = 5            # deliveries of a queued message before it is given up
BUSY_RETRY_S = 30
WAKING_RETRY_S = 15
DRAIN_MAX = 10              # later generation: messages that one heartbeat brings

DENIED = "access denied: workspaces cannot communicate per hierarchy rules"
QUEUED = ("workspace agent busy \u2014 request queued, "
          "will dispatch when capacity available")

log = logging.getLogger("devplatform")


@dataclasses.dataclass
class Outcome:
    """What the caller gets."""

    status: int
    body: bytes
    retry_after_s: int | None = None

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def value(self) -> Any:
        """The body, if it is JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def error(self) -> str:
        value = self.value()
        text = value.get("error") if isinstance(value, dict) else None
        return text if isinstance(text, str) else f"HTTP {self.status}"


def refusal(status: int, error: str, /, **members: Any) -> Outcome:
    return Outcome(status, gojson.encode({"error": error, **members}),
                   members.get("retry_after"))


@dataclasses.dataclass
class QueueItem:
    target: str
    caller: str
    message_id: str
    body: bytes
    id: str = dataclasses.field(default_factory=new_id)
    queued_at: float = 0.0
    attempts: int = 0
    status: str = "queued"      # then: dispatched, completed, failed


def normalise(body: bytes) -> dict[str, Any] | None:
    """The envelope as the platform passes it on; None if it is not an object."""
    try:
        value = json.loads(body.decode("utf-8", "replace"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    value = gojson.through_float64(value)
    if "jsonrpc" not in value:
        value = {"jsonrpc": "2.0", "id": new_id(), "method": value.get("method"),
                 "params": value.get("params")}
    message = message_of(value)
    if message is not None and "messageId" not in message:
        message["messageId"] = new_id()
    return value


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def message_of(envelope: dict[str, Any]) -> dict[str, Any] | None:
    params = envelope.get("params")
    message = params.get("message") if isinstance(params, dict) else None
    return message if isinstance(message, dict) else None


class Proxy:
    def __init__(self, platform: Platform):
        self.platform = platform
        self._calls: dict[str, list[OutboundCall]] = {}
        self._calls_lock = threading.Lock()
        self._queues: dict[str, list[QueueItem]] = {}
        #: Called with the answer to a queued message; delegations want it.
        self.on_delivered: Callable[[QueueItem, Outcome], None] = lambda item, outcome: None

    def sign_of_life(self, workspace_id: str) -> None:
        """Any event of a workspace gives the calls to it more time."""
        with self._calls_lock:
            for call in self._calls.get(workspace_id, ()):
                call.touch()

    # ---- one message ----

    def send(self, caller: str, target_id: str, body: bytes, *, patience_s: int = 0,
             item: QueueItem | None = None) -> Outcome:
        """Deliver a message; blocks until there is an outcome. item: it comes from the queue.

        patience_s is the caller's X-Timeout: it lifts the ceiling, and nothing is queued
        or summed up once it has passed.
        """
        began = time.monotonic()
        with self.platform.lock:
            prepared = self._prepare(caller, target_id)
        if isinstance(prepared, Outcome):
            return prepared
        target, url = prepared
        polling = self.platform.options.later and target.delivery_mode == "poll"
        if not polling and not self._dialable(url):
            return refusal(502, "workspace URL is not publicly routable")
        envelope = normalise(body[:REQUEST_MAX])
        if envelope is None:
            return refusal(400, "invalid JSON")
        if polling:
            return self._leave_for_poll(caller, target, envelope)
        answer = self._dispatch(caller, target, url, envelope, patience_s)
        with self.platform.lock:
            late = bool(patience_s) and time.monotonic() - began > patience_s
            try:
                return self._conclude(caller, target, envelope, answer, began, late, item)
            except StoreError:
                return refusal(502, "failed to reach workspace agent")
            finally:
                self.platform.changed.notify_all()

    def _prepare(self, caller: str, target_id: str) -> tuple[Workspace, str] | Outcome:
        """Everything that is checked before the body is looked at."""
        store = self.platform.store
        if caller and not store.can_communicate(caller, target_id):
            return refusal(403, DENIED)
        try:
            target = store.find(target_id)
        except StoreError:
            return refusal(500, "lookup failed")
        if target is None:
            return refusal(404, "workspace not found")
        if target.budget_limit is not None and target.monthly_spend >= target.budget_limit:
            return refusal(402, "workspace budget limit exceeded")
        if self.platform.options.later and target.delivery_mode == "poll":
            return target, ""
        if target.status == "hibernated":
            return refusal(503, "workspace is waking up", waking=True,
                           retry_after=WAKING_RETRY_S)
        if not target.url:
            return refusal(503, "workspace has no URL", status=target.status)
        return target, target.url

    def _dialable(self, url: str) -> bool:
        return urls.is_dialable(url, strict=self.platform.settings.strict_dial,
                                saas=self.platform.saas)

    def _leave_for_poll(self, caller: str, target: Workspace,
                        envelope: dict[str, Any]) -> Outcome:
        """Later generation: a polling agent finds the message in its activity log."""
        method = envelope.get("method")
        with self.platform.lock:
            try:
                self.platform.log_activity(
                    target.id, "a2a_receive", source_id=canonical(caller),
                    target_id=target.id, method=method if isinstance(method, str) else None,
                    summary=f"{method} \u2192 {target.name} (queued for poll)",
                    request_body=envelope)
            except StoreError:
                return refusal(500, "failed to queue message")
            self._mark_outbound(caller)
            self.platform.changed.notify_all()
        return Outcome(200, gojson.encode({"status": "queued", "delivery_mode": "poll",
                                           "method": method}))

    def _dispatch(self, caller: str, target: Workspace, url: str, envelope: dict[str, Any],
                  patience_s: int) -> Answer:
        secret = target.inbound_secret if self.platform.options.later else ""
        call = OutboundCall(url, gojson.encode(envelope), secret=secret)
        ceiling = self.platform.settings.a2a_ceiling_s if caller and not patience_s else None

        def idle_s() -> float:
            return target.idle_timeout_s or self.platform.settings.a2a_idle_s

        with self._calls_lock:
            self._calls.setdefault(target.id, []).append(call)
        try:
            return call.run(idle_s, ceiling)
        finally:
            with self._calls_lock:
                self._calls[target.id].remove(call)

    def _conclude(self, caller: str, target: Workspace, envelope: dict[str, Any],
                  answer: Answer, began: float, late: bool, item: QueueItem | None) -> Outcome:
        outcome = self._outcome(answer)
        if answer.kind == "busy":
            outcome = self._busy(caller, target, envelope, late, item)
        if outcome.status != 202 or answer.kind != "busy":
            self._mark_outbound(caller)
        if item is None:
            self._log(caller, target, envelope, answer, began)
        if not caller:
            self.platform.emit(target.id, "A2A_RESPONSE", status=outcome.status)
        return outcome

    @staticmethod
    def _outcome(answer: Answer) -> Outcome:
        if answer.kind == "reply" and 200 <= answer.status < 300:
            return Outcome(answer.status, answer.body)
        if answer.kind == "reply":
            reason = http.client.responses.get(answer.status, "")
            text = Outcome(answer.status, answer.body).value()
            error = text.get("error") if isinstance(text, dict) else None
            return refusal(answer.status, error if isinstance(error, str) else reason)
        if answer.kind == "broken":
            return refusal(502, "failed to read agent response",
                           delivery_confirmed=200 <= answer.status < 400)
        return refusal(502, "failed to reach workspace agent")

    def _mark_outbound(self, caller: str) -> None:
        if canonical(caller):
            row = self.platform.store.find(caller)
            if row:
                row.last_outbound_at = self.platform.clock.now()

    def _log(self, caller: str, target: Workspace, envelope: dict[str, Any], answer: Answer,
             began: float) -> None:
        good = answer.kind == "reply" and 200 <= answer.status < 300
        columns: dict[str, Any] = {}
        if answer.kind == "reply" and answer.body:
            value = Outcome(answer.status, answer.body).value()
            columns["response_body"] = (answer.body.decode("utf-8", "replace")
                                        if value is None else value)
        if not good:
            columns["error_detail"] = answer.detail or f"HTTP {answer.status}"
        method = envelope.get("method")
        self.platform.log_activity(
            target.id, "a2a_receive", source_id=canonical(caller), target_id=target.id,
            method=method if isinstance(method, str) else None,
            summary=f"{method} \u2192 {target.name}", status="ok" if good else "error",
            duration_ms=int((time.monotonic() - began) * 1000), request_body=envelope,
            **columns)

    # ---- the queue ----

    def _busy(self, caller: str, target: Workspace, envelope: dict[str, Any], late: bool,
              item: QueueItem | None) -> Outcome:
        busy = {"busy": True, "retry_after": BUSY_RETRY_S}
        if target.capabilities.get("session"):
            return refusal(503, "workspace agent busy", native_session=True, **busy)
        if late or (caller and not canonical(caller)):
            return refusal(503, "workspace agent busy", **busy)
        if item is not None and self.platform.options.later:
            return refusal(503, "workspace agent busy", **busy)     # it stays in the queue
        entry = self._enqueue(caller, target, envelope)
        depth = len(self._waiting(target.id))
        return Outcome(202, gojson.encode({"queued": True, "queue_id": entry.id,
                                           "queue_depth": depth, "message": QUEUED}))

    def _waiting(self, target_id: str) -> list[QueueItem]:
        return [item for item in self._queues.get(target_id, []) if item.status == "queued"]

    def _enqueue(self, caller: str, target: Workspace, envelope: dict[str, Any]) -> QueueItem:
        """One entry for each target and messageId, whoever sends it.

        A message that comes from the queue meets itself here: it is taken for
        delivered, and lost. That is how the platform does it.
        """
        queue = self._queues.setdefault(target.id, [])
        message_id = str((message_of(envelope) or {}).get("messageId") or "")
        for item in queue:
            if message_id and item.message_id == message_id:
                return item
        item = QueueItem(target.id, caller, message_id, gojson.encode(envelope),
                         queued_at=self.platform.clock.now())
        queue.append(item)
        return item

    def drain(self, target: Workspace) -> None:
        """A heartbeat with room for more: deliver from the queue, in the background."""
        if target.active_tasks >= target.max_concurrent_tasks or not self._waiting(target.id):
            return
        rounds = DRAIN_MAX if self.platform.options.later else 1
        threading.Thread(target=self._drain, args=(target.id, rounds), daemon=True).start()

    def _drain(self, target_id: str, rounds: int) -> None:
        for _ in range(rounds):
            with self.platform.lock:
                waiting = self._waiting(target_id)
                if not waiting:
                    return
                item = waiting[0]
                item.status = "dispatched"
                item.attempts += 1
            outcome = self.send(item.caller, item.target, item.body, item=item)
            with self.platform.lock:
                self._settle(item, outcome)
                self.platform.changed.notify_all()
            if not outcome.ok:
                return

    def _settle(self, item: QueueItem, outcome: Outcome) -> None:
        if outcome.ok:
            item.status = "completed"
            if outcome.status != 202:
                self.on_delivered(item, outcome)
        else:
            item.status = "failed" if item.attempts >= ATTEMPTS_MAX else "queued"
        if item.status in ("completed", "failed"):
            self._queues[item.target].remove(item)

    def drop_stale(self, workspace_id: str, max_age_s: float) -> int:
        horizon = self.platform.clock.now() - max_age_s
        dropped = 0
        for target_id, queue in self._queues.items():
            if workspace_id and target_id != workspace_id:
                continue
            for item in self._waiting(target_id):
                if item.queued_at <= horizon:
                    queue.remove(item)
                    dropped += 1
        return dropped

    def queue(self, target_id: str) -> list[dict[str, Any]]:
        """What waits for a workspace, for who looks from behind."""
        return [{"id": item.id, "caller": item.caller, "message_id": item.message_id,
                 "attempts": item.attempts, "status": item.status}
                for item in self._queues.get(target_id, [])]
