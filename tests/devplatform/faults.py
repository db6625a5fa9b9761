# SPDX-License-Identifier: MIT
"""Rules by which the stand-in misbehaves: which requests, how often, and how."""

from __future__ import annotations

import base64
import dataclasses
import fnmatch
import threading
import time
from typing import Any

from .endpoints import ENDPOINTS
from .gojson import encode
from .wire import Headers, Request

DROPS = ("accept", "request", "reply", "headers", "body")
PARTS = ("head", "body", "all")


class BadRule(Exception):
    """A sentence for whoever wrote the rule."""


@dataclasses.dataclass
class Slow:
    bytes: int = 1
    every_ms: float = 100
    part: str = "all"


@dataclasses.dataclass
class Action:
    """How to misbehave. Everything may be combined as far as it makes sense."""

    delay_ms: float = 0
    hang: bool = False
    status: int | None = None
    headers: Headers = dataclasses.field(default_factory=list)
    body: bytes | None = None
    raw: bytes | None = None
    drop: str = ""
    rst: bool = False
    process: bool = True
    length_off: int = 0
    both_lengths: bool = False
    bad_chunk: bool = False
    http09: bool = False
    gzip: bool = False
    cut: int | None = None
    malformed: bool = False
    wrong_types: bool | str = False
    huge_headers: tuple[int, int] | None = None
    huge_body_mib: int = 0
    slow: Slow | None = None
    interim: list[int] = dataclasses.field(default_factory=list)
    close: bool = False
    end: bool = False


@dataclasses.dataclass
class Rule:
    id: int
    action: Action
    source: dict[str, Any]
    endpoint: str = "any"
    method: str = ""
    path: str = ""
    workspace: str = ""
    times: int | None = None
    after: int = 0
    matched: int = 0
    hits: int = 0
    released: threading.Event = dataclasses.field(default_factory=threading.Event)

    @property
    def spent(self) -> bool:
        return self.times is not None and self.hits >= self.times

    def fits(self, request: Request, endpoint: str, names: frozenset[str]) -> bool:
        return ((self.endpoint == "any" or self.endpoint == endpoint)
                and (not self.method or self.method == request.method)
                and (not self.path or fnmatch.fnmatchcase(request.path, self.path))
                and (not self.workspace or self.workspace in names))

    def show(self) -> dict[str, Any]:
        return {"id": self.id, "hits": self.hits, "matched": self.matched,
                "spent": self.spent, "rule": self.source}


class Faults:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: dict[int, Rule] = {}
        self._last_id = 0

    def add(self, source: Any) -> Rule:
        with self._lock:
            self._last_id += 1
            rule = parse_rule(self._last_id, source)
            self._rules[rule.id] = rule
        return rule

    def remove(self, rule_id: int) -> bool:
        with self._lock:
            rule = self._rules.pop(rule_id, None)
        if rule:
            rule.released.set()
        return rule is not None

    def clear(self) -> int:
        with self._lock:
            rules, self._rules = list(self._rules.values()), {}
        for rule in rules:
            rule.released.set()
        return len(rules)

    def release(self, rule_id: int) -> bool:
        """Let go whoever hangs on a rule; those who come later hang again."""
        with self._lock:
            rule = self._rules.get(rule_id)
            if rule:
                rule.released.set()
                rule.released = threading.Event()
        return rule is not None

    def show(self, rule_id: int | None = None) -> list[dict[str, Any]]:
        with self._lock:
            return [rule.show() for rule in self._rules.values()
                    if rule_id in (None, rule.id)]

    def take(self, request: Request, endpoint: str, names: frozenset[str]) -> Rule | None:
        """The oldest rule that is for this request; counts it."""
        if not self._rules:
            return None
        with self._lock:
            for rule in self._rules.values():
                if rule.action.drop == "accept" or rule.spent:
                    continue
                if rule.fits(request, endpoint, names):
                    rule.matched += 1
                    if rule.matched > rule.after:
                        rule.hits += 1
                        return rule
        return None

    def take_accept(self) -> Rule | None:
        """The rule for a connection that is to be dropped at once."""
        if not self._rules:
            return None
        with self._lock:
            for rule in self._rules.values():
                if rule.action.drop == "accept" and not rule.spent:
                    rule.matched += 1
                    if rule.matched > rule.after:
                        rule.hits += 1
                        return rule
        return None


# ---- reading a rule ----

_MATCHING = {"endpoint", "method", "path", "workspace", "times", "after"}
_DOING = {"delay_ms", "hang", "status", "headers", "retry_after", "body", "json", "raw",
          "raw_base64", "drop", "rst", "process", "length_off", "both_lengths", "bad_chunk",
          "http09", "gzip", "cut", "malformed", "wrong_types", "huge_headers",
          "huge_body_mib", "slow", "redirect", "interim", "close", "keep_open"}
_FLAGS = ("hang", "rst", "both_lengths", "bad_chunk", "http09", "gzip", "malformed")


def parse_rule(rule_id: int, source: Any) -> Rule:
    if not isinstance(source, dict):
        raise BadRule("a rule is a JSON object")
    unknown = set(source) - _MATCHING - _DOING
    if unknown:
        raise BadRule(f"unknown members: {', '.join(sorted(unknown))}")
    if not set(source) & _DOING:
        raise BadRule(f"a rule says what to do: one of {', '.join(sorted(_DOING))}")
    endpoint = source.get("endpoint", "any")
    if endpoint != "any" and endpoint not in ENDPOINTS:
        raise BadRule(f"endpoint is any or one of {', '.join(sorted(ENDPOINTS))}")
    times = source.get("times")
    if times is not None and (not isinstance(times, int) or times < 1):
        raise BadRule("times is a positive integer")
    rule = Rule(rule_id, _parse_action(source), source, endpoint, source.get("method", ""),
                source.get("path", ""), source.get("workspace", ""), times,
                int(source.get("after", 0)))
    if rule.action.drop == "accept" and times is None:
        raise BadRule("a rule that drops at accept needs times: it also hits /_dev/ calls")
    return rule


def _parse_action(source: dict[str, Any]) -> Action:
    action = Action(**{name: bool(source.get(name)) for name in _FLAGS})
    action.delay_ms = float(source.get("delay_ms", 0))
    action.status = source.get("status")
    action.headers = _parse_headers(source)
    action.body = _parse_body(source)
    action.raw = _parse_raw(source)
    action.drop = source.get("drop", "")
    if action.drop and action.drop not in DROPS:
        raise BadRule(f"drop is one of {', '.join(DROPS)}")
    action.length_off = int(source.get("length_off", 0))
    action.cut = source.get("cut")
    action.wrong_types = source.get("wrong_types", False)
    action.huge_body_mib = int(source.get("huge_body_mib", 0))
    action.huge_headers = _parse_huge_headers(source.get("huge_headers"))
    action.slow = _parse_slow(source.get("slow"))
    action.interim = list(source.get("interim", []))
    action.close = bool(source.get("close"))
    _parse_redirect(action, source.get("redirect"))
    replaced = (action.status is not None or action.raw is not None
                or action.drop in ("accept", "request") or action.huge_body_mib > 0)
    action.process = bool(source.get("process", not replaced))
    misframed = (action.length_off != 0 or action.both_lengths or action.bad_chunk
                 or action.http09 or action.raw is not None or action.close)
    action.end = misframed and not source.get("keep_open", False)
    return action


def _parse_headers(source: dict[str, Any]) -> Headers:
    given = source.get("headers", [])
    pairs = list(given.items()) if isinstance(given, dict) else [tuple(pair) for pair in given]
    retry = source.get("retry_after", [])
    pairs += [("Retry-After", value) for value in ([retry] if isinstance(retry, (str, int))
                                                   else retry)]
    if any(len(pair) != 2 for pair in pairs):
        raise BadRule("headers is an object, or a list of pairs")
    return [(str(name), str(value)) for name, value in pairs]


def _parse_body(source: dict[str, Any]) -> bytes | None:
    if "json" in source:
        return encode(source["json"])
    return source["body"].encode() if "body" in source else None


def _parse_raw(source: dict[str, Any]) -> bytes | None:
    if "raw_base64" in source:
        return base64.b64decode(source["raw_base64"])
    return source["raw"].encode("latin-1") if "raw" in source else None


def _parse_huge_headers(given: Any) -> tuple[int, int] | None:
    if given is None:
        return None
    if not isinstance(given, dict):
        raise BadRule('huge_headers is {"count": n, "bytes": n}')
    return int(given.get("count", 1)), int(given.get("bytes", 16))


def _parse_slow(given: Any) -> Slow | None:
    if given is None:
        return None
    slow = Slow(**given) if isinstance(given, dict) else Slow()
    if slow.part not in PARTS or slow.bytes < 1:
        raise BadRule(f"slow has bytes >= 1, every_ms, and part: one of {', '.join(PARTS)}")
    return slow


def _parse_redirect(action: Action, given: Any) -> None:
    if given is None:
        return
    if isinstance(given, str):
        given = {"location": given}
    if not isinstance(given, dict) or "location" not in given:
        raise BadRule('redirect is {"location": url, "status": 301|302|303|307|308}')
    action.status = int(given.get("status", 302))
    action.headers.append(("Location", given["location"]))
    if action.body is None:
        action.body = b""


def wait_released(rule: Rule, seconds: float | None) -> None:
    """Sleep, or hang, until the time is over or the rule lets go."""
    released = rule.released
    deadline = None if seconds is None else time.monotonic() + seconds
    released.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
