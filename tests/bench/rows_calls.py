# SPDX-License-Identifier: MIT
"""What is measured on calls to peers: what one costs, and what many cost the others."""

from __future__ import annotations

import contextlib
import json
import socket
import statistics
import time
from collections.abc import Callable

from report import Gate, Result, Rounds, number
from rows import Calls, Effort, share
from stage import HERE, PATIENCE_S, WORKSPACE_ID, Daemon, Stage, peers, request, wait_until

TEXT = "ping"
IN_FLIGHT, A_CONNECTION = 1000, 125


def message(text: str) -> bytes:
    """What the daemon sends for it, but for the ids."""
    number_of_one = "00000000-0000-4000-8000-000000000000"
    return json.dumps({"jsonrpc": "2.0", "id": number_of_one, "method": "message/send", "params": {"message": {
        "kind": "message", "role": "user", "messageId": number_of_one,
        "parts": [{"kind": "text", "text": text}]}}}, separators=(",", ":")).encode()


def direct(stage: Stage, effort: Effort) -> Result:
    """The peer, the platform and all who call share a CPU. One call at a time."""
    daemon = stage.daemon(platform_cpu=HERE)
    ask = {"workspace": "bench", "to": peers(1)[0]["id"], "text": TEXT, "route": "direct"}
    answer = daemon.exchange("a2a.send", **ask)
    assert b'"text":"pong"' in answer, answer
    call = stage.file("a2a.send.request", request("a2a.send", **ask))
    body = stage.file("message", message(TEXT))
    echo = stage.echo(answer, many=False)

    def bare(connection: str) -> Callable[[], dict[str, float]]:
        """kept: as the daemon does it, when it has just called that peer before."""
        def measure() -> dict[str, float]:
            out = stage.run(stage.ours("bench-curl"), connection, f"{daemon.platform_url}/a2a", body,
                            str(int(effort.seconds * 1000)), f"X-Workspace-ID: {WORKSPACE_ID}")
            sample: dict[str, float] = json.loads(out)
            return sample
        return measure

    rounds = Rounds(effort.rounds, {
        "raw": lambda: stage.load(echo, call, seconds=effort.seconds),
        "libcurl": bare("kept"), "libcurl, new connections": bare("new"),
        "a2a.send": lambda: stage.load(daemon.path, call, seconds=effort.seconds)})
    added = [(ours["p50_us"] - theirs["p50_us"]) / raw["p50_us"] for ours, theirs, raw in zip(
        rounds.samples["a2a.send"], rounds.samples["libcurl"], rounds.samples["raw"])]
    cpu = rounds.ratio("a2a.send", "libcurl", "cpu_us")
    gates = [Gate("a2a.send, CPU per call, of bare libcurl", cpu, 1.5),
             Gate("a2a.send, what it adds to libcurl's p50, of a raw round trip", statistics.median(added), 2)]
    lines = [[name, number(rounds.median(name, "rate")), number(rounds.median(name, "p50_us")),
              number(rounds.median(name, "p99_us")), number(rounds.median(name, "cpu_us")),
              share(rounds.ratio(name, "libcurl", "cpu_us"))] for name in rounds.samples]
    return Result("a2a.send to a peer that answers at once, one CPU",
                  ["", "calls/s", "p50 µs", "p99 µs", "CPU µs", "of libcurl"], lines, gates, dict(rounds.samples),
                  ["raw and a2a.send: CPU of the server; libcurl: of the client, which is all there is."])


def wait_in_vain(daemon: Daemon, to: str) -> list[socket.socket]:
    """So many calls to a peer that does not answer; they end with their connections."""
    clients = []
    ask = request("a2a.send", workspace="bench", to=to, text=TEXT, route="direct", timeout_ms=600_000)
    for _ in range(IN_FLIGHT // A_CONNECTION):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(daemon.path))
        client.sendall(ask * A_CONNECTION)
        clients.append(client)
    return clients


def rest(daemon: Daemon) -> None:
    """Until it has nothing more to do: libcurl looks at each connection again while it is new."""
    while True:
        before = daemon.cpu_s()
        time.sleep(.6)
        if daemon.cpu_s() - before < .0005:
            return


def beside(stage: Stage, effort: Effort) -> Result:
    """A peer that takes calls and never answers: the kernel does, so that it costs nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=2 * IN_FLIGHT) as silent:
        silent.settimeout(PATIENCE_S)
        stage.more_peers = (f"http://127.0.0.1:{silent.getsockname()[1]}/",)
        calls = Calls(stage, effort)
        daemon, samples = calls.daemon, {}
        measure: Callable[[], dict[str, float]] = calls.load(
            daemon.path, calls.request("secrets.get", **calls.one), clients=1)
        before = daemon.rss_mib()

        def in_flight() -> dict[str, float]:
            with contextlib.ExitStack() as ending:
                # Who called leaves first: a peer that hangs up on a thousand would not be called again.
                for client in wait_in_vain(daemon, peers(2)[1]["id"]):
                    ending.enter_context(client)
                arrived = [silent.accept()[0] for _ in range(IN_FLIGHT)]
                rest(daemon)
                sample = {**measure(), "mib": daemon.rss_mib() - before}
            wait_until(lambda: daemon.call("daemon.status")["connections"] == 1, "the callers have left")
            for connection in arrived:
                connection.close()
            return sample

        rounds = Rounds(effort.of(.5).rounds, {"alone": measure, f"beside {IN_FLIGHT:,}": in_flight})
        samples = dict(rounds.samples)
    name = f"beside {IN_FLIGHT:,}"
    ratio, mib = rounds.ratio(name, "alone", "p99_us"), rounds.median(name, "mib")
    gates = [Gate(f"p99 of secrets.get beside {IN_FLIGHT:,} calls in flight, of alone", ratio, 2),
             Gate(f"{IN_FLIGHT:,} calls in flight", mib, 64, "MiB")]
    lines = [[which, number(rounds.median(which, "p50_us")), number(rounds.median(which, "p99_us")),
              share(rounds.ratio(which, "alone", "p99_us")),
              number(rounds.median(which, "mib")) if which == name else ""] for which in rounds.samples]
    return Result(f"secrets.get beside {IN_FLIGHT:,} calls to a peer that does not answer",
                  ["", "p50 µs", "p99 µs", "of alone", "RSS + MiB"], lines, gates, samples)


CALL_ROWS: dict[str, Callable[[Stage, Effort], Result]] = {"calls": direct, "calls-waiting": beside}
