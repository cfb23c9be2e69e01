"""Prefetch: a thread decodes the next batches while the networks look at this one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")

DEPTH = 2


def prefetched(make: Callable[[Item], Made], items: Iterable[Item], *, depth: int = DEPTH) -> Iterator[Made]:
    """Results of make(item) in order, up to `depth` of them computed before they are asked for.

    One thread calls `make`, which need not be thread-safe; its error is raised in place of its result.
    """
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as thread:
        try:
            for item in items:
                waiting.append(thread.submit(make, item))
                if len(waiting) > depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
