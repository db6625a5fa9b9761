# SPDX-License-Identifier: MIT
"""A workspace for the stories of plugins."""

from __future__ import annotations

import pytest

from plugintools import QUIET


@pytest.fixture
def scout(platform, daemon):
    scout = platform.create("scout")
    daemon.add(scout, **QUIET)
    daemon.start()
    daemon.wait_state("scout", "online")
    return scout
