# SPDX-License-Identifier: MIT
"""libmolecule-agent, loaded into a process that is none of ours."""

import os
import pathlib
import re
import subprocess
import sys

from ctlfixtures import build_dir

STORIES = pathlib.Path(__file__).with_name("client_stories.py")


def sanitizer():
    """The runtime that a library built with it wants to be loaded first; None in other builds."""
    library = build_dir() / "src/client/libmolecule-agent.so.0"
    needs = subprocess.run(["ldd", library], capture_output=True, text=True, check=True).stdout
    found = re.search(r"^\s*libasan\S* => (\S+)", needs, re.M)
    return found and found.group(1)


def test_the_library_does_what_its_header_says():
    env = {**os.environ, "PYTEST_ADDOPTS": ""}
    if runtime := sanitizer():
        # Python itself leaves memory behind.
        env |= {"LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0"}
    stories = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                              STORIES], env=env, capture_output=True, text=True, timeout=120)
    assert stories.returncode == 0, stories.stdout + stories.stderr
