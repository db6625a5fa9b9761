# SPDX-License-Identifier: MIT
"""Names for the endpoints an agent uses, and the workspaces a request is about."""

from __future__ import annotations

import fnmatch
import re

from .wire import Request

#: name -> (method, path pattern); the first that matches names a request.
ENDPOINTS: dict[str, tuple[str, str]] = {
    "register": ("POST", "/registry/register"),
    "heartbeat": ("POST", "/registry/heartbeat"),
    "update_card": ("POST", "/registry/update-card"),
    "discover": ("GET", "/registry/discover/*"),
    "peers": ("GET", "/registry/*/peers"),
    "check_access": ("POST", "/registry/check-access"),
    "state": ("GET", "/workspaces/*/state"),
    "secrets": ("GET", "/workspaces/*/secrets/values"),
    "a2a": ("POST", "/workspaces/*/a2a"),
    "delegate": ("POST", "/workspaces/*/delegate"),
    "delegations": ("*", "/workspaces/*/delegations*"),
    "tokens": ("*", "/workspaces/*/tokens*"),
    "activity": ("*", "/workspaces/*/activity"),
    "notify": ("POST", "/workspaces/*/notify"),
    "events": ("GET", "/workspaces/*/events/stream"),
    "download": ("GET", "/workspaces/*/plugins/*/download"),
    "plugins": ("*", "/workspaces/*/plugins*"),
    "mcp": ("*", "/workspaces/*/mcp*"),
    "health": ("GET", "/health"),
    "workspace": ("GET", "/workspaces/*"),
}

_BODY_ID = re.compile(rb'"(?:workspace_id|id)"\s*:\s*"([^"]{1,64})"', re.IGNORECASE)
_IN_BODY = frozenset(("register", "heartbeat", "update_card"))


def _fits(request: Request, method: str, pattern: str) -> bool:
    return method in ("*", request.method) and fnmatch.fnmatchcase(request.path, pattern)


def name_of(request: Request) -> str:
    """The symbolic name of what a request asks for; empty if it has none."""
    for name, (method, pattern) in ENDPOINTS.items():
        if _fits(request, method, pattern):
            # "*" also spans slashes: /workspaces/ID is a workspace, what lies below is not.
            if name != "workspace" or request.path.count("/") == 2:
                return name
    return ""


def workspaces_of(request: Request, endpoint: str) -> frozenset[str]:
    """The workspaces that a request names: in its path, its body, its header."""
    names = set()
    segments = request.path.split("/")
    if len(segments) > 2 and segments[1] == "workspaces":
        names.add(segments[2])
    elif endpoint == "peers":
        names.add(segments[2])
    elif endpoint == "discover":
        names.add(segments[3])
    elif endpoint in _IN_BODY:
        found = _BODY_ID.search(request.body)
        if found:
            names.add(found.group(1).decode("utf-8", "replace"))
    if request.header("x-workspace-id"):
        names.add(request.header("x-workspace-id"))
    return frozenset(names)
