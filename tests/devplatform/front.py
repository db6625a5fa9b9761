# SPDX-License-Identifier: MIT
"""What happens to every request before and after its route.

In the platform's order: origin, rate limit, organisation, security headers,
route. An earlier refusal lacks what a later stage would have added.
"""

from __future__ import annotations

import functools
import logging

from .api import delegation    # with its siblings, declares the routes
from .platform import Platform
from .router import Call, find
from .wire import Headers, Request, Response, json_response, text_response

log = logging.getLogger("devplatform")

CANVAS_ORIGINS = ("http://localhost:3000", "http://localhost:3001")

#: Paths that a platform of one organisation serves without its header.
OPEN_PATHS = ("/health", "/metrics", "/registry/register", "/registry/heartbeat")

SECURITY: Headers = [
    ("Content-Security-Policy", "default-src 'self'"),
    ("Permissions-Policy", "camera=(), microphone=(), geolocation=()"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
]


def attach(platform: Platform) -> None:
    """Let the endpoints hear what the platform has to tell them."""
    platform.proxy.on_delivered = functools.partial(delegation.delivered, platform)


def respond(platform: Platform, request: Request) -> Response:
    """The platform's answer; never raises."""
    platform.requests_served += 1
    redirect = _slash_redirect(request)
    if redirect:
        return redirect
    origin = request.header("origin")
    if origin and not _origin_allowed(request, origin):
        return Response(403)
    shared: Headers = []
    if origin in CANVAS_ORIGINS:
        shared += [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
    if origin and request.method == "OPTIONS":
        return Response(204, shared)
    response = _limited(platform, request, shared)
    if response is None:
        response = _guarded(platform, request, shared)
    response.headers = shared + response.headers
    return response


def _slash_redirect(request: Request) -> Response | None:
    path = request.path
    if len(path) < 2 or not path.endswith("/") or not find(request.method, path[:-1]):
        return None
    status = 301 if request.method == "GET" else 307
    return Response(status, [("Location", path[:-1])])


def _origin_allowed(request: Request, origin: str) -> bool:
    host = request.header("host")
    return origin in (f"http://{host}", f"https://{host}", *CANVAS_ORIGINS)


def _limited(platform: Platform, request: Request, shared: Headers) -> Response | None:
    """A refusal if the address has used up its minute; adds the headers that tell."""
    if platform.settings.dev_open or not platform.limit.limit:
        shared.append(("X-RateLimit-Limit", "unlimited"))
        return None
    verdict = platform.limit.take(request.peer[0])
    shared += verdict.headers()
    if verdict.allowed:
        return None
    response = json_response(429, {"error": "rate limit exceeded",
                                   "retry_after": verdict.reset_s})
    response.add("Retry-After", str(verdict.reset_s))
    return response


def _guarded(platform: Platform, request: Request, shared: Headers) -> Response:
    if not _belongs(platform.settings.org_id, request):
        return Response(404)
    shared += SECURITY
    found = find(request.method, request.path)
    if found is None:
        return text_response(404, "404 page not found")
    entry, params = found
    try:
        return entry.run(Call(platform, request, params))
    except Exception:
        # As the platform does: an empty 500 for the caller, the story in the log.
        log.exception("%s %s", request.method, request.path)
        return Response(500)


def _belongs(org_id: str, request: Request) -> bool:
    """Whether a request is for this platform's organisation."""
    if not org_id or request.path in OPEN_PATHS or request.path.startswith("/cp/"):
        return True
    if request.header("x-molecule-org-id") == org_id:
        return True
    return f"state={org_id}" in request.header("fly-replay-src").split(";")
