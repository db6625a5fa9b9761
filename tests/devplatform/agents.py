# SPDX-License-Identifier: MIT
"""Stub agents: peers that a test can call, and that misbehave when told."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from typing import Any

from .wire import BadRequest, Connection, Request, Response, json_response

log = logging.getLogger("devplatform")

NAMED_MODES = ("echo", "hang_up", "break_off", "reset", "hang")
MEMBERS = {"status", "headers", "json", "body", "delay_ms", "redirect"}


class Agent:
    """An HTTP endpoint on loopback.

    A mode is a name - echo, hang_up (close without a reply), reset (the same
    with a RST), break_off (close in the middle of the reply), hang (never
    reply) - or an object with status, headers, json or body, delay_ms,
    redirect; or a list of modes: one for each request, the last one for the
    rest. In an object, "json": "echo" is the echo.
    """

    def __init__(self, name: str, mode: Any):
        self.name = name
        self._condition = threading.Condition()
        self._received: list[dict[str, Any]] = []
        self._stopping = threading.Event()
        self.set_mode(mode)
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def set_mode(self, mode: Any) -> None:
        modes = mode if isinstance(mode, list) else [mode]
        for entry in modes:
            if isinstance(entry, dict):
                if set(entry) - MEMBERS:
                    raise ValueError(f"a mode has only {', '.join(sorted(MEMBERS))}")
            elif entry not in NAMED_MODES:
                raise ValueError(f"a mode is an object or one of {', '.join(NAMED_MODES)}")
        if not modes:
            raise ValueError("a list of modes is not empty")
        with self._condition:
            self._modes = list(modes)

    def show(self) -> dict[str, Any]:
        return {"name": self.name, "url": f"http://localhost:{self.port}/in",
                "port": self.port, "received": len(self._received)}

    def received(self, count: int, wait_s: float) -> list[dict[str, Any]]:
        """What has come in; waits until it is count requests, or wait_s have passed."""
        with self._condition:
            self._condition.wait_for(lambda: len(self._received) >= count, wait_s)
            return list(self._received)

    def forget(self) -> None:
        with self._condition:
            self._received.clear()

    def stop(self) -> None:
        self._stopping.set()
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                accepted, peer = self._socket.accept()
            except OSError:
                return
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(accepted, peer)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        try:
            while not self._stopping.is_set():
                request = connection.read_request()
                if request is None or not self._answer(connection, request):
                    break
        except (OSError, BadRequest) as error:
            log.debug("agent %s: %s", self.name, error)
        finally:
            connection.close()

    def _answer(self, connection: Connection, request: Request) -> bool:
        try:
            parsed = json.loads(request.body)
        except ValueError:
            parsed = None
        with self._condition:
            mode = self._modes.pop(0) if len(self._modes) > 1 else self._modes[0]
            self._received.append({
                "time": request.arrived, "method": request.method, "path": request.target,
                "headers": {name.lower(): value for name, value in request.headers},
                "body": request.body.decode("utf-8", "replace"), "json": parsed})
            self._condition.notify_all()
        if isinstance(mode, str) and mode != "echo":
            self._fail(connection, mode)
            return False
        connection.respond(request, self._reply(mode, parsed))
        return request.keeps_alive

    def _fail(self, connection: Connection, mode: str) -> None:
        if mode == "hang":
            self._stopping.wait()
        elif mode == "reset":
            connection.reset()
        elif mode == "break_off":
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"jsonrpc\":")
            connection.finish()

    def _reply(self, mode: Any, parsed: Any) -> Response:
        if mode == "echo":
            return json_response(200, _echo(parsed))
        self._stopping.wait(float(mode.get("delay_ms", 0)) / 1000)
        status = int(mode.get("status", 302 if "redirect" in mode else 200))
        if "body" in mode:
            response = Response(status, [], str(mode["body"]).encode())
        else:
            value = mode.get("json")
            response = json_response(status, _echo(parsed) if value == "echo" else value)
        response.headers += list(mode.get("headers", {}).items())
        if "redirect" in mode:
            response.add("Location", mode["redirect"])
        return response


def _echo(parsed: Any) -> dict[str, Any]:
    """A JSON-RPC result that repeats the message's text."""
    try:
        text = parsed["params"]["message"]["parts"][0]["text"]
    except (KeyError, IndexError, TypeError):
        text = ""
    return {"jsonrpc": "2.0", "id": parsed.get("id") if isinstance(parsed, dict) else None,
            "result": {"kind": "message", "role": "agent",
                       "messageId": f"reply-{time.monotonic_ns()}",
                       "parts": [{"kind": "text", "text": f"echo: {text}"}]}}
