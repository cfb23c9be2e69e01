"""Effects of single changes: pairs of recipes that differ in one choice only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scenegen.reporting.comparison import Comparison, Pair

ADDITIVE = ("loss", "trick")


@dataclass(frozen=True)
class Effect:
    """One change and its effect on the compared number.

    Attributes:
        change: e.g. "+ loss dists" or "model gaugan -> oasis".
        base: the recipe without it.
        gain, low, high: change of the number, with the 95 % interval; a gain below zero of an error is good.
        p: corrected for all pairs of the comparison.
    """

    change: str
    base: str
    gain: float
    low: float
    high: float
    p: float


def single_changes(comparison: Comparison) -> list[Effect]:
    """Effects of all pairs that differ in one choice, the best first."""
    found = [effect for pair in comparison.pairs if (effect := _effect(pair))]
    return sorted(found, key=lambda effect: effect.gain, reverse=comparison.better == "higher")


def parts_of(recipe: str) -> frozenset[tuple[str, str]]:
    """The choices of a recipe, with loss=a+b as two."""
    found = []
    for override in recipe.split(" "):
        key, _, value = override.partition("=")
        many = [part for part in value.split("+") if part != "none"] if key in ADDITIVE else [value]
        found += [(key, one) for one in many]
    return frozenset(found)


def _effect(pair: Pair) -> Effect | None:
    first, second = parts_of(pair.first), parts_of(pair.second)
    more, less = first - second, second - first
    if len(more) == 1 and not less:
        return _as_effect(pair, f"+ {_spell(more)}", base=pair.second, sign=1)
    if len(less) == 1 and not more:
        return _as_effect(pair, f"+ {_spell(less)}", base=pair.first, sign=-1)
    if len(more) == len(less) == 1 and (keys := {key for key, _ in more | less}) and len(keys) == 1:
        (_, new), (_, old) = *more, *less
        return _as_effect(pair, f"{keys.pop()} {old} -> {new}", base=pair.second, sign=1)
    return None


def _as_effect(pair: Pair, change: str, *, base: str, sign: int) -> Effect:
    low, high = sorted((sign * pair.low, sign * pair.high))
    return Effect(change, base, sign * pair.difference, low, high, pair.p)


def _spell(parts: frozenset[tuple[str, str]] | Sequence[tuple[str, str]]) -> str:
    ((key, value),) = parts
    return f"{key} {value}"
