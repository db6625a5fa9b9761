# SPDX-License-Identifier: MIT
"""Calling an agent: one POST, given up when nobody shows a sign of life."""

from __future__ import annotations

import dataclasses
import http.client
import socket
import ssl
import threading
import time
import urllib.parse
import zlib
from collections.abc import Callable

REPLY_MAX = 10 << 20        # bytes of a reply that are passed on; the rest is cut
REDIRECTS_MAX = 10

_HEADERS = {"Content-Type": "application/json", "User-Agent": "Go-http-client/1.1",
            "Accept-Encoding": "gzip"}


@dataclasses.dataclass
class Answer:
    """What came of a call.

    kind is "reply"; "unreachable" (nothing was delivered); "busy" (it may have
    been); or "broken" (the reply began, and broke off).
    """

    kind: str
    status: int = 0
    body: bytes = b""
    detail: str = ""


class OutboundCall:
    """One call. Runs in a thread of its own, so that it can be abandoned."""

    def __init__(self, url: str, body: bytes, *, secret: str = ""):
        self._url = url
        self._body = body
        self._headers = dict(_HEADERS)
        if secret:
            self._headers["Authorization"] = f"Bearer {secret}"
        self._condition = threading.Condition()
        self._heard = time.monotonic()
        self._answer: Answer | None = None
        self._connection: http.client.HTTPConnection | None = None

    def touch(self) -> None:
        """The target lives: it gets more time."""
        with self._condition:
            self._heard = time.monotonic()
            self._condition.notify_all()

    def run(self, idle_s: Callable[[], float], ceiling_s: float | None) -> Answer:
        ends = time.monotonic() + ceiling_s if ceiling_s else None
        threading.Thread(target=self._work, daemon=True).start()
        with self._condition:
            while self._answer is None:
                deadline = self._heard + idle_s()
                if ends is not None:
                    deadline = min(deadline, ends)
                left = deadline - time.monotonic()
                if left <= 0:
                    self._answer = Answer("busy", detail="context deadline exceeded")
                    break
                self._condition.wait(left)
        self._abandon()
        return self._answer

    def _abandon(self) -> None:
        connection = self._connection
        if connection and connection.sock:
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _work(self) -> None:
        try:
            answer = self._follow()
        except (OSError, ValueError, http.client.HTTPException) as error:
            answer = Answer("unreachable", detail=str(error))
        with self._condition:
            if self._answer is None:
                self._answer = answer
            self._condition.notify_all()

    def _follow(self) -> Answer:
        """The exchange, with its redirects: all but 307 and 308 turn into a GET."""
        method, url, body = "POST", self._url, self._body
        for _ in range(REDIRECTS_MAX + 1):
            answer, location = self._exchange(method, url, body)
            if location is None:
                return answer
            url = urllib.parse.urljoin(url, location)
            if answer.status not in (307, 308):
                method, body = "GET", b""
        return Answer("unreachable", detail=f"stopped after {REDIRECTS_MAX} redirects")

    def _exchange(self, method: str, url: str, body: bytes) -> tuple[Answer, str | None]:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"unsupported URL {url!r}")
        connection = self._connect(parts)
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            headers = self._headers if body else {**self._headers, "Content-Length": "0"}
            try:
                connection.request(method, target, body or None, headers)
                response = connection.getresponse()
            except (http.client.RemoteDisconnected, ConnectionError, TimeoutError) as error:
                return Answer("busy", detail=f"EOF: {error}"), None
            if response.status in (301, 302, 303, 307, 308) and response.getheader("Location"):
                response.read(REPLY_MAX)
                return Answer("reply", response.status), response.getheader("Location")
            return self._read(response), None
        finally:
            connection.close()

    def _connect(self, parts: urllib.parse.SplitResult) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(parts.hostname or "", parts.port,
                                                     context=context)
        else:
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
        connection.connect()
        self._connection = connection
        return connection

    @staticmethod
    def _read(response: http.client.HTTPResponse) -> Answer:
        pieces, size = [], 0
        try:
            while size < REPLY_MAX:
                piece = response.read(min(65536, REPLY_MAX - size))
                if not piece:
                    break
                pieces.append(piece)
                size += len(piece)
        except (OSError, http.client.HTTPException) as error:
            return Answer("broken", response.status, detail=str(error))
        if size < REPLY_MAX and response.length:
            return Answer("broken", response.status, detail="unexpected EOF")
        body = b"".join(pieces)
        if response.getheader("Content-Encoding") == "gzip":
            try:
                body = zlib.decompress(body, 31)
            except zlib.error as error:
                return Answer("broken", response.status, detail=str(error))
        return Answer("reply", response.status, body)
