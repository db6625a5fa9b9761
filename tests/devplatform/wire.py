# SPDX-License-Identifier: MIT
"""HTTP/1.1 on a socket, by hand.

By hand, because a stand-in has to be able to do everything wrong on purpose,
and because every reply leaves in one send: a reply in two segments can stall
for 40 ms on the other side's delayed ACK.
"""

from __future__ import annotations

import dataclasses
import email.utils
import http.client
import socket
import struct
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

from . import gojson

HEAD_MAX = 1 << 20          # a request's head; nobody needs more
BODY_MAX = 256 << 20        # a request's body; the real platform has no limit at all
CHUNKED_FROM = 2048         # replies larger than this go out chunked, as from the platform

Headers = list[tuple[str, str]]


class BadRequest(Exception):
    """What came in is not HTTP; the connection cannot go on."""


@dataclasses.dataclass
class Request:
    method: str
    target: str
    version: str
    headers: Headers
    peer: tuple[str, int]
    body: bytes = b""
    secure: bool = False
    arrived: float = dataclasses.field(default_factory=time.monotonic)
    path: str = ""
    query: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    _first: dict[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        raw_path, _, raw_query = self.target.partition("?")
        self.path = urllib.parse.unquote(raw_path, errors="replace")
        if raw_query:
            self.query = urllib.parse.parse_qs(raw_query, keep_blank_values=True)
        for name, value in self.headers:
            self._first.setdefault(name.lower(), value)

    def header(self, name: str) -> str:
        """The first header of that (lower-case) name, or an empty string."""
        return self._first.get(name, "")

    def argument(self, name: str) -> str:
        """The first query parameter of that name, or an empty string."""
        return self.query.get(name, [""])[0]

    @property
    def keeps_alive(self) -> bool:
        wish = self.header("connection").lower()
        return wish != "close" if self.version == "HTTP/1.1" else wish == "keep-alive"


@dataclasses.dataclass
class Response:
    status: int
    headers: Headers = dataclasses.field(default_factory=list)
    body: bytes = b""
    chunked: bool | None = None     # None: as the platform would, by size
    pump: Callable[[Connection], None] | None = None    # a reply without end
    close: bool = False

    @property
    def bodiless(self) -> bool:
        return self.status < 200 or self.status in (204, 304)

    def add(self, name: str, value: str) -> None:
        self.headers.append((name, value))

    def has(self, name: str) -> bool:
        return any(key.lower() == name for key, _ in self.headers)

    @property
    def goes_chunked(self) -> bool:
        if self.bodiless or self.has("content-length"):
            return False
        return len(self.body) > CHUNKED_FROM if self.chunked is None else self.chunked

    def head(self) -> bytes:
        """The status line and the headers, up to and with the empty line."""
        reason = http.client.responses.get(self.status, "status code " + str(self.status))
        lines = [f"HTTP/1.1 {self.status} {reason}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if not self.has("date"):
            lines.append(f"Date: {_http_date()}")
        if self.goes_chunked or self.pump:
            lines.append("Transfer-Encoding: chunked")
        elif not self.bodiless and not self.has("content-length"):
            lines.append(f"Content-Length: {len(self.body)}")
        if self.close:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")

    def payload(self) -> bytes:
        """The body as it goes over the wire."""
        if self.bodiless:
            return b""
        return chunk(self.body) + chunk(b"") if self.goes_chunked else self.body


_date_at: tuple[int, str] = (0, "")


def _http_date() -> str:
    global _date_at
    now = int(time.time())
    if _date_at[0] != now:
        _date_at = (now, email.utils.formatdate(now, usegmt=True))
    return _date_at[1]


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; of nothing: the end of the body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def json_response(status: int, value: Any) -> Response:
    return Response(status, [("Content-Type", "application/json; charset=utf-8")],
                    gojson.encode(value))


def text_response(status: int, text: str) -> Response:
    return Response(status, [("Content-Type", "text/plain")], text.encode())


class Connection:
    """One accepted connection: requests in, bytes out, and several ways to end."""

    def __init__(self, sock: socket.socket, peer: tuple[str, int], *, secure: bool = False):
        self.sock = sock
        self.peer = peer
        self.secure = secure
        self._buffer = b""
        self.closed = False

    # ---- in ----

    def read_request(self) -> Request | None:
        """The next request with its body; None when the other side has finished."""
        head = self._read_head()
        if head is None:
            return None
        lines = head.decode("latin-1").split("\r\n")
        parts = lines[0].split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            raise BadRequest(f"not a request line: {lines[0][:80]!r}")
        headers: Headers = []
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise BadRequest(f"not a header: {line[:80]!r}")
            headers.append((name, value.strip()))
        target = parts[1]
        if target.startswith(("http://", "https://")):
            target = "/" + target.split("/", 3)[3] if target.count("/") > 2 else "/"
        request = Request(parts[0], target, parts[2], headers, self.peer, secure=self.secure)
        if request.version == "HTTP/1.1" and not any(n.lower() == "host" for n, _ in headers):
            raise BadRequest("missing required Host header")
        request.body = self._read_body(request)
        return request

    def _fill(self) -> bool:
        data = self.sock.recv(65536)
        self._buffer += data
        return bool(data)

    def _read_head(self) -> bytes | None:
        while True:
            end = self._buffer.find(b"\r\n\r\n")
            if end >= 0:
                head = self._buffer[:end]
                self._buffer = self._buffer[end + 4:]
                return head.lstrip(b"\r\n")
            if len(self._buffer) > HEAD_MAX:
                raise BadRequest("request head too large")
            if not self._fill():
                if self._buffer.strip():
                    raise BadRequest("request head breaks off")
                return None

    def _read_body(self, request: Request) -> bytes:
        chunked = "chunked" in request.header("transfer-encoding").lower()
        length = request.header("content-length")
        if not chunked and not length:
            return b""
        if not chunked and not (length.isascii() and length.isdigit()):
            raise BadRequest(f"bad Content-Length {length[:40]!r}")
        if request.header("expect").lower() == "100-continue":
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return self._read_chunks() if chunked else self._read_exactly(int(length))

    def _read_exactly(self, size: int) -> bytes:
        if size > BODY_MAX:
            raise BadRequest("request body too large")
        parts = [self._buffer[:size]]
        have = len(parts[0])
        self._buffer = self._buffer[size:]
        while have < size:
            data = self.sock.recv(min(1 << 20, size - have))
            if not data:
                raise BadRequest("request body breaks off")
            parts.append(data)
            have += len(data)
        return b"".join(parts)

    def _read_line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            if len(self._buffer) > HEAD_MAX or not self._fill():
                raise BadRequest("chunked body breaks off")
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _read_chunks(self) -> bytes:
        body = b""
        while True:
            try:
                size = int(self._read_line().split(b";")[0], 16)
            except ValueError:
                raise BadRequest("bad chunk size") from None
            if size == 0:
                while self._read_line():
                    pass
                return body
            body += self._read_exactly(size)
            if self._read_line():
                raise BadRequest("bad chunk end")

    # ---- out ----

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def respond(self, request: Request, response: Response) -> None:
        """Send a whole reply at once; the body of a HEAD is left away."""
        self.send(response.head() + (b"" if request.method == "HEAD" else response.payload()))

    # ---- the end ----

    def reset(self) -> None:
        """End with a RST instead of a FIN."""
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        self.close()

    def finish(self) -> None:
        """End with a FIN even if bytes are still coming in."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
            self.sock.settimeout(1.0)
            deadline = time.monotonic() + 1.0
            while time.monotonic() < deadline and self.sock.recv(65536):
                pass
        except OSError:
            pass
        self.close()

    def interrupt(self) -> None:
        """Wake whoever is blocked on this connection, from another thread."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self) -> None:
        self.closed = True
        try:
            self.sock.close()
        except OSError:
            pass
