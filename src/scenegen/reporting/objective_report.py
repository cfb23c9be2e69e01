"""Report on a choice of loss terms: what they read, need and cost, before any data or weight file is touched."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from scenegen.losses.cost import cost, parameters
from scenegen.losses.objective import AdversarialTerm, Objective, Penalty


@dataclass(frozen=True)
class TermReport:
    """One term of the objective.

    Attributes:
        term: its name.
        weight: its weight, or the schedule in its place.
        needs: fields that the model, its discriminator or the data must offer.
        reads: extractor -> layers.
        side: the loss that it joins, "generator", "discriminator" or "both".
        parameters: of a network of its own, outside the shared extractors.
    """

    term: str
    weight: str
    needs: list[str]
    reads: dict[str, list[str]]
    side: str
    parameters: int


@dataclass(frozen=True)
class ExtractorReport:
    """One extractor at the config's size.

    Attributes:
        extractor: its name, and `kind` its class.
        terms: term -> the layers that it reads.
        pictures: the pictures that it runs on in a step, each once.
        parameters: numbers that it holds.
        forward: multiply-adds per picture.
        step: multiply-adds per sample and step: every picture forward, the generated one backward too.
        apart: the same if every term ran an extractor of its own.
        maps: layer -> (c, h', w').
    """

    extractor: str
    kind: str
    terms: dict[str, list[str]]
    pictures: list[str]
    parameters: int
    forward: int
    step: int
    apart: int
    maps: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class ObjectiveReport:
    """Terms and extractors of one objective at one size of pictures."""

    height: int
    width: int
    terms: list[TermReport]
    extractors: list[ExtractorReport]

    def to_dict(self) -> dict[str, Any]:
        """Plain containers for JSON."""
        return asdict(self)


def examine(objective: Objective, *, height: int, width: int) -> ObjectiveReport:
    """Count what an objective reads and computes; its weights may be random.

    Args:
        objective: the objective.
        height, width: of the pictures.
    """
    terms = [_term(name, term, objective) for name, term in objective.terms.items()]
    extractors = [_extractor(name, objective, height, width) for name in objective.bank.extractors]
    return ObjectiveReport(height, width, terms, extractors)


def _term(name: str, term: Any, objective: Objective) -> TermReport:
    weight = f"{objective.weights[name]:g}"
    if name in objective.schedules:
        weight = str(objective.schedules[name])
    side = (
        "discriminator" if isinstance(term, Penalty) else "both" if isinstance(term, AdversarialTerm) else "generator"
    )
    reads = {extractor: list(layers) for extractor, layers in term.reads.items()}
    return TermReport(name, weight, sorted(term.needs), reads, side, parameters(term))


def _extractor(name: str, objective: Any, height: int, width: int) -> ExtractorReport:
    extractor = objective.bank.extractors[name]
    readers = {key: term for key, term in objective.terms.items() if name in term.reads}
    layers = {key: list(term.reads[name]) for key, term in readers.items()}
    targets = sorted({target for term in readers.values() for target in _targets(term)}, reverse=True)
    whole = cost(extractor, objective.bank.layers[name], height=height, width=width)
    separate = [cost(extractor, layers[key], height=height, width=width) for key in readers]
    apart = sum(
        one.forward * (1 + len(_targets(term))) + one.backward
        for one, term in zip(separate, readers.values(), strict=True)
    )
    return ExtractorReport(
        extractor=name,
        kind=type(extractor).__name__,
        terms=layers,
        pictures=["fake", *targets],
        parameters=whole.parameters,
        forward=whole.forward,
        step=whole.forward * (1 + len(targets)) + whole.backward,
        apart=apart,
        maps=whole.maps,
    )


def _targets(term: Any) -> tuple[str, ...]:
    return (term.target,) if term.target else ()


def is_report(content: bytes) -> bool:
    """True for the JSON of a report."""
    return b'"extractors"' in content and b'"terms"' in content


def print_report(report: ObjectiveReport, console: Console) -> None:
    """Two tables: the terms, and the extractors that they share."""
    console.print(f"[bold]Objective at {report.height}x{report.width}[/bold]")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("term", "weight", "loss of", "needs", "reads"):
        table.add_column(title, overflow="fold")
    for term in report.terms:
        reads = [f"{extractor}: {', '.join(layers)}" for extractor, layers in term.reads.items()]
        if term.parameters:
            reads.append(f"a network of its own, {_millions(term.parameters)} parameters")
        table.add_row(term.term, term.weight, term.side, ", ".join(term.needs) or "-", "; ".join(reads) or "-")
    console.print(table)
    console.print()
    if not report.extractors:
        console.print("No term reads a frozen extractor.")
        return
    console.print("[bold]Extractors[/bold], each run once per picture and step for all of its terms")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("extractor", "read by", "pictures"):
        table.add_column(title, overflow="fold")
    for title in ("parameters", "per picture", "per sample and step", "each term alone"):
        table.add_column(title, justify="right")
    for one in report.extractors:
        numbers = (_millions(one.parameters), _giga(one.forward), _giga(one.step), _giga(one.apart))
        table.add_row(one.extractor, ", ".join(one.terms), ", ".join(one.pictures), *numbers)
    if len(report.extractors) > 1:
        keys = ("parameters", "forward", "step", "apart")
        sums = [sum(getattr(one, key) for one in report.extractors) for key in keys]
        table.add_row("all", "", "", _millions(sums[0]), *map(_giga, sums[1:]))
    console.print(table)
    console.print("Multiply-adds; a step is every picture forward and the generated one backward.\n")
    for one in report.extractors:
        maps = ", ".join(f"{layer} {'x'.join(map(str, shape))}" for layer, shape in one.maps.items())
        console.print(f"{one.extractor} ({one.kind}): {maps}", highlight=False)


def _millions(count: int) -> str:
    return f"{count / 1e6:.2f} M"


def _giga(count: int) -> str:
    return f"{count / 1e9:.3g} G"
