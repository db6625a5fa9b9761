# SPDX-License-Identifier: MIT
"""What was measured, as tables, and against the gates."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Callable, Sequence
from typing import Any


@dataclasses.dataclass
class Gate:
    """A limit. value is what was measured; None: it could not be."""

    what: str
    value: float | None
    limit: float
    unit: str = ""
    at_least: bool = False

    def holds(self) -> bool:
        if self.value is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def cells(self) -> list[str]:
        sign = "≥" if self.at_least else "≤"
        measured = "not measured" if self.value is None else f"{number(self.value)} {self.unit}"
        return [self.what, measured.strip(), f"{sign} {number(self.limit)} {self.unit}".strip(),
                "" if self.value is None else "met" if self.holds() else "MISSED"]


@dataclasses.dataclass
class Result:
    """One row of the bench: a table of its own, and the gates that it decides."""

    title: str
    heads: list[str]
    lines: list[list[str]]
    gates: list[Gate]
    data: dict[str, Any]
    notes: list[str] = dataclasses.field(default_factory=list)


class Rounds:
    """The same things measured in turns, so that what disturbs one disturbs all.

    A ratio is taken within each round, and then their median: what is slow for
    a while slows both sides of it.
    """

    def __init__(self, count: int, contenders: dict[str, Callable[[], dict[str, float]]]):
        self.samples: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
        for _ in range(count):
            for name, measure in contenders.items():
                self.samples[name].append(measure())

    def __contains__(self, name: str) -> bool:
        return name in self.samples

    def median(self, name: str, key: str) -> float:
        return statistics.median(sample[key] for sample in self.samples[name])

    def best(self, name: str, key: str) -> float:
        return min(sample[key] for sample in self.samples[name])

    def ratio(self, name: str, base: str, key: str = "rate") -> float | None:
        if name not in self.samples or base not in self.samples:
            return None
        return statistics.median(one[key] / other[key] for one, other in
                                 zip(self.samples[name], self.samples[base]))

    def spread(self, name: str, key: str = "rate") -> float:
        """How far the middle half of the rounds is apart, of their median."""
        values = [sample[key] for sample in self.samples[name]]
        if len(values) < 4:
            return 0.0
        low, middle, high = statistics.quantiles(values, n=4)
        return (high - low) / middle


def number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 1 else f"{value:.2f}".rstrip("0").rstrip(".")


def table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Markdown, with its columns in line: the first to the left, the others to the right."""
    widths = [max(len(line[i]) for line in [heads, *lines]) for i in range(len(heads))]

    def row(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                                 for i, (cell, width) in enumerate(zip(cells, widths))) + " |"

    rule = "|" + "|".join("-" * (width + 2) if i == 0 else "-" * (width + 1) + ":"
                          for i, width in enumerate(widths)) + "|"
    return "\n".join([row(heads), rule, *map(row, lines)])


def show(result: Result) -> None:
    print(f"\n## {result.title}\n")
    print(table(result.heads, result.lines))
    for note in result.notes:
        print(f"\n{note}")


def show_gates(results: Sequence[Result]) -> bool:
    """Whether all of them hold."""
    gates = [gate for result in results for gate in result.gates]
    if gates:
        print("\n## Gates\n")
        print(table(["gate", "measured", "limit", ""], [gate.cells() for gate in gates]))
    return all(gate.holds() for gate in gates)


def as_json(results: dict[str, Result], machine: dict[str, Any]) -> str:
    return json.dumps({"machine": machine, "rows": {
        name: {"measured": result.data, "gates": [
            {**dataclasses.asdict(gate), "holds": gate.holds()} for gate in result.gates]}
        for name, result in results.items()}}, indent=2)
