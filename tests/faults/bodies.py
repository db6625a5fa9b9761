# SPDX-License-Identifier: MIT
"""Makes bad answers out of a good one."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

DEEP = 4000
# Written as text: some of it Python would not write.
OTHERS = {"null": "null", "true": "true", "number": "7", "negative": "-1", "fraction": "0.5",
          "huge": "1" * 400, "exponent": "1e999", "string": '"seven"', "empty": '""',
          "array": "[]", "array of arrays": "[[]]", "object": "{}",
          "deep": "[" * DEEP + "]" * DEEP, "long": '"' + "x" * 20000 + '"',
          "nul": '"a\\u0000b"'}
NO_JSON = {"nothing": "", "blank": "  \n", "html": "<!DOCTYPE html><html><body>Welcome</body></html>",
           "text": "ok", "two": "{} {}", "trailing": "{} x", "comma": '{"a":1,}',
           "quotes": "{'a': 1}", "nan": '{"a": NaN}', "bad utf-8": '{"a":"\xff"}',
           "bomb": "[" * 200000, "control": '{"a":"\n"}'}
MARK = "@@ here @@"


def truncated(good: str, step: int = 1) -> Iterator[tuple[str, str]]:
    for size in range(0, len(good), step):
        yield f"its first {size} bytes", good[:size]


def not_json() -> Iterator[tuple[str, str]]:
    yield from NO_JSON.items()


def whole() -> Iterator[tuple[str, str]]:
    """JSON, but nothing that an answer could be."""
    for name, text in OTHERS.items():
        if name not in ("object", "array"):
            yield f"{name} as a whole", text


def paths(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = (value.items() if isinstance(value, dict) else
             enumerate(value) if isinstance(value, list) else ())
    for key, member in items:
        yield (*before, key)
        yield from paths(member, (*before, key))


def kind_of(value: Any) -> type:
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def retyped(good: str) -> Iterator[tuple[str, str]]:
    """Every field in turn is of every other type, or not there at all."""
    value = json.loads(good)
    for path in paths(value):
        for name, text in OTHERS.items():
            changed = copy.deepcopy(value)
            parent = changed
            for key in path[:-1]:
                parent = parent[key]
            was = parent[path[-1]]
            # Another string in the place of a string would be an answer like any other.
            if name in ("string", "empty", "long", "nul") and isinstance(was, str):
                continue
            if name in ("number", "negative", "fraction") and kind_of(was) is float:
                continue
            parent[path[-1]] = MARK
            yield (f"{'.'.join(map(str, path))} is {name}",
                   json.dumps(changed).replace(json.dumps(MARK), text))
        gone = copy.deepcopy(value)
        parent = gone
        for key in path[:-1]:
            parent = parent[key]
        del parent[path[-1]]
        yield f"no {'.'.join(map(str, path))}", json.dumps(gone)
