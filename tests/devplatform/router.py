# SPDX-License-Identifier: MIT
"""Routes: which function answers what, who may ask, and how failures look."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .gojson import BadBody, Fields, decode
from .store import StoreError
from .wire import Headers, Request, Response, json_response

if TYPE_CHECKING:
    from .platform import Platform
    from .store import Store


class Refused(Exception):
    """Ends a route with this reply."""

    def __init__(self, status: int, error: str, headers: Headers | None = None, /,
                 **members: Any):
        super().__init__(error)
        self.response = json_response(status, {"error": error, **members})
        self.response.headers += headers or []


@dataclasses.dataclass
class Call:
    """One request on its way through a route."""

    platform: Platform
    request: Request
    params: dict[str, str]

    @property
    def store(self) -> Store:
        return self.platform.store

    @property
    def id(self) -> str:
        """The workspace that the path names, as it was written."""
        return self.params["id"]

    def fields(self) -> Fields:
        """The body, which has to be an object (or null)."""
        return Fields(decode(self.request.body))

    def argument(self, name: str) -> str:
        return self.request.argument(name)

    def limit(self, default: int, cap: int) -> int:
        """The query's limit; anything but a positive integer is the default."""
        text = self.argument("limit")
        value = int(text) if text.isascii() and text.isdigit() else 0
        return min(value, cap) if value > 0 else default


Handler = Callable[[Call], Response]
Gate = Callable[[Call], None]


@dataclasses.dataclass
class Route:
    method: str
    segments: list[str]
    handler: Handler
    gate: Gate | None
    bad: str
    outage: str
    unlocked: bool

    def match(self, segments: list[str]) -> dict[str, str] | None:
        params = {}
        for expected, actual in zip(self.segments, segments):
            if expected.startswith(":"):
                if not actual:
                    return None
                params[expected[1:]] = actual
            elif expected != actual:
                return None
        return params

    def run(self, call: Call) -> Response:
        if self.unlocked:
            return self._answer(call)
        with call.platform.lock:
            response = self._answer(call)
            if call.request.method != "GET":
                call.platform.changed.notify_all()
            return response

    def _answer(self, call: Call) -> Response:
        try:
            if self.gate:
                with call.platform.lock:
                    self.gate(call)
            return self.handler(call)
        except Refused as refusal:
            return refusal.response
        except BadBody:
            return json_response(400, {"error": self.bad})
        except StoreError:
            return json_response(500, {"error": self.outage})


_routes: dict[tuple[str, int], list[Route]] = {}


def route(method: str, pattern: str, *, gate: Gate | None = None,
          bad: str = "invalid request body", outage: str = "query failed",
          unlocked: bool = False) -> Callable[[Handler], Handler]:
    """Declare a route.

    bad is the error of a body that cannot be read, outage that of a datastore
    that fails. A route that is unlocked takes the platform's lock by itself,
    because it waits: for an agent, a resolver, or for ever.
    """
    segments = pattern.split("/")

    def declare(handler: Handler) -> Handler:
        table = _routes.setdefault((method, len(segments)), [])
        table.append(Route(method, segments, handler, gate, bad, outage, unlocked))
        # Literal segments win over parameters, wherever they were declared.
        table.sort(key=lambda entry: [part.startswith(":") for part in entry.segments])
        return handler

    return declare


def find(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    segments = path.split("/")
    for entry in _routes.get((method, len(segments)), ()):
        params = entry.match(segments)
        if params is not None:
            return entry, params
    return None
