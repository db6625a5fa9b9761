# SPDX-License-Identifier: MIT
"""One stand-in for the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .harness import Standin


@pytest.fixture(scope="module")
def running() -> Iterator[Standin]:
    with Standin.start() as standin:
        yield standin


@pytest.fixture
def standin(running: Standin) -> Iterator[Standin]:
    """Without faults, outages and old requests."""
    running.clear_faults()
    running.dev("DELETE", "requests")
    yield running
    running.clear_faults()
    running.dev("DELETE", "outage")
