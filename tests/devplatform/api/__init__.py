# SPDX-License-Identifier: MIT
"""The platform's endpoints. Importing a module declares its routes."""

from . import basics, registry, secrets, tokens, workspaces

__all__ = ["basics", "registry", "secrets", "tokens", "workspaces"]
