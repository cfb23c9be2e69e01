"""Memory that a training takes at least, from shapes alone, against what the machine has."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from scenegen.base.refusal import Refusal

LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Files in which a container says how much it may take."""

PER_PARAMETER = 16
"""Bytes: the number, its gradient and Adam's two moments."""

ONLY_KEPT = 4
"""Bytes of a number that is only built here and trains on a GPU."""

CHANNELS = 6
"""Of the real and the generated picture, beside one per class; what the layers keep comes on top and is not counted."""

GIB = 1 << 30


def memory_of_machine() -> int:
    """Bytes that this process can have at most: the machine's memory, or a limit of its container or its user."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    found += [int(text) for file in LIMITS if file.is_file() and (text := file.read_text().strip()).isdigit()]
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return min([*found, *([limit] if limit != resource.RLIM_INFINITY else [])])


def require_memory(
    *, parameters: int, samples: int, height: int, width: int, classes: int, processes: int, on_gpu: bool
) -> None:
    """Refuse a training whose lower bound exceeds the machine's memory; one below may still run out of it.

    Args:
        parameters: numbers of generator and discriminator.
        samples: per step on this machine, over its processes.
        height, width: of the pictures.
        classes: of the label maps.
        processes: of this machine; each has networks of its own.
        on_gpu: true where the networks move to a GPU, whose own memory is not looked at.

    Raises:
        Refusal: with both numbers and the keys that they hang on.
    """
    networks = parameters * processes * (ONLY_KEPT if on_gpu else PER_PARAMETER)
    pictures = 0 if on_gpu else 4 * samples * height * width * (classes + CHANNELS)
    there = memory_of_machine()
    if networks + pictures <= there:
        return
    parts = [f"{parameters:,} parameters take {networks / GIB:.1f} GiB"] if networks > there / 10 else []
    if pictures > there / 10:
        parts.append(f"a step of {samples} pictures of {height}x{width} takes {pictures / GIB:.1f} GiB")
    raise Refusal(
        f"{' and '.join(parts)} at least, and this machine has {there / GIB:.1f} GiB; choose a smaller "
        "width.ngf=, width.ndf= and width.hidden=, size.height= and size.width=, or batch_size="
    )
