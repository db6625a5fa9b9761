# SPDX-License-Identifier: MIT
"""The way of a plugin from the platform to the helper: no faster than it is unpacked, never by halves."""

import base64
import os
import re
import signal
from pathlib import Path

import pytest

from plugintools import born, install, listed, refused, tree_of

pytestmark = pytest.mark.dev_platform

MIB = 1 << 20


def peak_kib(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


def reset_peak(pid):
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def test_a_large_plugin_takes_little_memory(platform, daemon, scout):
    platform.publish("large", {"noise.bin": os.urandom(48 * MIB)})
    platform.publish("small", {"a": "1"})
    install(daemon, "small")
    reset_peak(daemon.pid)
    before = peak_kib(daemon.pid)
    install(daemon, "large")
    assert (tree_of(daemon, scout, "large") / "noise.bin").stat().st_size == 48 * MIB
    # A sanitizer keeps freed memory for a while: more than that, much less than what came.
    assert peak_kib(daemon.pid) - before < 16384


def test_a_helper_that_is_slow_holds_up_the_platform_and_nobody_else(platform, daemon, scout):
    """What it does not take is not read: it waits at the platform."""
    platform.publish("large", {"noise.bin": os.urandom(48 * MIB)})
    events = daemon.events("plugin.progress")
    asked = daemon.client.send("plugins.install", name="large")
    events.until(lambda event: event["data"]["bytes"] > 0)
    stopped = born(daemon.pid)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        reset_peak(daemon.pid)
        before = peak_kib(daemon.pid)
        # It serves the others, for several times as long as all of it would have taken.
        for _ in range(20):
            assert daemon.refresh("scout")["state"] == "online"
        assert not daemon.client.is_answered(asked)
        assert peak_kib(daemon.pid) - before < 8192
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    assert daemon.client.answer(asked)["bytes"] > 48 * MIB
    assert daemon.call("plugins.verify")["ok"]


@pytest.mark.parametrize("head, body", [
    ("", "all"), ("Transfer-Encoding: chunked\r\n", "cut"), ("Content-Encoding: gzip\r\n", "all"),
    ("Content-Length: 1\r\nContent-Length: 2\r\n", "all")],
    ids=["no_length", "no_last_chunk", "encoded", "two_lengths"])
def test_what_may_not_be_all_is_not_installed(platform, daemon, scout, head, body):
    platform.publish("demo", {"a": "1"})
    archive = platform.tarball(scout, "demo")
    if body == "cut":
        archive = b"%x\r\n%s\r\n" % (len(archive), archive)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/gzip\r\n{head}Connection: close\r\n\r\n"
    fault = platform.dev.fault("download", scout,
                               raw_base64=base64.b64encode(head.encode() + archive).decode())
    error = refused(daemon, "plugins.install", name="demo")
    fault.remove()
    assert error.kind == "unavailable" and "download plugin demo" in error.text
    assert listed(daemon) == {}
    # And that it was all of it is enough.
    assert install(daemon)["files"] == 2


def test_an_error_is_told_in_the_platforms_words(platform, daemon, scout):
    error = refused(daemon, "plugins.install", name="demo")
    assert error.kind == "not_found" and "failed to fetch plugin from local" in error.text
    error = refused(daemon, "plugins.install", name="demo", source="github://owner/demo")
    assert error.kind == "invalid_params" and "unpinned" in error.text
    error = refused(daemon, "plugins.install", name="demo", source="github://owner/demo#v1")
    assert error.kind == "platform_error" and "failed to fetch plugin from github" in error.text
