"""The slot `accumulate`: the gradients of a round's batch gathered in parts, for batches that do not fit the memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from scenegen.base.records import Batch, Refusal


class Part(NamedTuple):
    """Some of a process's samples of one round.

    Attributes:
        batch: the samples.
        number: of the part, from 0.
        of: number of parts.
    """

    batch: Batch
    number: int = 0
    of: int = 1

    @property
    def last(self) -> bool:
        """True for the part after which the weights move."""
        return self.number == self.of - 1

    def rows(self, rank: int) -> slice:
        """Places of the samples in the batch of all processes."""
        first = (rank * self.of + self.number) * len(self.batch)
        return slice(first, first + len(self.batch))


class Accumulate:
    """A round's batch in equal parts, one backward pass each, and one step of the weights.

    A part's loss is divided by the number of parts, so that the sum of the gradients is that of the whole batch where
    every loss is a mean over samples and no layer mixes them. Spectral norms take the power steps of one pass. Batch
    norms see a part, and relativistic losses, mode seeking and class weights compare within a part.

    Args:
        parts: of the batch, a divisor of the samples.
        samples: of a process's batch.

    Raises:
        Refusal: where the parts would not be equal.
    """

    def __init__(self, *, parts: int, samples: int) -> None:
        if parts < 1 or samples % parts:
            divisors = [str(n) for n in range(2, samples + 1) if samples % n == 0]
            raise Refusal(
                f"trick.accumulate.parts={parts} does not divide the {samples} samples of a process's batch; use "
                + (f"{', '.join(divisors)}, or a batch_size that it divides" if divisors else "a larger batch_size")
            )
        self.parts = parts

    def split(self, batch: Batch) -> list[Part]:
        """The parts of a batch, in its order."""
        share = len(batch) // self.parts
        return [Part(batch.rows(i * share, (i + 1) * share), i, self.parts) for i in range(self.parts)]


def in_turn(parts: Sequence[Part], networks: Iterable[nn.Module | None]) -> Iterator[Part]:
    """The parts, each of which begins with the networks' spectral norms as the first one found them."""
    vectors: list[Tensor] = []
    if len(parts) > 1:
        named = [item for net in networks if net is not None for item in net.named_buffers()]
        # SpectralWeight and SteppingSpectral name them alike
        vectors = [vector for name, vector in named if name.endswith(("weight_u", "weight_v"))]
    found = [vector.clone() for vector in vectors]
    for part in parts:
        if part.number and vectors:
            torch._foreach_copy_(vectors, found)
        yield part


def averaged(reports: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Reports of all parts as that of the whole batch: means, and of slopes ("grad/...") the norm over all parts."""
    if len(reports) == 1:
        return dict(reports[0])

    def joined(name: str, values: Tensor) -> Tensor:
        return values.norm() / len(values) if name.startswith("grad/") else values.mean()

    return {name: joined(name, torch.stack([report[name] for report in reports])) for name in reports[0]}
