# SPDX-License-Identifier: MIT
"""The command line: start a stand-in, say where it is, stop it when told."""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import resource
import secrets
import signal
import sys
import threading
from pathlib import Path

from .server import Server
from .settings import GENERATIONS, Options, Settings, parse_settings
from .tls import TlsError, good

DESCRIPTION = """\
A stand-in for the Molecule AI platform: listens on 127.0.0.1, keeps everything
in memory, and misbehaves on demand. The first line printed is its URL; if no
admin token was given, the second one is 'admin token: TOKEN'. With --tls, the
last one is 'plain: URL', the same platform without TLS. It runs until SIGTERM
or SIGINT."""

EPILOG = """\
settings (KEY=VALUE, separated by commas; the number after '=' is the default):
{settings}

examples:
  tools/devplatform --port 8080 --admin-token secret
  tools/devplatform --generation 2026-08 --settings stale_after_s=5,sweep_s=1
  tools/devplatform --tls /tmp/tls    # then: curl --cacert /tmp/tls/ca.pem URL/health

tests/devplatform/README.md describes the calls under /_dev/, which make it fail."""


def _parser() -> argparse.ArgumentParser:
    defaults = "\n".join(f"  {name}={str(value).lower()}"
                         for name, value in vars(Settings()).items())
    parser = argparse.ArgumentParser(
        prog="devplatform", description=DESCRIPTION, epilog=EPILOG.format(settings=defaults),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, metavar="N",
                        help="port to listen on (default 0: any free one)")
    parser.add_argument("--admin-token", default="", metavar="TOKEN",
                        help="the operator's token (default: a new one, printed)")
    parser.add_argument("--generation", choices=GENERATIONS, default=GENERATIONS[0],
                        help="of the API (default %(default)s)")
    parser.add_argument("--settings", default="", metavar="K=V,...", help="see below")
    parser.add_argument("--plugins", type=Path, metavar="DIR",
                        help="folder of local plugins, one folder each")
    parser.add_argument("--tls", type=Path, metavar="DIR",
                        help="serve https; DIR gets ca.pem and the certificates "
                             "if they are not there")
    parser.add_argument("--record", type=int, default=10_000, metavar="N",
                        help="requests that are remembered (default %(default)s)")
    parser.add_argument("--stdin", action="store_true",
                        help="end when standard input ends, as when the starter has died")
    parser.add_argument("-v", "--verbose", action="store_true",
                        help="tell on stderr what happens")
    return parser


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = _parser()
    given = parser.parse_args(argv)
    try:
        given.settings = parse_settings(given.settings)
    except ValueError as error:
        parser.error(f"--settings: {error}")
    if given.plugins is not None and not given.plugins.is_dir():
        parser.error(f"--plugins: {given.plugins} is not a folder")
    return given


def _raise_file_limit() -> None:
    """Every connection is an open file."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _end_of_signals() -> tuple[int, int]:
    """A pipe that SIGTERM and SIGINT write to, whichever thread the kernel gives them to.

    It may be one that is just being made for a connection. What Python code does about a
    signal, though, the main thread does - once it runs, and a read() that nobody has
    interrupted keeps it from that. The byte is written by the handler in C.
    """
    stopped, stop = os.pipe()
    os.set_blocking(stop, False)
    signal.set_wakeup_fd(stop, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return stopped, stop


def _read_to_end(stop: int) -> None:
    # Not through sys.stdin, whose lock the interpreter wants when it ends.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.write(stop, b".")


def main(argv: list[str] | None = None) -> int:
    given = _parse(argv)
    faulthandler.enable()   # SIGABRT shows where it hangs
    logging.basicConfig(level=logging.DEBUG if given.verbose else logging.WARNING,
                        format="devplatform: %(message)s")
    token = given.admin_token or secrets.token_urlsafe(24)
    options = Options(given.settings, given.generation, token, given.plugins, given.tls,
                      given.port, given.record)
    _raise_file_limit()
    stopped, stop = _end_of_signals()
    if given.stdin:
        threading.Thread(target=_read_to_end, args=(stop,), daemon=True).start()
    try:
        wrap = good(options.tls) if options.tls else None
        server = Server(options, wrap)
    except (OSError, TlsError) as error:
        print(f"devplatform: cannot start: {error}", file=sys.stderr)
        return 1
    lines = [server.url]
    if not given.admin_token and not given.settings.dev_open:
        lines.append(f"admin token: {options.admin_token}")
    if wrap:
        # For whoever does not trust ca.pem yet, and for /_dev/.
        lines.append(f"plain: {server.listen(None).url}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    os.read(stopped, 1)
    server.stop()
    return 0
