"""Similarities as whole numbers in which the place stands too: the greatest are the list, equal ones in order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DECIMALS = 6
"""Decimals to which similarities are rounded before they are ranked, so that ties are ties on every machine."""
UNIT = 10**DECIMALS
"""What a similarity of 1 is as a whole number."""
PLACES = 2**32
"""Gallery pictures that a key has room for."""
LOWEST = -4 * UNIT * PLACES
"""Below the key of any similarity."""


@dataclass(frozen=True)
class Ranked:
    """Per query the chosen gallery rows (n, k) int64, in order, and their similarity to the query (n, k)."""

    rows: np.ndarray
    scores: np.ndarray

    @classmethod
    def of_keys(cls, keys: np.ndarray) -> Ranked:
        """The lists of the greatest keys (n, k), which stand in any order."""
        level, behind = np.divmod(-np.sort(-keys, axis=1), PLACES)
        return cls(PLACES - 1 - behind, level / UNIT)


def keys_of(scores: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(p,) int64: the rounded similarity, and the place from the gallery's end."""
    return np.rint(scores * UNIT).astype(np.int64) * PLACES + (PLACES - 1 - places)
