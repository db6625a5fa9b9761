# SPDX-License-Identifier: MIT
"""What is measured on whole processes: footprint, start, the command line, the platform's side."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import shipped
from report import Gate, Result, Rounds, number
from rows import Effort, share
from stage import HERE, ONE_SECRET, Missing, Stage, end, notify_socket, pin, request

SCALES = {"workspaces-10k": (10_000, 7, 24), "workspaces-50k": (50_000, 25, 64)}
REQUESTS = 3000


def system_python() -> str:
    """The one that Debian's python3-requests belongs to."""
    python = "/usr/bin/python3"
    if subprocess.run([python, "-c", "import requests"], capture_output=True, check=False).returncode:
        raise Missing("python3-requests")
    return python


def heartbeat(stage: Stage, effort: Effort) -> Result:
    """Both alone on one CPU with the platform, and asking again as soon as they are answered."""
    url = stage.platform(cpu=HERE)
    gates, notes = [], []
    contenders: dict[str, Callable[[], dict[str, float]]] = {}

    def ours(at_once: int) -> Callable[[], dict[str, float]]:
        def measure() -> dict[str, float]:
            out = stage.run(stage.ours("bench-http"), f"{url}/registry/heartbeat", str(REQUESTS * 3), str(at_once))
            found = re.search(r": (\d+)/s, ([\d.]+) us of CPU each, 0 failed", out)
            assert found, out
            return {"rate": float(found[1]), "cpu_us": float(found[2])}
        return measure

    def theirs(what: str, count: int, *pause: str) -> Callable[[], dict[str, float]]:
        python, script = system_python(), Path(__file__).with_name("sdk-client.py")
        return lambda: json.loads(stage.run(python, "-B", script, what, url, "token-of-the-bench", str(count), *pause))

    contenders["our HTTP, 1 at once"] = ours(1)
    contenders["our HTTP, 8 at once"] = ours(8)
    try:
        contenders["Python requests, a heartbeat"] = theirs("heartbeat", REQUESTS // 3)
        contenders["the same, one each 0.1 s"] = theirs("heartbeat", 20, "0.1")
    except Missing as missing:
        notes.append(f"{missing} is not installed: nothing to compare with.")
    rounds = Rounds(effort.of(.4).rounds, contenders)
    ratio = rounds.ratio("our HTTP, 8 at once", "Python requests, a heartbeat", "cpu_us")
    gates.append(Gate("CPU per heartbeat, of the Python SDK's way", ratio, 1 / 30))
    lines = [[name, number(rounds.median(name, "rate")), number(rounds.median(name, "cpu_us")),
              share(rounds.ratio("Python requests, a heartbeat", name, "cpu_us"))] for name in rounds.samples]
    notes.append("Both sides as fast as they can; what each costs when it is rare is the last line, "
                 "and the rows of many workspaces.")
    return Result("Heartbeats: the CPU time of who sends them, one CPU",
                  ["", "a second", "CPU µs each", "times cheaper than the SDK's"], lines, gates,
                  dict(rounds.samples), notes)


def python_client(stage: Stage, effort: Effort) -> Result:
    """What an agent in Python pays for a secret: with the SDK, and with a socket and json."""
    daemon = stage.daemon(platform_cpu=HERE)
    notes: list[str] = []

    def local() -> dict[str, float]:
        ask, n = request("secrets.get", workspace="bench", keys=[ONE_SECRET]), REQUESTS * 5
        began, cpu = time.monotonic(), time.process_time()
        for _ in range(n):
            daemon.socket.sendall(ask)
            assert json.loads(daemon.lines.readline())["result"]
        return {"rate": n / (time.monotonic() - began), "cpu_us": (time.process_time() - cpu) / n * 1e6}

    contenders: dict[str, Callable[[], dict[str, float]]] = {"secrets.get on the socket": local}
    try:
        python, script = system_python(), Path(__file__).with_name("sdk-client.py")
        contenders["GET with requests"] = lambda: json.loads(stage.run(
            python, "-B", script, "secrets", daemon.platform_url, "token-of-the-bench", str(REQUESTS // 3)))
    except Missing as missing:
        notes.append(f"{missing} is not installed: nothing to compare with.")

    before = os.sched_getaffinity(0)
    pin(HERE)()
    try:
        rounds = Rounds(effort.of(.4).rounds, contenders)
    finally:
        os.sched_setaffinity(0, before)
    lines = [[name, number(rounds.median(name, "rate")), number(1e6 / rounds.median(name, "rate")),
              number(rounds.median(name, "cpu_us")), share(rounds.ratio(name, "GET with requests"))]
             for name in rounds.samples]
    return Result("A client in Python, one CPU", ["", "calls/s", "µs each", "CPU µs each", "of requests"],
                  lines, [], dict(rounds.samples), notes)


def idle(stage: Stage, effort: Effort) -> Result:
    daemon = stage.daemon()
    pss, private, rss = daemon.pss_mib(), daemon.private_mib(), daemon.rss_mib()
    return Result("Idle, with one workspace, its secrets and 50 peers", ["", "MiB"],
                  [["PSS", number(pss)], ["private", number(private)], ["RSS", number(rss)]],
                  [Gate("idle, PSS", pss, 7, "MiB"), Gate("idle, private", private, 4, "MiB")],
                  {"pss": pss, "private": private, "rss": rss},
                  ["PSS depends on who else uses the same libraries: alone it is highest."])


def milliseconds(title: str, what: str, limit: float, samples: list[dict[str, float]], idle_ms: float) -> Result:
    values = sorted(sample["ms"] for sample in samples)
    middle = values[len(values) // 2]
    return Result(title, ["", "median ms", "best ms", "worst ms"],
                  [[what, number(middle), number(values[0]), number(values[-1])],
                   ["/bin/true, the same way", number(idle_ms), "", ""]],
                  [Gate(what, middle, limit, "ms")], {"samples": samples})


def spawn_true() -> float:
    """What the measuring itself takes."""
    times = []
    for _ in range(20):
        began = time.monotonic()
        subprocess.run(["/bin/true"], check=True)
        times.append(1000 * (time.monotonic() - began))
    return sorted(times)[10]


def ready(stage: Stage, effort: Effort) -> Result:
    config = stage.configure(stage.platform())
    path, samples = stage.dir / "notify", []
    environment = shipped.environment(NOTIFY_SOCKET=str(path))
    before = os.sched_getaffinity(0)
    pin(HERE)()
    try:
        nothing = spawn_true()
        with notify_socket(path) as message:
            for _ in range(effort.rounds * 2):
                began = time.monotonic()
                process = subprocess.Popen([stage.ours("molecule-agentd"), "--config", config],
                                           env=environment, stdin=subprocess.DEVNULL)
                stage.exits.callback(end, process)
                while "READY=1" not in message():
                    pass
                samples.append({"ms": 1000 * (time.monotonic() - began)})
                end(process)
    finally:
        os.sched_setaffinity(0, before)
    return milliseconds("From exec to READY", "exec to READY", 12, samples, nothing)


def ctl(stage: Stage, effort: Effort) -> Result:
    daemon = stage.daemon()
    command = [stage.ours("molecule-agentctl"), "--socket", daemon.path, "secrets", "get", ONE_SECRET]
    samples = []
    before = os.sched_getaffinity(0)
    pin(HERE)()
    try:
        nothing = spawn_true()
        for _ in range(effort.rounds * 4):
            began = time.monotonic()
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            samples.append({"ms": 1000 * (time.monotonic() - began)})
            assert done.stdout
    finally:
        os.sched_setaffinity(0, before)
    return milliseconds("molecule-agentctl secrets get", "molecule-agentctl secrets get, fork to exit", 4,
                        samples, nothing)


def workspaces(name: str) -> Callable[[Stage, Effort], Result]:
    count, max_cpu, max_rss = SCALES[name]

    def row(stage: Stage, effort: Effort) -> Result:
        script = Path(__file__).with_name("many-workspaces")
        done = subprocess.run([sys.executable, "-B", script, stage.build, "-n", str(count), "--tls", "--json"],
                              stdout=subprocess.PIPE, check=False)
        if not done.stdout:
            raise RuntimeError(f"many-workspaces: status {done.returncode}")
        seen = json.loads(done.stdout)
        mib = seen["rss_kib"] / 1024
        each = (seen["rss_kib"] - seen["base_kib"]) / (count - 1)
        bad = sum(seen[key] for key in ("heartbeats_failed", "heartbeats_late", "state_polls_failed", "refused"))
        gates = [Gate(f"{count:,} workspaces, of a core", seen["cpu"], max_cpu, "%"),
                 Gate(f"{count:,} workspaces, RSS", mib, max_rss, "MiB"),
                 Gate(f"{count:,} workspaces, longest delay", max(0, seen["gap"] - seen["interval"]), 1, "s"),
                 Gate(f"{count:,} workspaces, late, failed or missing", bad + len(seen["failures"]), 0)]
        requests_s = 2 * count / seen["interval"]
        lines = [["CPU, % of a core", number(seen["cpu"])],
                 ["CPU for each heartbeat or poll, µs", number(seen["cpu"] * 1e4 / requests_s)],
                 ["RSS, MiB", number(mib)],
                 ["RSS, KiB for each", number(each)], ["heartbeats", number(seen["heartbeats_ok"])],
                 ["state polls", number(seen["state_polls_ok"])], ["longest silence, s", number(seen["gap"])],
                 ["late or failed", str(bad)], ["exec to all online, s", number(seen["joined_s"])],
                 ["CPU for that, s", number(seen["join_cpu_s"])]]
        return Result(f"{count:,} workspaces, heartbeat and poll each {seen['interval']} s, TLS", ["", ""],
                      lines, gates, seen)
    return row


PROCESS_ROWS: dict[str, Callable[[Stage, Effort], Result]] = {
    "python": python_client,
    "heartbeat": heartbeat,
    "idle": idle,
    "ready": ready,
    "ctl": ctl,
    **{name: workspaces(name) for name in SCALES},
}
