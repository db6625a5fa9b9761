# SPDX-License-Identifier: MIT
"""python3 -m devplatform"""

import sys

from .cli import main

sys.exit(main())
