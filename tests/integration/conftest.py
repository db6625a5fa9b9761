# SPDX-License-Identifier: MIT
"""Fixtures of the stories: see harness/__init__.py.

    platform        the one at MOLECULE_TEST_PLATFORM_URL (MOLECULE_TEST_ADMIN_TOKEN is its
                    operator's token), or a stand-in that all tests share
    start_platform  starts further stand-ins: start_platform(settings=…, generation=…, tls=True)
    daemon          a daemon that is not started yet; afterwards its log, files and exit
                    status are looked at
    start_daemon    makes further ones
    scout           a workspace of the daemon, online, and QUIET
    peer            an agent that can be called, which no platform knows yet

A test that needs a stand-in is marked dev_platform, and skipped with a given URL.
The few that show at once whether anything works at all are marked smoke.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness import QUIET, Daemon, Peer, Platform, Workspace
from harness.sharing import pytest_addoption, pytest_runtestloop

__all__ = ["pytest_addoption", "pytest_runtestloop"]

URL = "MOLECULE_TEST_PLATFORM_URL"
ADMIN_TOKEN = "MOLECULE_TEST_ADMIN_TOKEN"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "dev_platform: needs the calls under /_dev/")
    config.addinivalue_line("markers", "smoke: shows at once whether anything works at all")
    config.addinivalue_line("markers", "slow: takes many seconds")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not os.environ.get(URL):
        return
    for item in items:
        if item.get_closest_marker("dev_platform"):
            item.add_marker(pytest.mark.skip(reason="needs a stand-in: it uses /_dev/"))


@pytest.fixture(scope="session")
def shared_platform() -> Iterator[Platform]:
    if url := os.environ.get(URL):
        token = os.environ.get(ADMIN_TOKEN)
        if not token:
            pytest.fail(f"{ADMIN_TOKEN} must be the operator's token at {url}")
        yield Platform(url.rstrip("/"), token)
        return
    platform = Platform.start()
    yield platform
    platform.stop()


@pytest.fixture
def platform(shared_platform: Platform) -> Iterator[Platform]:
    if not shared_platform.standin:
        shared_platform.wait_for_room()
    yield shared_platform
    if shared_platform.standin:
        shared_platform.dev.reset()
        shared_platform.unpublish_all()
    shared_platform.forget_created()


@pytest.fixture
def start_platform(tmp_path: Path) -> Iterator[Callable[..., Platform]]:
    """settings: "stale_after_s=5,org_id=acme"; generation: "2026-08"; tls: https."""
    started: list[Platform] = []

    def start(settings: str = "", generation: str = "2026-04", tls: bool = False) -> Platform:
        if os.environ.get(URL):
            pytest.fail("a test that starts a stand-in must be marked dev_platform")
        started.append(Platform.start(settings, generation, tmp_path if tls else None))
        return started[-1]

    yield start
    for platform in started:
        platform.stop()


@pytest.fixture
def start_daemon(request: pytest.FixtureRequest, platform: Platform) -> Iterator[
        Callable[[], Daemon]]:
    # It needs the platform only so that it ends before the workspaces do.
    with ExitStack() as ending:

        def make() -> Daemon:
            daemon = Daemon()
            ending.callback(_end, request.node, daemon)
            return daemon

        yield make


def _end(item: pytest.Item, daemon: Daemon) -> None:
    if getattr(item, "failed", False):
        daemon.discard()    # one complaint is enough
    else:
        daemon.finish()


@pytest.fixture
def daemon(start_daemon: Callable[[], Daemon]) -> Daemon:
    return start_daemon()


@pytest.fixture
def scout(platform: Platform, daemon: Daemon) -> Workspace:
    scout = platform.create("scout")
    daemon.add(scout, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    return scout


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A test that has failed shows the log of its daemon."""
    outcome = yield
    report = outcome.get_result()
    if report.when != "call" or not report.failed:
        return
    item.failed = True
    for name, value in getattr(item, "funcargs", {}).items():
        if isinstance(value, Daemon) and value.log:
            report.sections.append((f"log of {name}", value.log))
