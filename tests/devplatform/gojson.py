# SPDX-License-Identifier: MIT
"""JSON as the platform reads and writes it.

The platform's decoder is forgiving where Python's is not, and strict where
Python's is not: names of members match in any case, bytes after the first
value do not matter, an integer may have neither fraction nor exponent. Its
encoder sorts members and escapes <, > and &, so that a client which looks for
text instead of decoding is found out.
"""

from __future__ import annotations

import json
import re
from typing import Any


class BadBody(Exception):
    """The request's body is not what the endpoint takes."""


class Absent:
    """The type of ABSENT, which stands for a member that is not there."""


ABSENT = Absent()

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPES = (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"),
            ("\u2028", "\\u2028"), ("\u2029", "\\u2029"))


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def decode(body: bytes) -> Any:
    """The first JSON value in body; invalid UTF-8 becomes U+FFFD."""
    text = body.decode("utf-8", "replace").lstrip(" \t\r\n")
    try:
        return _DECODER.raw_decode(text)[0]
    except (ValueError, RecursionError) as error:
        raise BadBody(str(error)) from None


def encode(value: Any) -> bytes:
    """Value as compact JSON, with sorted members and HTML characters escaped."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    for character, escape in _ESCAPES:
        if character in text:
            text = text.replace(character, escape)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _LONE_SURROGATE.sub("\ufffd", text).encode()


def through_float64(value: Any) -> Any:
    """Value as it looks after all its numbers went through a 64-bit float."""
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return plain_number(float(value))
    if isinstance(value, list):
        return [through_float64(item) for item in value]
    if isinstance(value, dict):
        return {key: through_float64(item) for key, item in value.items()}
    return value


def plain_number(value: float) -> int | float:
    """A whole number without its '.0', as the platform prints it."""
    return int(value) if value == value and abs(value) < 1e21 and value == int(value) else value


def has_nul(value: Any) -> bool:
    """Whether any text in value, however deep, holds a NUL, which the datastore cannot keep."""
    rest = [value]
    while rest:
        value = rest.pop()
        if isinstance(value, str) and "\0" in value:
            return True
        if isinstance(value, list):
            rest.extend(value)
        if isinstance(value, dict):
            rest.extend([*value, *value.values()])
    return False


class Fields:
    """A decoded object, read member by member under the platform's rules.

    >>> fields = Fields({"ID": "x", "n": 1.0})
    >>> fields.string("id")
    'x'
    >>> fields.integer("n")
    Traceback (most recent call last):
    ...
    devplatform.gojson.BadBody: n is not an integer
    """

    def __init__(self, value: Any):
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise BadBody("not an object")
        self._members = {key.lower(): item for key, item in value.items()}

    def raw(self, name: str) -> Any:
        """The member as it is, or ABSENT."""
        return self._members.get(name, ABSENT)

    def has(self, name: str) -> bool:
        return name in self._members

    def _typed(self, name: str, kind: type, what: str, default: Any) -> Any:
        value = self._members.get(name)
        if value is None:
            return default
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise BadBody(f"{name} is not {what}")
        return value

    def string(self, name: str, *, required: bool = False) -> str:
        value = self._typed(name, str, "a string", "")
        if required and not value:
            raise BadBody(f"{name} is required")
        return value

    def text(self, name: str) -> str | None:
        """A string that may be left out."""
        return self._typed(name, str, "a string", None)

    def whole(self, name: str) -> int | None:
        """A 64-bit integer that may be left out."""
        value = self._typed(name, int, "an integer", None)
        if value is not None and not -(1 << 63) <= value < 1 << 63:
            raise BadBody(f"{name} is not a 64-bit integer")
        return value

    def integer(self, name: str) -> int:
        return self.whole(name) or 0

    def number(self, name: str) -> float | None:
        value = self._members.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise BadBody(f"{name} is not a number")
        try:
            return float(value)
        except OverflowError:
            raise BadBody(f"{name} is too large") from None

    def boolean(self, name: str) -> bool:
        return self._typed(name, bool, "a boolean", False)

    def mapping(self, name: str) -> dict[str, Any] | None:
        return self._typed(name, dict, "an object", None)

    def array(self, name: str) -> list[Any] | None:
        return self._typed(name, list, "an array", None)
