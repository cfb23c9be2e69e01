"""Order without state: the step decides which samples a batch holds and how each is augmented."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from scenegen.base.records import Batch, Refusal
from scenegen.base.seeding import hash_seed
from scenegen.data.samples import Pairs, collate

Key = tuple[int, int]


class StatelessBatchSampler(Sampler[list[Key]]):
    """Batches of (epoch, index) as a function of the step; the whole run is one pass over it.

    The permutation of an epoch is a hash of (seed, epoch), so a run that starts at step k sees what an
    uninterrupted one sees from step k on. The last, partial batch of an epoch is dropped.

    Args:
        length: samples in the dataset.
        batch_size: samples per step, over all processes together.
        seed: of the order.
        start_step: called when iteration starts; the first step to yield.
        total_steps: where the run ends; also the len() of this sampler, wherever it starts.
        rank, world: this process takes the rank-th contiguous slice of each batch.
    """

    def __init__(
        self,
        length: int,
        *,
        batch_size: int,
        seed: int,
        total_steps: int,
        start_step: Callable[[], int] = lambda: 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if batch_size < 1:
            raise Refusal(f"batch_size={batch_size}: at least one sample per step")
        if batch_size > length:
            raise Refusal(
                f"batch_size={batch_size} but the training set has {length} pictures; "
                f"write batch_size={max(1, length)} or less"
            )
        if batch_size % world:
            raise Refusal(
                f"batch_size={batch_size} does not divide over {world} processes; it counts the samples of all of "
                f"them together, so write batch_size={-(-batch_size // world) * world}"
            )
        if total_steps < 1:
            raise Refusal(f"steps={total_steps}: at least one step")
        self.length = length
        self.batch_size = batch_size
        self.seed = seed
        self.start_step = start_step
        self.total_steps = total_steps
        share = batch_size // world
        self._slice = slice(rank * share, (rank + 1) * share)

    def __len__(self) -> int:
        return self.total_steps

    def __iter__(self) -> Iterator[list[Key]]:
        per_epoch = self.length // self.batch_size
        epoch, order = -1, []
        for step in range(self.start_step(), self.total_steps):
            now, place = divmod(step, per_epoch)
            if now != epoch:
                epoch, order = now, self.order(now)
            batch = order[place * self.batch_size : (place + 1) * self.batch_size]
            yield [(epoch, index) for index in batch[self._slice]]

    def order(self, epoch: int) -> list[int]:
        """The permutation of one epoch."""
        stream = torch.Generator().manual_seed(hash_seed(self.seed, "order", epoch))
        return torch.randperm(self.length, generator=stream).tolist()


OUTLIVES = 20
"""Seconds that a process which loads pictures goes on after SIGTERM, so that the step in the making can be ended."""


class Loader(DataLoader[Batch]):
    """A DataLoader that passes a worker's fault on as one sentence, without the worker's traceback."""

    # torch declares a private iterator class here; callers need a generator of Batches only
    def __iter__(self) -> Iterator[Batch]:  # pyright: ignore[reportIncompatibleMethodOverride]
        try:
            yield from super().__iter__()
        except Refusal as refusal:
            raise Refusal(str(refusal).strip().rpartition("Refusal: ")[2]) from refusal
        except OSError as error:
            last = (str(error).strip().splitlines() or [type(error).__name__])[-1].rpartition("Error: ")[2]
            raise Refusal(
                f"a file of the data can no longer be read ({last}); put it back, and resume the run"
            ) from error
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise Refusal(
                f"a process that loads pictures ended ({str(error).splitlines()[0].rstrip('.')}), often for want of "
                "memory; resume the run with fewer of them (trainer.workers=0 loads in the run's own process)"
            ) from error


def outlive_sigterm(worker: int) -> None:
    """Let a process that loads pictures go on for a while after SIGTERM: a signal to all processes of a run ends it
    after a whole step, which needs its pictures."""
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(OUTLIVES))


def make_loader(dataset: Dataset, sampler: Iterable[list[Key]], *, workers: int = 0, pin: bool = False) -> Loader:
    """A loader of Batches in the sampler's order; the same bytes for any number of workers."""
    if workers > 0 and isinstance(dataset, Pairs) and dataset.has_exemplars:
        dataset[(0, 0)]  # ranks exemplars that are not ranked yet, here and not once in every worker
    return Loader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=outlive_sigterm,
        pin_memory=pin,
        persistent_workers=workers > 0,
        # The loader draws a base seed for its workers, by default from torch's global generator.
        generator=torch.Generator(),
    )
