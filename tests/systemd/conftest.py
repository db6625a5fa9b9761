# SPDX-License-Identifier: MIT
"""Stories of the installed service under a real systemd; tests/systemd/run starts them in a box.

    platform    a stand-in that all tests share
    service     the unit as it is installed, stopped and without workspaces; see service.py
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from service import Journal, Platform, Service


def pytest_sessionstart() -> None:
    if not os.environ.get("SYSTEMD_BOX"):
        pytest.exit("these tests change the system that they run on: start tests/systemd/run", 64)


@pytest.fixture(scope="session")
def shared_platform() -> Iterator[Platform]:
    journal = Journal()
    platform = Platform.start()
    yield platform
    platform.stop()
    log = journal.text()
    for word in platform.canaries:
        assert word not in log, f"the journal has a token or a secret in it: {word[:4]}..."


@pytest.fixture
def platform(shared_platform: Platform) -> Iterator[Platform]:
    yield shared_platform
    shared_platform.dev.reset()
    shared_platform.forget_created()


@pytest.fixture
def service(platform: Platform) -> Iterator[Service]:
    # It needs the platform only so that it ends before the workspaces do.
    service = Service()
    yield service
    service.discard()
