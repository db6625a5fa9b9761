# SPDX-License-Identifier: MIT
"""JSON-RPC 2.0 over the daemon's socket, one connection, no threads."""

from __future__ import annotations

import collections
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

PATIENCE_S = 20.0       # how long a test waits for what must come


class RpcError(Exception):
    """The daemon's error: kind and text, and the rest of what it says."""

    def __init__(self, error: dict[str, Any]):
        super().__init__(f"{error['data']['kind']}: {error['message']}"
                         if "data" in error else error["message"])
        self.code: int = error["code"]
        self.text: str = error["message"]
        self.data: dict[str, Any] = error.get("data", {})
        self.kind: str = self.data.get("kind", "")


class Closed(Exception):
    """The daemon has closed the connection."""


class Client:
    """Answers and events are kept until they are asked for, in whatever order they come.

        client.call("secrets.get", workspace="scout", keys=["KEY"])   # the result, or RpcError
        number = client.send("workspace.refresh")                     # without waiting,
        client.answer(number)                                         # and then the same
        client.notify("rpc.cancel", id=number)
        client.batch([("daemon.info", {}), ("nope", {})])             # whole answers, in order
        events = client.subscribe("workspace.state")

    For what is no proper call: write() puts bytes on the wire, read() gives the
    next message as it is.
    """

    def __init__(self, path: Path | str, timeout: float = PATIENCE_S):
        self.timeout = timeout
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self._input = b""
        self._last_id = 0
        self._answers: dict[Any, dict[str, Any]] = {}
        self._batches: list[list[dict[str, Any]]] = []
        self._events: dict[str, collections.deque[dict[str, Any]]] = {}

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    # ---- the wire ----

    def write(self, data: bytes | str) -> None:
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def read(self, timeout: float | None = None) -> Any:
        """The next message as it comes. Closed at its end, TimeoutError when none comes."""
        limit = time.monotonic() + (self.timeout if timeout is None else timeout)
        while b"\n" not in self._input:
            left = limit - time.monotonic()
            if left <= 0:
                raise TimeoutError("the daemon says nothing")
            self.socket.settimeout(left)
            data = self.socket.recv(65536)
            if not data:
                raise Closed("the daemon has closed the connection")
            self._input += data
        line, _, self._input = self._input.partition(b"\n")
        return json.loads(line)

    def _sort(self, message: Any) -> None:
        if isinstance(message, list):
            self._batches.append(message)
        elif message.get("method") == "event":
            params = message["params"]
            self._events.setdefault(params["subscription"], collections.deque()).append(params)
        else:
            self._answers[message["id"]] = message

    def _until(self, ready: Callable[[], bool], timeout: float | None, what: str) -> None:
        limit = time.monotonic() + (self.timeout if timeout is None else timeout)
        while not ready():
            try:
                self._sort(self.read(max(limit - time.monotonic(), 0)))
            except TimeoutError:
                raise TimeoutError(f"no {what}") from None

    # ---- calls ----

    def _request(self, method: str, params: Any) -> dict[str, Any]:
        self._last_id += 1
        request = {"jsonrpc": "2.0", "id": self._last_id, "method": method}
        return {**request, "params": params} if params else request

    def send(self, method: str, **params: Any) -> int:
        """Its id, for answer()."""
        request = self._request(method, params)
        self.write(json.dumps(request) + "\n")
        return request["id"]

    def answer(self, number: int, timeout: float | None = None) -> Any:
        """The result of what was sent, or RpcError."""
        self._until(lambda: number in self._answers, timeout, f"answer to request {number}")
        message = self._answers.pop(number)
        if "error" in message:
            raise RpcError(message["error"])
        return message["result"]

    def is_answered(self, number: int) -> bool:
        """Whether the answer is among what has been read so far."""
        return number in self._answers

    def call(self, method: str, **params: Any) -> Any:
        number = self.send(method, **params)
        try:
            return self.answer(number)
        except TimeoutError:
            raise TimeoutError(f"no answer to {method} {params}") from None

    def notify(self, method: str, **params: Any) -> None:
        self.write(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}) + "\n")

    def batch(self, calls: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
        """The answers in the order of the calls."""
        requests = [self._request(method, params) for method, params in calls]
        self.write(json.dumps(requests) + "\n")
        self._until(lambda: bool(self._batches), None, "answer to a batch")
        answers = {message["id"]: message for message in self._batches.pop(0)}
        return [answers[request["id"]] for request in requests]

    def subscribe(self, *types: str, workspace: str = "") -> Events:
        params: dict[str, Any] = {"types": list(types)} if types else {}
        if workspace:
            params["workspace"] = workspace
        result = self.call("events.subscribe", **params)
        return Events(self, result["subscription"], result["snapshot"])


class Events:
    """One subscription: snapshot is how things were, next() gives each change after that."""

    def __init__(self, client: Client, name: str, snapshot: dict[str, Any]):
        self.client, self.name, self.snapshot = client, name, snapshot
        self.seen: list[dict[str, Any]] = []

    def next(self, timeout: float | None = None) -> dict[str, Any]:
        waiting = self.client._events.setdefault(self.name, collections.deque())
        self.client._until(lambda: bool(waiting), timeout,
                           f"further event of {self.name}; before: {self.seen}")
        event = waiting.popleft()
        self.seen.append(event)
        return event

    def until(self, wanted: Callable[[dict[str, Any]], bool],
              timeout: float | None = None) -> dict[str, Any]:
        """The first event that is wanted; those before it are in seen."""
        limit = time.monotonic() + (self.client.timeout if timeout is None else timeout)
        while True:
            event = self.next(max(limit - time.monotonic(), 0))
            if wanted(event):
                return event

    def until_type(self, kind: str, workspace: str = "",
                   timeout: float | None = None) -> dict[str, Any]:
        return self.until(lambda event: event["type"] == kind
                          and (not workspace or event["workspace"] == workspace), timeout)

    def until_state(self, workspace: str, *states: str,
                    timeout: float | None = None) -> dict[str, Any]:
        return self.until(lambda event: event["type"] == "workspace.state"
                          and event["workspace"] == workspace
                          and event["data"]["state"] in states, timeout)

    def pending(self) -> list[dict[str, Any]]:
        """What has come until now. A call is made, so whatever was sent before it is in."""
        self.client.call("daemon.info")
        waiting = self.client._events.setdefault(self.name, collections.deque())
        events = list(waiting)
        waiting.clear()
        self.seen += events
        return events

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while True:
            yield self.next()
