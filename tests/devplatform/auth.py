# SPDX-License-Identifier: MIT
"""The gates: who may ask, and what those hear who may not.

There are several, and they differ in what they take for proof and in what they
make of a datastore that does not answer.
"""

from __future__ import annotations

from .router import Call, Refused
from .store import StoreError


def bearer(call: Call) -> str:
    """The token presented; the scheme is case-sensitive, blanks do not matter."""
    scheme, _, token = call.request.header("authorization").partition(" ")
    return token.strip() if scheme == "Bearer" else ""


def is_own(call: Call, workspace_id: str, token: str) -> bool:
    """Whether the token is one of that workspace's; the id counts byte for byte."""
    row = call.store.token(token)
    return row is not None and row.workspace_id == workspace_id


def registry(call: Call, workspace_id: str) -> None:
    """Register, heartbeat, card: open as long as the workspace has no live token."""
    try:
        if not call.store.live_tokens(workspace_id):
            return
        _demand_own(call, workspace_id, "workspace auth token")
    except StoreError:
        return  # the handler will meet the same failure


def _demand_own(call: Call, workspace_id: str, what: str) -> None:
    token = bearer(call)
    if not token:
        raise Refused(401, f"missing {what}")
    if not is_own(call, workspace_id, token):
        raise Refused(401, f"invalid {what}")


def workspace(call: Call) -> None:
    """Everything below /workspaces/ID: the operator, or the workspace itself.

    An outage looks like a bad token here.
    """
    token = bearer(call)
    if not token:
        if call.platform.settings.dev_open:
            return
        raise Refused(401, "missing workspace auth token")
    if token == call.platform.admin_token:
        return
    try:
        row = call.store.token(token)
    except StoreError:
        row = None
    if row is None or row.workspace_id not in ("", call.id):
        raise Refused(401, "invalid workspace auth token")


def strictly_own(call: Call) -> None:
    """After workspace(): once it has a token, not even the operator gets in without."""
    workspace(call)
    try:
        if call.store.live_tokens(call.id):
            _demand_own(call, call.id, "workspace auth token")
    except StoreError:
        if not call.store.down:
            return  # an id that is no UUID has no tokens; the handler will say so
        raise Refused(500, "auth check failed") from None


def discovery(call: Call, caller: str) -> None:
    """Peers and discover: the caller's own token, if it has any."""
    try:
        if call.platform.settings.dev_open or not call.store.live_tokens(caller):
            return
        _demand_own(call, caller, "workspace auth token")
    except StoreError:
        return


def a2a_caller(call: Call, caller: str) -> None:
    """A message in another workspace's name."""
    try:
        if call.store.live_tokens(caller):
            _demand_own(call, caller, "caller auth token")
    except StoreError:
        return


def admin(call: Call) -> None:
    """The operator. Without an admin token, any workspace's token makes one."""
    settings = call.platform.settings
    if settings.dev_open:
        return
    expected = call.platform.admin_token
    try:
        if not expected and not call.store.any_token():
            return
        token = bearer(call)
        if not token:
            raise Refused(401, "admin auth required")
        if expected and token == expected:
            return
        row = call.store.token(token)
    except StoreError:
        raise Refused(503, "platform datastore unavailable \u2014 retry shortly",
                      code="platform_unavailable") from None
    if row is None or (expected and row.workspace_id):
        raise Refused(401, "invalid admin auth token")
