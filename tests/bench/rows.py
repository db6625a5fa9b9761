# SPDX-License-Identifier: MIT
"""What is measured on the local socket: one function for each row of the bench."""

from __future__ import annotations

import dataclasses
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path

from report import Gate, Result, Rounds, number
from stage import ONE_SECRET, SECRETS, THERE, Daemon, Missing, Process, Stage, request, resp

UNREAD_CLIENTS = 200
NEIGHBOUR_PIPELINE = 128


@dataclasses.dataclass
class Effort:
    """How long to look: a quick run is for those who change something meanwhile."""

    rounds: int
    seconds: float

    def of(self, share: float) -> Effort:
        return Effort(max(3, int(self.rounds * share)), self.seconds)


class Calls:
    """The contenders of the socket rows, set up once a row."""

    def __init__(self, stage: Stage, effort: Effort):
        self.stage, self.effort = stage, effort
        self.daemon = stage.daemon()
        self.one = {"workspace": "bench", "keys": [ONE_SECRET]}
        self.all = {"workspace": "bench"}
        self.notes: list[str] = []

    def request(self, method: str, **params: object) -> Path:
        name = f"{method}-{len(params)}.request"
        return self.stage.file(name, request(method, **params))

    def load(self, path: Path, what: Path, *, clients: int, pipeline: int = 1,
             newlines: int = 1) -> Callable[[], dict[str, float]]:
        return lambda: self.stage.load(path, what, clients=clients, pipeline=pipeline,
                                       newlines=newlines, seconds=self.effort.seconds)

    def contenders(self, clients: int, pipeline: int = 1) -> dict[str, Callable[[], dict[str, float]]]:
        """Raw answers what our secrets.get of one answers, byte for byte."""
        one = self.request("secrets.get", **self.one)
        answer = self.daemon.exchange("secrets.get", **self.one)
        echo = self.stage.echo(answer, many=clients > 1 or pipeline > 1)
        more = {"clients": clients, "pipeline": pipeline}
        found = {"raw": self.load(echo, one, **more)}
        try:
            get = self.stage.file("redis.request", resp("GET", ONE_SECRET))
            found["redis GET"] = self.load(self.stage.redis(), get, newlines=2, **more)
        except Missing as missing:
            self.notes.append(f"{missing} is not installed: its line is left out.")
        found["secrets.get of one"] = self.load(self.daemon.path, one, **more)
        found["secrets.get of all"] = self.load(self.daemon.path,
                                                self.request("secrets.get", **self.all), **more)
        return found

    def dbus(self, clients: int) -> dict[str, Callable[[], dict[str, float]]]:
        """sd-bus to sd-bus through dbus-broker; the answer carries the same secret."""
        try:
            return {"dbus-broker call": self.stage.dbus(SECRETS[ONE_SECRET], clients, self.effort.seconds)}
        except Missing as missing:
            self.notes.append(f"{missing} is not installed: its line is left out.")
            return {}


HEADS = ["", "calls/s", "of raw", "of redis", "p50 µs", "p99 µs", "server CPU µs", "of raw"]


def share(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def lines(rounds: Rounds, single: bool) -> list[list[str]]:
    return [[name, number(rounds.median(name, "rate")), share(rounds.ratio(name, "raw")),
             share(rounds.ratio(name, "redis GET")),
             number(rounds.median(name, "p50_us")) if single else "",
             number(rounds.median(name, "p99_us")) if single else "",
             number(rounds.median(name, "cpu_us")), share(rounds.ratio(name, "raw", "cpu_us"))]
            for name in rounds.samples]


def result(title: str, rounds: Rounds, gates: list[Gate], notes: list[str], single: bool = True) -> Result:
    if rounds.spread("raw") > .15:
        notes = [*notes, f"The machine is not quiet: half of the raw rounds are {rounds.spread('raw'):.0%} apart."]
    return Result(title, HEADS, lines(rounds, single), gates, dict(rounds.samples), notes)


def one_client(stage: Stage, effort: Effort) -> Result:
    calls = Calls(stage, effort)
    rounds = Rounds(effort.rounds, {**calls.contenders(1), **calls.dbus(1)})
    gates = []
    for name in ("secrets.get of one", "secrets.get of all"):
        gates += [Gate(f"{name}, 1 client, of raw", rounds.ratio(name, "raw"), .65, at_least=True),
                  Gate(f"{name}, 1 client, of redis GET", rounds.ratio(name, "redis GET"), .97, at_least=True)]
    return result("One client, one CPU", rounds, gates, calls.notes)


def many_clients(stage: Stage, effort: Effort) -> Result:
    calls = Calls(stage, effort)
    rounds = Rounds(effort.rounds, {**calls.contenders(64), **calls.dbus(64)})
    gates = []
    for name in ("secrets.get of one", "secrets.get of all"):
        gates += [Gate(f"{name}, 64 clients, of redis GET", rounds.ratio(name, "redis GET"), .97, at_least=True),
                  Gate(f"{name}, 64 clients, server CPU, of raw epoll", rounds.ratio(name, "raw", "cpu_us"), 1.6)]
    return result("64 clients, one CPU", rounds, gates, calls.notes, single=False)


def pipelined(stage: Stage, effort: Effort) -> Result:
    calls = Calls(stage, effort)
    rounds = Rounds(effort.of(.5).rounds, calls.contenders(1, pipeline=16))
    return result("One client that pipelines 16, one CPU", rounds, [], calls.notes, single=False)


def pipelined_many(stage: Stage, effort: Effort) -> Result:
    calls = Calls(stage, effort)
    rounds = Rounds(effort.of(.5).rounds, calls.contenders(64, pipeline=16))
    return result("64 clients that pipeline 16, one CPU", rounds, [], calls.notes, single=False)


def peers(stage: Stage, effort: Effort) -> Result:
    calls = Calls(stage, effort)
    answer = calls.daemon.exchange("peers.list", **calls.all)
    ask = calls.request("peers.list", **calls.all)
    rounds = Rounds(effort.rounds, {
        "raw": calls.load(stage.echo(answer, many=False), ask, clients=1),
        "peers.list": calls.load(calls.daemon.path, ask, clients=1)})
    gates = [Gate("peers.list, 50 peers, of raw", rounds.ratio("peers.list", "raw"), .70, at_least=True)]
    return result(f"peers.list of 50 peers ({len(answer):,} bytes), one client, one CPU", rounds, gates, [])


def neighbour(stage: Stage, effort: Effort) -> Result:
    """The daemon and the victim share a CPU; the neighbour has one, so that it never rests."""
    calls = Calls(stage, effort)
    victim = calls.request("secrets.get", **calls.one)
    alone = calls.load(calls.daemon.path, victim, clients=1)

    def beside(what: Path) -> Callable[[], dict[str, float]]:
        def measure() -> dict[str, float]:
            other = stage.start_load(calls.daemon.path, what, pipeline=NEIGHBOUR_PIPELINE,
                                     seconds=effort.seconds + .3, cpu=THERE)
            time.sleep(.15)     # the neighbour is at work before, and until after
            sample = alone()
            out, _ = other.communicate()
            return {**sample, "neighbour": json.loads(out)["rate"]}
        return measure

    rounds = Rounds(effort.rounds, {
        "alone": alone, "beside secrets.get": beside(victim),
        "beside peers.list": beside(calls.request("peers.list", **calls.all))})
    names = [name for name in rounds.samples if name != "alone"]
    gates = [Gate(f"p99 {name} x {NEIGHBOUR_PIPELINE}, of alone", rounds.ratio(name, "alone", "p99_us"), 5)
             for name in names]
    table = [[name, number(rounds.median(name, "p50_us")), number(rounds.median(name, "p99_us")),
              share(rounds.ratio(name, "alone", "p99_us")),
              number(rounds.median(name, "neighbour")) if name in names else ""] for name in rounds.samples]
    return Result(f"secrets.get beside a neighbour that pipelines {NEIGHBOUR_PIPELINE}",
                  ["", "p50 µs", "p99 µs", "of alone", "neighbour calls/s"], table, gates, dict(rounds.samples))


def fill(path: Path, what: bytes, cpu: Process) -> list[socket.socket]:
    """Clients that send until nobody takes any more, and never read."""
    clients: list[socket.socket] = []
    sent = [0] * UNREAD_CLIENTS
    block = what * (262144 // len(what))
    for _ in range(UNREAD_CLIENTS):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(path))
        client.setblocking(False)
        clients.append(client)

    rest = 0
    while rest < 5:     # nobody takes any more, and the daemon does not work
        before, moved = cpu.cpu_s(), 0
        for i, client in enumerate(clients):
            try:
                moved += (n := client.send(block[sent[i] % len(what):]))
                sent[i] += n
            except BlockingIOError:
                pass
        time.sleep(.02)
        rest = rest + 1 if not moved and cpu.cpu_s() - before < .005 else 0
    return clients


def unread(stage: Stage, effort: Effort) -> Result:
    table, gates, data = [], [], {}
    daemon: Daemon = stage.daemon()
    for method in ("peers.list", "secrets.get"):
        before = daemon.rss_mib()
        clients = fill(daemon.path, request(method, workspace="bench"), daemon)
        during = daemon.rss_mib()
        for client in clients:
            client.close()
        while daemon.call("daemon.status")["connections"] > 1:
            pass
        after = daemon.rss_mib()
        data[method] = {"before": before, "during": during, "after": after}
        table.append([method, number(before), number(during - before), number(after - before)])
        gates.append(Gate(f"{UNREAD_CLIENTS} clients never read {method}", during - before, 16, "MiB"))
    return Result(f"{UNREAD_CLIENTS} clients that send all they can and never read",
                  ["", "RSS before, MiB", "grows by", "and is left with"], table, gates, data)


SOCKET_ROWS: dict[str, Callable[[Stage, Effort], Result]] = {
    "one": one_client,
    "many": many_clients,
    "pipeline": pipelined,
    "pipeline-many": pipelined_many,
    "peers": peers,
    "neighbour": neighbour,
    "unread": unread,
}
