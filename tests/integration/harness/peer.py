# SPDX-License-Identifier: MIT
"""An A2A agent on loopback that does what a test tells it to, and remembers what it heard.

    with Peer() as peer:
        peer.does(message("pong"))                  # for every request
        peer.does(hang_up(), message("pong"))       # the last one from then on
        gate = Gate()
        peer.does(held(gate, message("pong")))      # once gate.open() was called
        peer.wait(1)[0].header("X-Workspace-ID")

What it does is a function of an Exchange: the request, and the connection to
answer on. Those below are the shapes that agents answer in, and the ways in
which they fail.
"""

from __future__ import annotations

import dataclasses
import json
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

PATIENCE_S = 20.0
CHUNK = 65536


@dataclasses.dataclass
class Request:
    """As it came."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int     # a number for each

    def header(self, name: str) -> str:
        """The first one of that name; "" if there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> dict[str, Any]:
        return self.json["params"]["message"]

    @property
    def text(self) -> str:
        """What the message says."""
        return self.message["parts"][0]["text"]


class Exchange:
    """One request, and the connection that its answer goes to."""

    def __init__(self, peer: Peer, request: Request, connection: socket.socket):
        self.peer, self.request, self.connection = peer, request, connection
        self.is_over = False    # the connection cannot be used again

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def reply(self, body: Any, status: int = 200, headers: Iterable[tuple[str, str]] = (),
              content_type: str = "application/json") -> None:
        """A whole reply. What is not bytes becomes JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {content_type}",
                 f"Content-Length: {len(data)}", *(f"{name}: {value}" for name, value in headers)]
        self.send("\r\n".join([*lines, "", ""]).encode() + data)

    def result(self, result: Any) -> None:
        self.reply({"jsonrpc": "2.0", "id": self.request.json.get("id"), "result": result})

    def error(self, code: int, text: str, status: int = 200) -> None:
        self.reply({"jsonrpc": "2.0", "id": self.request.json.get("id"),
                    "error": {"code": code, "message": text}}, status)

    def close(self, reset: bool = False) -> None:
        self.is_over = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                       struct.pack("ii", 1, 0))
        self.connection.close()


Deed = Callable[[Exchange], None]


class Gate:
    """What is held at it waits until it is opened."""

    def __init__(self) -> None:
        self._opened = threading.Event()

    def open(self) -> None:
        self._opened.set()

    def wait(self) -> None:
        self._opened.wait(PATIENCE_S * 3)


# ---- what it may do: answer ----

def says(result: Any) -> Deed:
    """This result, whatever was asked."""
    return lambda exchange: exchange.result(result)


def message(text: str) -> Deed:
    return says({"kind": "message", "role": "agent", "messageId": "m-1",
                 "parts": [{"kind": "text", "text": text}]})


def echo(exchange: Exchange) -> None:
    message(f"echo: {exchange.request.text}")(exchange)


def task_of(state: str, text: str = "", number: str = "t-1") -> dict[str, Any]:
    artifacts = [{"artifactId": "a", "parts": [{"kind": "text", "text": text}]}] if text else []
    return {"kind": "task", "id": number, "contextId": "c-1", "status": {"state": state},
            "artifacts": artifacts}


def task(state: str, text: str = "", number: str = "t-1") -> Deed:
    return says(task_of(state, text, number))


def body(data: Any, status: int = 200, headers: Iterable[tuple[str, str]] = (),
         content_type: str = "application/json") -> Deed:
    """This body, which need not be JSON-RPC."""
    return lambda exchange: exchange.reply(data, status, headers, content_type)


def error(code: int, text: str, status: int = 200) -> Deed:
    return lambda exchange: exchange.error(code, text, status)


def events(*results: Any, content_type: str = "text/event-stream") -> Deed:
    """A stream that ends, with these results in it."""
    def deed(exchange: Exchange) -> None:
        number = exchange.request.json.get("id")
        lines = [": ping\n\n"]
        for result in results:
            value = json.dumps({"jsonrpc": "2.0", "id": number, "result": result})
            lines.append(f"data: {value}\n\n")
        exchange.reply("".join(lines).encode(), content_type=content_type)
    return deed


def only_1_0(exchange: Exchange) -> None:
    """An agent of A2A 1.0 without any ear for 0.3."""
    method = exchange.request.json["method"]
    if method not in ("SendMessage", "GetTask"):
        exchange.error(-32601, "Method not found")
    elif not exchange.request.header("A2A-Version").startswith("1."):
        exchange.error(-32009, "Version not supported")
    else:
        exchange.result({"message": {
            "messageId": "m-1", "role": "ROLE_AGENT",
            "parts": [{"text": f"one: {exchange.request.text}"}]}})


# ---- fail ----

def redirect(location: str, status: int = 307) -> Deed:
    return body(b"", status, [("Location", location)])


def hang_up(exchange: Exchange) -> None:
    """Takes the request, and dies."""
    exchange.close()


def reset(exchange: Exchange) -> None:
    exchange.close(reset=True)


def break_off(exchange: Exchange) -> None:
    """Dies in the middle of its answer."""
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                  b"Content-Length: 1000\r\n\r\n{\"jsonrpc\":\"2.0\",\"result\":")
    exchange.close()


def huge(n_bytes: int) -> Deed:
    """A message of that length, in chunks; whoever has enough may hang up."""
    def deed(exchange: Exchange) -> None:
        left = n_bytes
        try:
            exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                          b"Transfer-Encoding: chunked\r\n\r\n")
            _chunk(exchange, b'{"jsonrpc":"2.0","id":1,"result":"')
            while left > 0:
                _chunk(exchange, b"x" * min(left, CHUNK))
                left -= CHUNK
            _chunk(exchange, b'"}')
            exchange.send(b"0\r\n\r\n")
        except OSError:
            exchange.close()
    return deed


def _chunk(exchange: Exchange, data: bytes) -> None:
    exchange.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def held(gate: Gate, deed: Deed) -> Deed:
    """This, once the gate is open."""
    def wait(exchange: Exchange) -> None:
        gate.wait()
        deed(exchange)
    return wait


# ---- the agent ----

class Peer:
    """Listens from the start. address, port: where; tls: a context for https.

    Stopped, nobody listens there; start() listens at the same port again.
    """

    def __init__(self, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None,
                 port: int = 0):
        self.address, self.tls, self.port = address, tls, port
        self._grown = threading.Condition()
        self._requests: list[Request] = []
        self._deeds: list[Deed] = [echo]
        self._connections: set[socket.socket] = set()
        self._n_connections = 0
        self._listener: socket.socket | None = None
        self.start()

    @property
    def url(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}/a2a"

    def start(self) -> None:
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self._listener = socket.create_server((self.address, self.port), family=family,
                                              backlog=1024)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        """With all its connections, as when it dies."""
        if self._listener:
            # The thread that accepts would keep it open.
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        with self._grown:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass    # it is gone already

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.stop()

    def does(self, *deeds: Deed) -> None:
        """One for each request from now on, the last one for the rest."""
        with self._grown:
            self._deeds = list(deeds)

    # ---- what it heard ----

    @property
    def requests(self) -> list[Request]:
        with self._grown:
            return list(self._requests)

    @property
    def n_connections(self) -> int:
        with self._grown:
            return self._n_connections

    def wait(self, count: int = 1, seconds: float = PATIENCE_S) -> list[Request]:
        """Until so many requests have come."""
        with self._grown:
            if not self._grown.wait_for(lambda: len(self._requests) >= count, seconds):
                raise AssertionError(f"{len(self._requests)} of {count} requests have come")
            return list(self._requests)

    def forget(self) -> None:
        with self._grown:
            self._requests.clear()

    # ---- connections ----

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._grown:
                self._n_connections += 1
                number = self._n_connections
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        wrapped = connection
        try:
            if self.tls:
                wrapped = self.tls.wrap_socket(connection, server_side=True)
            reader = wrapped.makefile("rb")
            while request := _read(wrapped, reader, number):
                exchange = Exchange(self, request, wrapped)
                self._take(request)(exchange)
                if exchange.is_over:
                    break
        except (OSError, ValueError):
            pass    # whoever called has hung up
        finally:
            with self._grown:
                self._connections.discard(connection)
            wrapped.close()

    def _take(self, request: Request) -> Deed:
        with self._grown:
            self._requests.append(request)
            self._grown.notify_all()
            return self._deeds.pop(0) if len(self._deeds) > 1 else self._deeds[0]


def _read(connection: socket.socket, reader: Any, number: int) -> Request | None:
    """The next request; None at the end."""
    line = reader.readline().decode("latin-1").split()
    if len(line) != 3:
        return None
    headers: list[tuple[str, str]] = []
    while head := reader.readline().decode("latin-1").rstrip("\r\n"):
        name, _, value = head.partition(":")
        headers.append((name, value.strip()))
    request = Request(line[0], line[1], headers, b"", number)
    if request.header("Expect"):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.body = reader.read(int(request.header("Content-Length") or 0))
    return request


class Deaf:
    """Nobody who knocks here is let in: the kernel's queue is full."""

    def __init__(self) -> None:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.url = "http://{}:{}/a2a".format(*self._listener.getsockname())
        self._knocking: list[socket.socket] = []
        limit = time.monotonic() + PATIENCE_S
        while time.monotonic() < limit:
            caller = socket.socket()
            self._knocking.append(caller)
            caller.settimeout(0.3)
            try:
                caller.connect(self._listener.getsockname())
            except TimeoutError:
                return
        raise AssertionError("the queue never gets full")

    def __enter__(self) -> Deaf:
        return self

    def __exit__(self, *_: object) -> None:
        for caller in self._knocking:
            caller.close()
        self._listener.close()


def self_signed(folder: Path) -> ssl.SSLContext:
    """A certificate that nobody has reason to trust."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
                   check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context
