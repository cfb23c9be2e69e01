"""The processes of one run: the first writes and prints, the others only compute."""

from __future__ import annotations

from pytorch_lightning.utilities.rank_zero import rank_zero_only


def is_first() -> bool:
    """Whether this process is the first of the run's, which alone writes and prints."""
    return rank_zero_only.rank == 0


def tell(sentence: str) -> None:
    """Print a sentence once for all processes of a run."""
    if is_first():
        print(sentence)
