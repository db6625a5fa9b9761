# SPDX-License-Identifier: MIT
"""The platform itself: its state, its clock, what it does by itself.

One lock guards the state. Routes run under it, except for those that wait for
somebody else; see router.route().
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from .clock import Clock
from .events import Events
from .limits import RateLimit
from .model import Workspace
from .proxy import Proxy
from .settings import Options
from .store import Store, StoreError

MCP_RATE_LIMIT = 120    # calls of the tool bridge a minute and token
ORG_TOKENS_AN_HOUR = 10

log = logging.getLogger("devplatform")


class Platform:
    def __init__(self, options: Options):
        self.options = options
        self.settings = options.settings
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.clock = Clock()
        self.store = Store(self.clock)
        self.events = Events()
        self.limit = RateLimit(self.settings.rate_limit)
        self.mcp_limit = RateLimit(MCP_RATE_LIMIT)
        self.org_token_limit = RateLimit(ORG_TOKENS_AN_HOUR, 3600)
        self.proxy = Proxy(self)
        self.events.on_event = self.proxy.sign_of_life
        self.requests_served = 0
        self.stopping = threading.Event()

    @property
    def admin_token(self) -> str:
        return "" if self.settings.dev_open else self.options.admin_token

    @property
    def saas(self) -> bool:
        """A platform of one organisation: private addresses are its own."""
        return bool(self.settings.org_id)

    # ---- state ----

    def emit(self, workspace_id: str, kind: str, /, **data: Any) -> None:
        self.events.emit(workspace_id, kind, self.clock.unix_ms(), data)

    def set_status(self, workspace: Workspace, status: str, event: str, /, **data: Any) -> None:
        workspace.status = status
        workspace.updated_at = self.clock.now()
        self.emit(workspace.id, event, **data)

    def log_activity(self, workspace_id: str, activity_type: str, /, **columns: Any) -> Any:
        """A row in the activity log, and its event, which has no bodies."""
        row = self.store.log(workspace_id, activity_type, **columns)
        self.emit(workspace_id, "ACTIVITY_LOGGED", activity_type=activity_type,
                  method=row.method, summary=row.summary, status=row.status,
                  source_id=row.source_id, target_id=row.target_id,
                  duration_ms=row.duration_ms)
        return row

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Run action under the lock, after a while."""
        def run() -> None:
            with self.lock:
                try:
                    action()
                except StoreError:
                    pass    # an outage in the meantime: it has not happened
                self.changed.notify_all()

        timer = threading.Timer(delay_s, run)
        timer.daemon = True
        timer.start()

    # ---- what happens when nobody calls ----

    def start(self) -> None:
        for period, sweep in ((self.settings.sweep_s, self.sweep_silent),
                              (self.settings.provision_sweep_s, self.sweep_provisioning),
                              (1.0, self.sweep_presence)):
            threading.Thread(target=self._repeat, args=(period, sweep), daemon=True).start()

    def stop(self) -> None:
        self.stopping.set()

    def _repeat(self, period_s: float, sweep: Callable[[], None]) -> None:
        due = time.monotonic() + period_s
        while not self.stopping.wait(max(0.0, due - time.monotonic())):
            due += period_s
            self.run_sweep(sweep)

    def run_sweep(self, sweep: Callable[[], None]) -> None:
        with self.lock:
            try:
                sweep()
            except StoreError:
                pass    # the next one will see
            self.changed.notify_all()

    def sweep_all(self) -> None:
        for sweep in (self.sweep_silent, self.sweep_provisioning, self.sweep_presence):
            self.run_sweep(sweep)

    def sweep_silent(self) -> None:
        """External agents that have been silent for too long are gone."""
        if self.saas:
            return  # that kind of platform has only the presence clock
        horizon = self.clock.now() - self.settings.stale_after_s
        for row in self.store.workspaces():
            heard = row.last_heartbeat_at or row.updated_at
            if row.external and row.status in ("online", "degraded") and heard < horizon:
                self._take_for_gone(row)

    def sweep_presence(self) -> None:
        """The clock that register starts has run out."""
        now = self.clock.now()
        for row in self.store.workspaces():
            if row.presence_until is None or row.presence_until > now:
                continue
            row.presence_until = None
            if row.status not in ("paused", "hibernated", "awaiting_agent", "offline"):
                self._take_for_gone(row)

    def _take_for_gone(self, row: Workspace) -> None:
        row.presence_until = None
        later = self.options.later and row.external
        self.set_status(row, "awaiting_agent" if later else "offline", "WORKSPACE_OFFLINE")
        log.info("%s has gone silent: %s", row.id, row.status)

    def sweep_provisioning(self) -> None:
        """Nobody has connected to a new workspace in time."""
        horizon = self.clock.now() - self.settings.provision_timeout_s
        for row in self.store.workspaces():
            if row.status == "provisioning" and row.updated_at < horizon:
                self.set_status(row, "failed", "WORKSPACE_PROVISION_FAILED",
                                error="provisioning timed out")
