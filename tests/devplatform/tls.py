# SPDX-License-Identifier: MIT
"""TLS: a certificate authority of our own, and certificates that are wrong on purpose."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

Wrap = Callable[[socket.socket], socket.socket]

HANDSHAKE_S = 30.0
LOCAL_NAMES = "IP:127.0.0.1,DNS:localhost"

#: kind -> (names, first day, last day), in the form that openssl ca wants.
_DATED = {
    "expired": (LOCAL_NAMES, "20200101000000Z", "20210101000000Z"),
    "not_yet_valid": (LOCAL_NAMES, "20900101000000Z", "20910101000000Z"),
    "wrong_host": ("DNS:elsewhere.invalid", "", ""),
}
KINDS = ("tls", *_DATED, "self_signed", "unknown_ca", "tls11", "handshake_cut",
         "handshake_hang", "not_tls")

_CA_CONFIG = """
[ca]
default_ca = here
[here]
database = {folder}/index.txt
serial = {folder}/serial
new_certs_dir = {folder}
default_md = sha256
default_days = 3650
policy = anything
copy_extensions = none
unique_subject = no
rand_serial = yes
[anything]
commonName = supplied
[leaf]
basicConstraints = critical,CA:FALSE
subjectAltName = {names}
"""


class TlsError(Exception):
    """Certificates cannot be made, or were never asked for."""


def _openssl(*arguments: str) -> None:
    try:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
    except FileNotFoundError:
        raise TlsError("TLS needs the openssl command") from None
    except subprocess.CalledProcessError as error:
        raise TlsError(f"openssl {arguments[0]}: {error.stderr.decode()[-300:]}") from None


def _make_authority(folder: Path, name: str, common_name: str) -> None:
    """NAME.pem and NAME.key: a self-signed certificate that may sign."""
    if (folder / f"{name}.pem").exists():
        return
    _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-days", "3650", "-subj", f"/CN={common_name}",
             "-addext", "keyUsage=critical,keyCertSign,cRLSign",
             "-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem"))


def _make_leaf(folder: Path, name: str, *, authority: str = "ca", names: str = LOCAL_NAMES,
               start: str = "", end: str = "") -> None:
    """NAME.pem and NAME.key, signed by an authority, for these names and days."""
    if (folder / f"{name}.pem").exists():
        return
    config = folder / f"{name}.cnf"
    config.write_text(_CA_CONFIG.format(folder=folder, names=names))
    (folder / "index.txt").touch()
    request, key = folder / f"{name}.csr", folder / f"{name}.key"
    _openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request))
    dates = ["-startdate", start, "-enddate", end] if start else []
    _openssl("ca", "-batch", "-notext", "-config", str(config), "-extensions", "leaf",
             "-cert", str(folder / f"{authority}.pem"),
             "-keyfile", str(folder / f"{authority}.key"),
             "-in", str(request), "-out", str(folder / f"{name}.pem"), *dates)


def _wrapper(folder: Path, name: str, *, old: bool = False) -> Wrap:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if old:
        # TLS 1.1 needs SHA-1, which is below today's default security level.
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")

    def wrap(accepted: socket.socket) -> socket.socket:
        accepted.settimeout(HANDSHAKE_S)
        wrapped = context.wrap_socket(accepted, server_side=True)
        wrapped.settimeout(None)
        return wrapped

    return wrap


def good(folder: Path) -> Wrap:
    """For the server itself; ca.pem is what its clients have to trust."""
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    _make_authority(folder, "ca", "devplatform test authority")
    _make_leaf(folder, "server")
    return _wrapper(folder, "server")


def faulty(kind: str, folder: Path | None) -> Wrap:
    """A listener that a careful client refuses (and, as kind tls, one that it does not)."""
    if kind not in KINDS:
        raise TlsError(f"kind is plain or one of {', '.join(KINDS)}")
    if kind == "handshake_cut":
        return _cut
    if kind == "handshake_hang":
        return _hang
    if kind == "not_tls":
        return _not_tls
    if folder is None:
        raise TlsError("start the stand-in with --tls DIR for this")
    folder = folder.resolve()
    if kind == "self_signed":
        _make_authority(folder, "self_signed", "localhost")
    elif kind == "unknown_ca":
        _make_authority(folder, "stranger", "an authority that nobody knows")
        _make_leaf(folder, "unknown_ca", authority="stranger")
    elif kind in _DATED:
        names, start, end = _DATED[kind]
        _make_leaf(folder, kind, names=names, start=start, end=end)
    else:
        return _wrapper(folder, "server", old=kind == "tls11")
    return _wrapper(folder, kind)


def _cut(accepted: socket.socket) -> socket.socket:
    """Begin a TLS answer and leave."""
    accepted.settimeout(HANDSHAKE_S)
    accepted.recv(65536)
    accepted.sendall(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03")
    accepted.shutdown(socket.SHUT_WR)
    raise OSError("handshake cut on purpose")


def _hang(accepted: socket.socket) -> socket.socket:
    """Take the client's part of the handshake and never answer."""
    while accepted.recv(65536):
        pass
    raise OSError("the client gave up the handshake")


def _not_tls(accepted: socket.socket) -> socket.socket:
    """Speak cleartext HTTP where TLS is expected."""
    accepted.settimeout(HANDSHAKE_S)
    accepted.recv(65536)
    accepted.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
                     b"Content-Length: 0\r\n\r\n")
    accepted.shutdown(socket.SHUT_WR)
    raise OSError("cleartext on purpose")
