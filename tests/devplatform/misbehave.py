# SPDX-License-Identifier: MIT
"""Answering wrongly, as a rule says."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from .faults import Action, Rule, wait_released
from .gojson import encode
from .wire import Connection, Request, Response, chunk

MIB = 1 << 20

Settle = Callable[[str, int | None], None]


def answer(connection: Connection, request: Request, rule: Rule,
           regular: Callable[[], Response], settle: Settle) -> bool:
    """Answer a request by a rule; returns whether the connection can go on."""
    action = rule.action
    if action.hang:
        settle("hanging", None)
        wait_released(rule, None)
    if action.delay_ms:
        wait_released(rule, action.delay_ms / 1000)
    if action.drop == "request" and not action.process:
        settle("dropped", None)
        return _drop(connection, action)
    response = _response(action, regular)
    if action.drop:
        settle("dropped", None)
    else:
        settle("answered", response.status if action.raw is None else None)
    for status in action.interim:
        connection.send(b"HTTP/1.1 %d Interim\r\n\r\n" % status)
    if action.raw is not None:
        _send(connection, action, b"", [action.raw])
    elif response.pump:
        connection.respond(request, response)
        response.pump(connection)
        return False
    elif not _send_reply(connection, request, action, response):
        return _drop(connection, action)
    if action.end:
        connection.finish()
        return False
    return request.keeps_alive and not response.close


def _drop(connection: Connection, action: Action) -> bool:
    if action.rst:
        connection.reset()
    else:
        connection.finish()
    return False


def _response(action: Action, regular: Callable[[], Response]) -> Response:
    """The reply before it is mangled: the platform's own, or the rule's."""
    response = regular() if action.process else Response(
        200, [("Content-Type", "application/json; charset=utf-8")], b"{}")
    if action.status is not None:
        response.status = action.status
    for name, _ in action.headers:
        response.headers = [pair for pair in response.headers if pair[0].lower() != name.lower()]
    response.headers += action.headers
    if action.body is not None:
        response.body = action.body
    if action.wrong_types:
        response.body = _with_wrong_types(response.body, action.wrong_types)
    if action.malformed:
        response.body = response.body[:len(response.body) // 2]
    if action.cut is not None:
        response.body = response.body[:action.cut]
    if action.gzip:
        response.body = gzip.compress(response.body)
        response.headers.append(("Content-Encoding", "gzip"))
    if response.has("content-length"):
        # What the endpoint said of its own body.
        _drop_length(response)
        response.chunked = False
    if action.close:
        response.close = True
    return response


def _drop_length(response: Response) -> None:
    response.headers = [pair for pair in response.headers if pair[0].lower() != "content-length"]


def _swap(value: Any) -> Any:
    """A value of another type."""
    if isinstance(value, str):
        return 7
    if isinstance(value, bool):
        return "yes"
    if isinstance(value, (int, float)):
        return "seven"
    if isinstance(value, list):
        return {"0": "list"}
    return ["object"] if isinstance(value, dict) else {"was": None}


def _with_wrong_types(body: bytes, which: bool | str) -> bytes:
    try:
        value = json.loads(body)
    except ValueError:
        return body
    if not isinstance(value, dict):
        return encode(_swap(value))
    return encode({key: _swap(item) if which in (True, key) else item
                   for key, item in value.items()})


def _send_reply(connection: Connection, request: Request, action: Action,
                response: Response) -> bool:
    """Send the mangled reply; False if the rule wants the connection dropped on the way."""
    if action.drop in ("request", "reply"):
        return False
    head, body = _framed(action, response)
    if action.huge_headers:
        count, size = action.huge_headers
        extra = "".join(f"X-Filler-{i}: {'x' * size}\r\n" for i in range(count))
        head = head[:-2] + extra.encode() + b"\r\n"
    if request.method == "HEAD":
        body = iter(())
    if action.drop == "headers":
        connection.send(head[:len(head) // 2])
        return False
    if action.drop == "body":
        whole = b"".join(body)
        connection.send(head + whole[:len(whole) // 2])
        return False
    _send(connection, action, head, body)
    return True


def _framed(action: Action, response: Response) -> tuple[bytes, Iterator[bytes]]:
    """Head and body as they go over the wire."""
    if action.http09:
        return b"", iter((response.body,))
    if action.huge_body_mib:
        return _huge(action, response)
    if action.bad_chunk:
        response.chunked = True
        return response.head(), iter((b"zz\r\n", response.body, b"\r\n0\r\n\r\n"))
    if action.both_lengths:
        response.chunked = True
        head = response.head()[:-2] + b"Content-Length: %d\r\n\r\n" % len(response.body)
        return head, iter((response.payload(),))
    if action.length_off:
        length = max(0, len(response.body) + action.length_off)
        _drop_length(response)
        response.headers.append(("Content-Length", str(length)))
        return response.head(), iter((response.body,))
    return response.head(), iter((response.payload(),))


def _huge(action: Action, response: Response) -> tuple[bytes, Iterator[bytes]]:
    """A valid JSON object of so many MiB, in chunks."""
    response.chunked = True

    def pieces() -> Iterator[bytes]:
        yield chunk(b'{"filler":"')
        for _ in range(action.huge_body_mib):
            yield chunk(b"x" * MIB)
        yield chunk(b'"}') + chunk(b"")

    return response.head(), pieces()


def _send(connection: Connection, action: Action, head: bytes, body: Any) -> None:
    slow = action.slow
    if slow is None:
        first = next(iter_body := iter(body), b"")
        connection.send(head + first)
        for piece in iter_body:
            connection.send(piece)
        return
    rest = b"".join(body)
    if slow.part in ("head", "all"):
        _drip(connection, head, slow.bytes, slow.every_ms)
    else:
        connection.send(head)
    if slow.part in ("body", "all"):
        _drip(connection, rest, slow.bytes, slow.every_ms)
    else:
        connection.send(rest)


def _drip(connection: Connection, data: bytes, size: int, every_ms: float) -> None:
    for start in range(0, len(data), size):
        connection.send(data[start:start + size])
        time.sleep(every_ms / 1000)
