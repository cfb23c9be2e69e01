"""Import of Lightning without the compilers and the parts of torchmetrics that it never uses."""

from __future__ import annotations

import atexit
import gc
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from scenegen.base.absent import absent
from scenegen.training.compiler import defer_compiler

LEFT_OUT = frozenset({"scipy", "transformers", "matplotlib", "torchvision", "torch_fidelity"})
"""Packages that torchmetrics imports where they are installed, for its text, audio, plot and picture metrics."""


def import_lightning() -> None:
    """Imports pytorch_lightning, which needs torchmetrics' class Metric alone, and no compiler.

    The collector looks at none of it, while it is imported or later. Afterwards torchmetrics' own text, audio, plot and
    picture metrics say that their package is missing, so a process that runs code of others (`extensions=`) does not
    call this.
    """
    if "pytorch_lightning" in sys.modules:
        return
    from lightning_utilities.core import imports
    from lightning_utilities.core.imports import RequirementCache, package_available

    class Requirement(RequirementCache):
        """A package's requirement that those of LEFT_OUT do not meet."""

        def _check_requirement(self) -> None:
            super()._check_requirement()
            if (self.requirement or "").partition(">")[0] in LEFT_OUT:
                self.available = False

    def available(name: str) -> bool:
        return name not in LEFT_OUT and package_available(name)

    collecting = gc.isenabled()
    gc.disable()
    try:
        import torch

        defer_compiler()
        with _without_triton(logging.getLogger("torch.utils.flop_counter")):
            import torch.utils.flop_counter  # noqa: F401  which Lightning imports
        with _exchanged(imports, {"RequirementCache": Requirement, "package_available": available}):
            import torchmetrics  # noqa: F401  as it is to be found: without the rest
        import pytorch_lightning  # noqa: F401  imported for those who ask later
    finally:
        gc.freeze()
        atexit.register(_thaw_for_triton)
        if collecting:
            gc.enable()


def _thaw_for_triton() -> None:
    """At the end what was imported is not looked at, half a second's work; triton's library counts what is left."""
    if "triton" in sys.modules:
        gc.unfreeze()


@contextmanager
def _exchanged(module: ModuleType, values: Mapping[str, Any]) -> Iterator[None]:
    """Other values of some names of a module within the block."""
    before = {name: getattr(module, name) for name in values}
    module.__dict__.update(values)
    try:
        yield
    finally:
        module.__dict__.update(before)


@contextmanager
def _without_triton(log: logging.Logger) -> Iterator[None]:
    """The GPU compiler is `absent` within the block, and the log does not say so.

    What is lost is the count of the operations of Triton kernels, which nobody asks for.
    """
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with absent("triton"):
            yield
    finally:
        log.setLevel(level)
