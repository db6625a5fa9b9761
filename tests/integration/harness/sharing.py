# SPDX-License-Identifier: MIT
"""Several processes that run pytest, and share the tests: see tests/spread. For a conftest.py."""

from __future__ import annotations

import contextlib
import hashlib
import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    with contextlib.suppress(ValueError):   # two folders in one run: it is there already
        parser.addoption("--share", metavar="DIR", help=(
            "of the tests only those that no other process with this folder has taken"))


def _is_free(item: pytest.Item) -> bool:
    """Takes it, if nobody has."""
    folder = item.config.getoption("--share")
    name = hashlib.sha256(item.nodeid.encode()).hexdigest()
    try:
        os.close(os.open(f"{folder}/{name}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """As pytest's own, but each test is taken while the one before it is yet to run: what is torn
    down after that one depends on it."""
    if not session.config.getoption("--share", default=None) or session.config.option.collectonly:
        return None
    if session.testsfailed:
        raise session.Interrupted("the tests could not be collected")
    mine = (item for item in session.items if _is_free(item))
    item = next(mine, None)
    while item:
        following = next(mine, None)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        item = following
    return True
