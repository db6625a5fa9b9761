# SPDX-License-Identifier: MIT
"""A stand-in for molecule-agentd's socket, for tests of its clients.

Each method is answered with what the test put under its name: a result, an
Error, a function of the parameters, or one of the misbehaviours below. It
records what it was asked.
"""

import datetime
import json
import os
import socket
import threading

PATIENCE = 20  # seconds; how long a test waits for what must come


class Error(Exception):
    """Answered as a JSON-RPC error."""

    def __init__(self, code, kind, message, **data):
        super().__init__(message)
        self.value = {"code": code, "message": message,
                      "data": {"kind": kind, "retryable": False, **data}}


class Raw:
    """Sent as it is, instead of an answer; then the connection is closed, if so wished."""

    def __init__(self, data, close=False):
        self.data, self.close = data, close


SILENCE = Raw(b"")
HANG_UP = Raw(b"", close=True)


def ago(**delta):
    """A time in the past, as the daemon writes times."""
    when = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(**delta)
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


def dump(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


class Connection:
    def __init__(self, daemon, sock):
        self.daemon, self.sock = daemon, sock
        self.subscribed = False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        try:
            with self.sock.makefile("rb") as lines:
                for line in lines:
                    self.on_message(json.loads(line))
        except (OSError, ValueError):
            pass
        self.daemon.forget(self)

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            pass

    def on_message(self, message):
        method, params = message["method"], message.get("params")
        self.daemon.note(method, params)
        outcome = self.daemon.outcome(method, params)
        if isinstance(outcome, Raw):
            self.send(outcome.data.replace(b"$ID", str(message.get("id")).encode()))
            if outcome.close:
                self.close()
        elif "id" in message:
            answer = {"jsonrpc": "2.0", "id": message["id"]}
            if isinstance(outcome, Error):
                answer["error"] = outcome.value
            else:
                answer["result"] = outcome
            # An event may follow as soon as the answer is out.
            with self.daemon.changed:
                self.send(dump(answer))
                self.subscribed |= method == "events.subscribe"

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class FakeDaemon:
    def __init__(self, path):
        self.path = str(path)
        self.answers = {}
        self.calls = []  # (method, params)
        self.connections = set()
        self.changed = threading.Condition(threading.RLock())
        self.listener = None

    def start(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.thread = threading.Thread(target=self.accept, args=(self.listener,), daemon=True)
        self.thread.start()
        return self

    def stop(self):
        """Goes away as a daemon does: the socket first, then each connection."""
        os.unlink(self.path)
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()
        with self.changed:
            leaving = list(self.connections)
        for connection in leaving:
            connection.close()
            connection.thread.join()

    def accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self.changed:
                self.connections.add(Connection(self, sock))

    def forget(self, connection):
        connection.sock.close()
        with self.changed:
            self.connections.discard(connection)
            self.changed.notify_all()

    def outcome(self, method, params):
        answer = self.answers.get(method)
        if answer is None:
            if method.startswith("rpc.cancel"):
                return SILENCE
            return Error(-32601, "method_not_found", f"there is no method '{method}'")
        if callable(answer):
            try:
                return answer(params)
            except Error as error:
                return error
        return answer

    def note(self, method, params):
        with self.changed:
            self.calls.append((method, params))
            self.changed.notify_all()

    def wait_until(self, condition):
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE), f"it never came: {self.calls}"

    def wait_for(self, method, times=1):
        self.wait_until(lambda: len(self.params_of(method)) >= times)

    def params_of(self, method):
        with self.changed:
            return [params for name, params in self.calls if name == method]

    def push(self, **params):
        """An event, to whoever has subscribed."""
        message = dump({"jsonrpc": "2.0", "method": "event", "params": params})
        with self.changed:
            for connection in self.connections:
                if connection.subscribed:
                    connection.send(message)


def workspace(name="laptop", state="online", **more):
    """As workspace.status has it; its times read the same for a while."""
    return {
        "id": "5f0c2a51-7a0e-4f3e-9d6b-1a2b3c4d5e6f", "name": name,
        "platform_url": "https://molecule.example", "state": state,
        "platform_status": "online", "paused": False,
        "since": ago(hours=5, minutes=30), "uptime_ms": 19800000,
        "heartbeat": {"interval_ms": 30000, "last_ok_at": ago(minutes=3, seconds=30),
                      "last_error": None, "sent": 660, "failed": 2},
        "next_attempt_at": None, "token": {"present": True, "prefix": "tok_AbCd"},
        "features": {"poll": True},
        "report": {"current_task": "building", "active_tasks": 1, "error_rate": 0.25,
                   "sample_error": None},
        "inbox": {"pending": 3, "leased": 1, "dead": 0}, "last_error": None, **more}
