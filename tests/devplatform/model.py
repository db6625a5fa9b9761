# SPDX-License-Identifier: MIT
"""The rows a platform keeps, and small helpers on ids and times."""

from __future__ import annotations

import dataclasses
import datetime
import re
import secrets
import uuid
from typing import Any

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

#: Longest text of either kind that creating or changing a workspace accepts.
NAME_MAX, ROLE_MAX = 255, 1000
FORBIDDEN_IN_NAMES = frozenset("{}[]|>*&!\n\r")


def canonical(identifier: str) -> str | None:
    """The lower-case form of a UUID; None for anything else."""
    return identifier.lower() if _UUID.fullmatch(identifier) else None


def new_id() -> str:
    return str(uuid.uuid4())


def new_token() -> str:
    """32 random bytes as 43 characters."""
    return secrets.token_urlsafe(32)


def rfc3339(seconds: float) -> str:
    """A time as the platform prints it: UTC, microseconds without trailing zeros."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{moment.microsecond:06d}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else text + "Z"


@dataclasses.dataclass
class Workspace:
    id: str
    name: str
    created_at: float
    updated_at: float
    role: str | None = None
    tier: int = 3
    status: str = "provisioning"
    agent_card: Any = None
    url: str = ""
    parent_id: str | None = None
    runtime: str = "langgraph"
    active_tasks: int = 0
    max_concurrent_tasks: int = 1
    last_error_rate: float = 0.0
    last_sample_error: str = ""
    uptime_seconds: int = 0
    current_task: str = ""
    x: float = 0
    y: float = 0
    collapsed: bool = False
    workspace_dir: str | None = None
    budget_limit: int | None = None
    monthly_spend: int = 0
    last_outbound_at: float | None = None
    last_heartbeat_at: float | None = None
    presence_until: float | None = None     # the liveness clock that register starts
    capabilities: dict[str, bool] = dataclasses.field(default_factory=dict)
    idle_timeout_s: float | None = None
    removed_at: float | None = None
    delivery_mode: str = "push"             # later generation
    inbound_secret: str = dataclasses.field(default_factory=new_token)

    @property
    def external(self) -> bool:
        return self.runtime == "external"

    @property
    def removed(self) -> bool:
        return self.status == "removed"


@dataclasses.dataclass
class Token:
    id: str
    workspace_id: str       # of an organisation's token: empty
    digest: bytes
    prefix: str
    created_at: float
    name: str = ""
    last_used_at: float | None = None


@dataclasses.dataclass
class Secret:
    value: str
    created_at: float
    updated_at: float


@dataclasses.dataclass
class Activity:
    """A row of the activity log; delegations live here too."""

    seq: int
    id: str
    workspace_id: str
    activity_type: str
    created_at: float
    source_id: str | None = None
    target_id: str | None = None
    method: str | None = None
    summary: str | None = None
    duration_ms: int | None = None
    status: str = "ok"
    error_detail: str | None = None
    request_body: Any = None
    response_body: Any = None
    idempotency_key: str = ""
