# SPDX-License-Identifier: MIT
"""The daemon is measured as it is shipped: with what its unit and its package give it."""

from __future__ import annotations

import os
import re
from pathlib import Path

UNIT = Path(__file__).resolve().parents[2] / "systemd" / "molecule-agentd.service.in"

#: The package makes its group. One that /etc/group lacks is looked for further, by more libraries.
SOCKET_GROUP = "root"


def environment(**more: str) -> dict[str, str]:
    """What the unit's Environment= lines say, on top of ours."""
    said = re.findall(r"^Environment=(\w+)=(\S*)$", UNIT.read_text(), re.M)
    return {**os.environ, **dict(said), **more}
