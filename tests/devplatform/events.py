# SPDX-License-Identifier: MIT
"""Events of workspaces, and who listens to them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

BUFFER_MAX = 64     # events waiting for one slow listener; further ones are dropped

Listener = Callable[[str], None]


class Subscription:
    def __init__(self, workspace_id: str):
        self.workspace_id = workspace_id
        self.queue: queue.Queue[dict[str, Any]] = queue.Queue(BUFFER_MAX)


class Events:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: dict[str, list[Subscription]] = {}
        self.on_event: Listener = lambda workspace_id: None

    def subscribe(self, workspace_id: str) -> Subscription:
        subscription = Subscription(workspace_id)
        with self._lock:
            self._subscriptions.setdefault(workspace_id, []).append(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        with self._lock:
            self._subscriptions[subscription.workspace_id].remove(subscription)

    def emit(self, workspace_id: str, kind: str, timestamp: int, data: dict[str, Any]) -> None:
        event = {"type": kind, "timestamp": timestamp, "data": data}
        with self._lock:
            subscriptions = list(self._subscriptions.get(workspace_id, ()))
        for subscription in subscriptions:
            try:
                subscription.queue.put_nowait(event)
            except queue.Full:
                pass
        self.on_event(workspace_id)
