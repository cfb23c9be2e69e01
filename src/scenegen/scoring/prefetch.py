"""Prefetch: a thread decodes the next batches while the networks look at these, one on each core."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import torch

Item = TypeVar("Item")
Made = TypeVar("Made")

DEPTH = 2


def prefetched(make: Callable[[Item], Made], items: Iterable[Item], *, depth: int = DEPTH) -> Iterator[Made]:
    """Results of make(item) in order, up to `depth` of them computed before they are asked for.

    One thread calls `make`, which need not be thread-safe; its error is raised in place of its result.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as thread:
        yield from _ahead(thread, make, items, depth=depth)


def shared_out(look: Callable[[Item], Made], items: Iterable[Item], *, device: str) -> Iterator[Made]:
    """Results of look(item) in order, without gradients, an item to a thread: as many at a time as torch has threads.

    On a CPU each thread computes alone: batches side by side lose less than threads that share each operation, and a
    number does not depend on how many there are. Another device is fed by one thread.
    """
    before, alone = torch.get_num_threads(), device == "cpu"
    count, prepare = (before, partial(torch.set_num_threads, 1)) if alone else (1, None)
    try:
        with ThreadPoolExecutor(count, thread_name_prefix="looking", initializer=prepare) as threads:
            yield from _ahead(threads, torch.inference_mode()(look), items, depth=count)
    finally:
        torch.set_num_threads(before)  # of threads that start later; this one's own has not changed


def _ahead(
    threads: ThreadPoolExecutor, make: Callable[[Item], Made], items: Iterable[Item], *, depth: int
) -> Iterator[Made]:
    waiting: deque[Future[Made]] = deque()
    try:
        for item in items:
            waiting.append(threads.submit(make, item))
            if len(waiting) > depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
