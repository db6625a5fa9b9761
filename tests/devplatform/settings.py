# SPDX-License-Identifier: MIT
"""How a stand-in is set up."""

from __future__ import annotations

import dataclasses
from pathlib import Path

GENERATIONS = ("2026-04", "2026-08")


@dataclasses.dataclass
class Settings:
    """The keys of --settings, each with the real platform's default."""

    rate_limit: int = 600              # requests a minute and address; 0: no limit
    org_id: str = ""                   # ask for X-Molecule-Org-Id with this value
    stale_after_s: float = 90          # silence after which an agent counts as gone
    sweep_s: float = 15                # how often that is looked at
    presence_ttl_s: float = 180        # the other liveness clock: started by register
    provision_timeout_s: float = 600   # patience with a workspace that stays provisioning
    provision_sweep_s: float = 30      # how often that is looked at
    a2a_idle_s: float = 300            # silence after which a call to an agent is given up
    a2a_ceiling_s: float = 1800        # the longest call on behalf of another agent
    delegate_retry_s: float = 8        # before an unreachable target is tried once more
    resume_ms: float = 20              # between resume or restart and the failure it ends in
    strict_dial: bool = False          # do not call loopback and private addresses
    dev_open: bool = False             # no admin token, development mode
    keep_paused: bool = False          # a register leaves a paused workspace paused
    test_tokens: bool = True           # GET /admin/workspaces/ID/test-token is there


@dataclasses.dataclass
class Options:
    """Everything else that a stand-in is started with."""

    settings: Settings = dataclasses.field(default_factory=Settings)
    generation: str = GENERATIONS[0]
    admin_token: str = ""
    plugins: Path | None = None
    tls: Path | None = None
    port: int = 0
    record: int = 10_000

    @property
    def later(self) -> bool:
        """Whether the later generation of the API is asked for."""
        return self.generation != GENERATIONS[0]


def parse_settings(text: str) -> Settings:
    """Settings from 'key=value,...'; raises ValueError with a sentence.

    >>> parse_settings("rate_limit=20,dev_open=true").rate_limit
    20
    """
    settings = Settings()
    known = {field.name: type(getattr(settings, field.name))
             for field in dataclasses.fields(Settings)}
    for part in filter(None, text.split(",")):
        key, sign, value = part.partition("=")
        if key not in known or not sign:
            raise ValueError(f"{part!r} is not KEY=VALUE with one of {', '.join(sorted(known))}")
        setattr(settings, key, _convert(key, value, known[key]))
    return settings


def _convert(key: str, value: str, kind: type) -> int | float | bool | str:
    if kind is bool:
        if value not in ("true", "false"):
            raise ValueError(f"{key} is true or false, not {value!r}")
        return value == "true"
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"{key} is a number, not {value!r}") from None
