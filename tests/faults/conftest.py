# SPDX-License-Identifier: MIT
"""Faults on purpose: of the disk, of memory, of the network, of the clock, of the platform's answers.

The fixtures are those of the stories in tests/integration: platform, daemon and their like. They
run a plain build, the one that is shipped: what fails a call here does not go together with
sanitizers, and tests that are marked plain are skipped where those are.

Sweeps count what they have tried with tally.add(); the counts are told at the end.

    fast    of these there are few enough to run at each change
    waits   takes long and does little
    plain   needs a build without sanitizers
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).resolve().parent
STORIES = HERE.parent / "integration"
sys.path.insert(0, str(STORIES))

from harness import build_dir  # noqa: E402
from tally import Tally  # noqa: E402


def _stories() -> ModuleType:
    spec = importlib.util.spec_from_file_location("stories", STORIES / "conftest.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


stories = _stories()
shared_platform, platform = stories.shared_platform, stories.platform
start_platform = stories.start_platform
start_daemon, daemon = stories.start_daemon, stories.daemon
pytest_addoption = stories.pytest_addoption
pytest_runtestloop = stories.pytest_runtestloop
pytest_runtest_makereport = stories.pytest_runtest_makereport


def pytest_configure(config: pytest.Config) -> None:
    stories.pytest_configure(config)
    config.addinivalue_line("markers", "waits: takes long and does little; begun first")
    config.addinivalue_line("markers", "fast: runs at each change")
    config.addinivalue_line("markers", "plain: needs a build without sanitizers")


def is_sanitized() -> bool:
    options = json.loads((build_dir() / "meson-info" / "intro-buildoptions.json").read_text())
    return any(row["name"] == "b_sanitize" and row["value"] != "none" for row in options)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    stories.pytest_collection_modifyitems(items)
    # Who waits to the end alone would be waited for.
    items.sort(key=lambda item: item.get_closest_marker("waits") is None)
    sanitized = is_sanitized()
    for item in items:
        if sanitized and item.get_closest_marker("plain"):
            item.add_marker(pytest.mark.skip(reason="needs a build without sanitizers"))


@pytest.fixture
def as_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can do this")


@pytest.fixture(scope="session")
def strace() -> None:
    """The program, which must be allowed to look at a daemon that forbids it to its user."""
    if not shutil.which("strace"):
        pytest.skip("there is no strace")
    if os.geteuid() != 0:
        pytest.skip("only root may trace the daemon")


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    tally = Tally(request.node)
    yield tally
    if not getattr(request.node, "failed", False):
        assert tally.points, "nothing was tried"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    sweeps = [(report.nodeid.rpartition("/")[2], dict(report.user_properties)["points"])
              for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])
              if report.when == "call" and "points" in dict(report.user_properties)]
    if not sweeps:
        return
    terminalreporter.section("points tried")
    for name, points in sweeps:
        terminalreporter.write_line(f"{points:6}  {name}")
    terminalreporter.write_line(f"{sum(points for _, points in sweeps):6}  in {len(sweeps)} sweeps")
