# SPDX-License-Identifier: MIT
"""How a workspace gets onto the platform."""

import pytest


@pytest.mark.smoke
def test_joins_with_the_token_of_a_file(platform, daemon):
    scout = platform.create("scout")
    daemon.add(scout)
    daemon.start()
    status = daemon.wait_state("scout", "online")
    assert status["token"] == {"present": True, "prefix": scout.token[:8]}
    assert platform.status(scout) == "online"
