# SPDX-License-Identifier: MIT
"""Listeners, connections, and the way of a request through the stand-in."""

from __future__ import annotations

import itertools
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable

from . import front, misbehave
from .endpoints import name_of, workspaces_of
from .faults import Faults
from .journal import Journal, Record
from .platform import Platform
from .settings import Options
from .wire import BadRequest, Connection, Request, Response, text_response

LOOPBACK = "127.0.0.1"
BACKLOG = 4096
REOPEN_S = 10.0     # how long to try to get a port back
SHORTAGE_S = 0.05   # pause when a connection cannot be accepted

log = logging.getLogger("devplatform")

Wrap = Callable[[socket.socket], socket.socket]


class Listener:
    """A port on loopback. Every connection gets a thread."""

    def __init__(self, serve: Callable[[Connection], None], *, port: int = 0,
                 wrap: Wrap | None = None,
                 refuses: Callable[[Connection], bool] = lambda connection: False):
        self._serve = serve
        self._wrap = wrap
        self._refuses = refuses
        self.port = port
        self._socket: socket.socket | None = None
        self._connections: set[Connection] = set()
        self._lock = threading.Lock()
        self.open(patience_s=0.0)

    @property
    def secure(self) -> bool:
        return self._wrap is not None

    @property
    def url(self) -> str:
        return f"{'https' if self.secure else 'http'}://{LOOPBACK}:{self.port}"

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    def open(self, *, patience_s: float = REOPEN_S) -> None:
        if self._socket:
            return
        deadline = time.monotonic() + patience_s
        while True:
            listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listening.bind((LOOPBACK, self.port))
                break
            except OSError:
                listening.close()
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.05)
        listening.listen(BACKLOG)
        self.port = listening.getsockname()[1]
        self._socket = listening
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def close(self, *, spare: Connection | None = None) -> None:
        """Stop listening, and end the connections there are, except for one."""
        listening, self._socket = self._socket, None
        if listening:
            try:
                listening.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            listening.close()
        with self._lock:
            connections = [entry for entry in self._connections if entry is not spare]
        for connection in connections:
            connection.interrupt()

    @property
    def connection_count(self) -> int:
        return len(self._connections)

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                accepted, peer = listening.accept()
            except OSError as error:
                if self._socket is not listening:
                    return
                # Too many open files, perhaps. They may become fewer.
                log.warning("cannot accept a connection: %s", error)
                time.sleep(SHORTAGE_S)
                continue
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                threading.Thread(target=self._run, args=(accepted, peer), daemon=True).start()
            except RuntimeError as error:
                log.warning("no thread for a connection: %s", error)
                accepted.close()

    def _run(self, accepted: socket.socket, peer: tuple[str, int]) -> None:
        connection = Connection(accepted, peer, secure=self.secure)
        with self._lock:
            self._connections.add(connection)
        try:
            if self._refuses(connection):
                return
            if self._wrap:
                connection.sock = self._wrap(accepted)
            self._serve(connection)
        except (OSError, ssl.SSLError) as error:
            log.debug("connection from port %d: %s", peer[1], error)
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()


class Server:
    """A stand-in: the platform, what watches it, and what breaks it."""

    def __init__(self, options: Options, wrap: Wrap | None = None):
        from .dev import Dev    # it looks back at the server

        threading.stack_size(512 << 10)
        self.platform = Platform(options)
        self.journal = Journal(options.record)
        self.faults = Faults()
        self.dev = Dev(self)
        self.outages = 0
        self._numbers = itertools.count(1)
        self.main = Listener(self.serve, port=options.port, wrap=wrap, refuses=self.refuses)
        self.extra: dict[int, Listener] = {}
        front.attach(self.platform)
        self.platform.start()

    @property
    def url(self) -> str:
        return self.main.url

    def listen(self, wrap: Wrap | None) -> Listener:
        """Another port, which stays open whatever happens to the main one."""
        listener = Listener(self.serve, wrap=wrap)
        self.extra[listener.port] = listener
        return listener

    def stop(self) -> None:
        self.platform.stop()
        self.faults.clear()
        for listener in (self.main, *self.extra.values()):
            listener.close()
        self.dev.stop()

    # ---- outages ----

    def begin_outage(self, kind: str, for_s: float, spare: Connection) -> None:
        """The datastore goes, or (down) the main port does, except for one connection."""
        with self.platform.lock:
            self.outages += 1
            number = self.outages
            if kind == "down":
                self.main.close(spare=spare)
            else:
                self.platform.store.down = True

        def end() -> None:
            if self.outages == number:
                self.end_outage()

        if for_s > 0:
            self.platform.later(for_s, end)

    def end_outage(self) -> None:
        with self.platform.lock:
            self.outages += 1
            self.platform.store.down = False
            self.main.open()

    # ---- one connection ----

    def refuses(self, connection: Connection) -> bool:
        """End a connection at once, if a rule wants that."""
        rule = self.faults.take_accept()
        if rule is None:
            return False
        if rule.action.rst:
            connection.reset()
        else:
            connection.finish()
        return True

    def serve(self, connection: Connection) -> None:
        number = next(self._numbers)
        try:
            while self._exchange(connection, number):
                pass
        except BadRequest as error:
            refusal = text_response(400, f"400 Bad Request: {error}")
            refusal.close = True
            connection.send(refusal.head() + refusal.payload())
            connection.finish()

    def _exchange(self, connection: Connection, number: int) -> bool:
        """One request and its answer; returns whether another may follow."""
        request = connection.read_request()
        if request is None:
            return False
        if request.path.startswith("/_dev/"):
            return self._finish(connection, request, self.dev.respond(request, connection))
        endpoint = name_of(request)
        names = workspaces_of(request, endpoint)
        record = Record(request, names, endpoint, number)
        self.journal.begin(record)

        def settle(outcome: str, status: int | None) -> None:
            self.journal.settle(record, outcome, status)

        def regular() -> Response:
            return front.respond(self.platform, request)

        rule = self.faults.take(request, endpoint, names)
        if rule:
            record.fault = rule.id
            return misbehave.answer(connection, request, rule, regular, settle)
        response = regular()
        settle("answered", response.status)
        return self._finish(connection, request, response)

    @staticmethod
    def _finish(connection: Connection, request: Request, response: Response) -> bool:
        if not request.keeps_alive:
            response.close = True
        connection.respond(request, response)
        if response.pump:
            response.pump(connection)
            return False
        return not response.close
