# SPDX-License-Identifier: MIT
"""The platform's endpoints. Importing a module declares its routes."""

from . import (activity, basics, delegation, mcp, memory, messages, notebook, plugins, registry,
               secrets, tokens, workspaces)

__all__ = ["activity", "basics", "delegation", "mcp", "memory", "messages", "notebook",
           "plugins", "registry", "secrets", "tokens", "workspaces"]
