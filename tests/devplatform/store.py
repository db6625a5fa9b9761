# SPDX-License-Identifier: MIT
"""The datastore: every table in memory, and an outage at the turn of a switch.

Whoever uses a store holds the platform's lock. Each access goes through a
method, and each method fails while the store is down: what a route answers
during an outage then follows from what it asks for, as on the real platform.
"""

from __future__ import annotations

import collections
import hashlib
from collections.abc import Iterator
from typing import Any

from .clock import Clock
from .gojson import has_nul
from .model import Activity, Secret, Token, Workspace, canonical, new_id, new_token

TOKENS_MAX = 50             # live tokens of one workspace
ACTIVITY_MAX = 10_000       # rows kept of one workspace; the real limit is an age
ANCESTORS_MAX = 32          # how far up the hierarchy is walked

_INT32 = 1 << 31


class StoreError(Exception):
    """The datastore has refused a statement, or is not there."""


class Store:
    def __init__(self, clock: Clock):
        self.clock = clock
        self.down = False
        self.activity_seq = 0
        self._workspaces: dict[str, Workspace] = {}
        self._tokens: dict[bytes, Token] = {}
        self._tokens_of: dict[str, dict[str, Token]] = {}
        self._secrets: dict[str, dict[str, Secret]] = {}     # of a workspace; "" is global
        self._activity: dict[str, collections.deque[Activity]] = {}
        self._rows: dict[tuple[str, str], Any] = {}          # everything else, see rows()

    def check(self) -> None:
        if self.down:
            raise StoreError("the datastore is down")

    @staticmethod
    def check_text(*values: Any) -> None:
        """A NUL cannot be kept in a text or a JSON column."""
        if has_nul(list(values)):
            raise StoreError("a NUL in a text")

    @staticmethod
    def check_int32(*values: int) -> None:
        if any(not -_INT32 <= value < _INT32 for value in values):
            raise StoreError("integer out of range")

    # ---- workspaces ----

    def find(self, identifier: str) -> Workspace | None:
        """The row with that id in any case; an id that is no UUID is an error."""
        self.check()
        key = canonical(identifier)
        if key is None:
            raise StoreError("not a UUID")
        return self._workspaces.get(key)

    def insert(self, workspace: Workspace) -> None:
        self.check()
        self.check_text(workspace.name, workspace.role, workspace.url, workspace.agent_card)
        self._workspaces[workspace.id] = workspace

    def workspaces(self) -> Iterator[Workspace]:
        """Those that are not removed, in the order of creation."""
        self.check()
        return (row for row in list(self._workspaces.values()) if not row.removed)

    def children(self, identifier: str) -> list[Workspace]:
        return [row for row in self.workspaces() if row.parent_id == identifier]

    def descendants(self, identifier: str) -> list[Workspace]:
        found: list[Workspace] = []
        for child in self.children(identifier):
            found.append(child)
            found += self.descendants(child.id)
        return found

    def ancestors(self, workspace: Workspace) -> Iterator[Workspace]:
        for _ in range(ANCESTORS_MAX):
            parent = self._workspaces.get(workspace.parent_id or "")
            if parent is None:
                return
            yield parent
            workspace = parent

    def purge(self, identifier: str) -> None:
        self.check()
        self._workspaces.pop(identifier, None)
        self.revoke_all(identifier)
        self._secrets.pop(identifier, None)
        self._activity.pop(identifier, None)
        for key in [key for key in self._rows if key[1] == identifier]:
            del self._rows[key]

    def can_communicate(self, a: str, b: str) -> bool:
        """Whether the hierarchy lets a call b; False when it cannot be told."""
        if a == b:
            return True
        try:
            one, two = self.find(a), self.find(b)
        except StoreError:
            return False
        if one is None or two is None:
            return False
        return (one.parent_id == two.parent_id or one in self.ancestors(two)
                or two in self.ancestors(one))

    # ---- tokens ----

    def mint(self, workspace_id: str, name: str = "") -> tuple[str, Token]:
        """A new token and its row; of the organisation if the id is empty."""
        self.check()
        text = new_token()
        row = Token(new_id(), workspace_id, hashlib.sha256(text.encode()).digest(), text[:8],
                    self.clock.now(), name)
        self._tokens[row.digest] = row
        self._tokens_of.setdefault(workspace_id, {})[row.id] = row
        return text, row

    def live_tokens(self, identifier: str) -> list[Token]:
        """Oldest first; the id may be in any case, but has to be a UUID (or empty)."""
        self.check()
        key = canonical(identifier) if identifier else ""
        if key is None:
            raise StoreError("not a UUID")
        return list(self._tokens_of.get(key, {}).values())

    def any_token(self) -> bool:
        self.check()
        return any(row.workspace_id for row in self._tokens.values())

    def token(self, text: str) -> Token | None:
        """The row of a token that works. Using it leaves a time behind."""
        self.check()
        row = self._tokens.get(hashlib.sha256(text.encode("utf-8", "replace")).digest())
        if row is None:
            return None
        if row.workspace_id:
            owner = self._workspaces.get(row.workspace_id)
            if owner is None or owner.removed:
                return None
        row.last_used_at = self.clock.now()
        return row

    def revoke(self, workspace_id: str, token_id: str) -> bool:
        self.check()
        if canonical(token_id) is None:
            raise StoreError("not a UUID")
        row = self._tokens_of.get(workspace_id, {}).pop(token_id.lower(), None)
        if row is None:
            return False
        del self._tokens[row.digest]
        return True

    def revoke_all(self, workspace_id: str) -> None:
        self.check()
        for row in self._tokens_of.pop(workspace_id, {}).values():
            del self._tokens[row.digest]

    # ---- secrets ----

    def secrets(self, workspace_id: str) -> dict[str, Secret]:
        """Of a workspace, or the global ones ("")."""
        self.check()
        return self._secrets.setdefault(workspace_id, {})

    def set_secret(self, workspace_id: str, key: str, value: str) -> None:
        self.check_text(key)
        table = self.secrets(workspace_id)
        now = self.clock.now()
        created = table[key].created_at if key in table else now
        table[key] = Secret(value, created, now)

    def bundle(self, workspace_id: str) -> dict[str, str]:
        """What an agent gets: global secrets, overlaid by its own."""
        merged = {**self.secrets(""), **self.secrets(workspace_id)}
        return {key: secret.value for key, secret in merged.items()}

    # ---- activity ----

    def log(self, workspace_id: str, activity_type: str, /, **columns: Any) -> Activity:
        self.check()
        self.check_text(list(columns.values()))
        for name in ("source_id", "target_id"):
            value = columns.get(name)
            if value and canonical(value) is None:
                raise StoreError(f"{name} is not a UUID")
        self.activity_seq += 1
        row = Activity(self.activity_seq, new_id(), workspace_id, activity_type,
                       self.clock.now(), **columns)
        log = self._activity.setdefault(workspace_id, collections.deque(maxlen=ACTIVITY_MAX))
        log.append(row)
        return row

    def activity(self, workspace_id: str) -> list[Activity]:
        """Oldest first."""
        self.check()
        return list(self._activity.get(workspace_id, ()))

    def forget_activity(self, row: Activity) -> None:
        self.check()
        self._activity[row.workspace_id].remove(row)

    # ---- everything else ----

    def rows(self, table: str, workspace_id: str) -> dict[str, Any]:
        """A small table of a workspace, by key; the caller defines what a row is."""
        self.check()
        return self._rows.setdefault((table, workspace_id), {})

    def tables(self, table: str) -> Iterator[dict[str, Any]]:
        """That table of every workspace."""
        self.check()
        return (rows for (name, _), rows in list(self._rows.items()) if name == table)
