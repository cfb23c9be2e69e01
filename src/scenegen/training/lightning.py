"""Import of Lightning without the compiler and the parts of torchmetrics that it never uses."""

from __future__ import annotations

import atexit
import gc
import sys
from unittest.mock import patch

from scenegen.training.compiler import defer_compiler

LEFT_OUT = frozenset({"scipy", "transformers", "matplotlib", "torchvision", "torch_fidelity"})
"""Packages that torchmetrics imports where they are installed, for its text, audio, plot and picture metrics."""


def import_lightning() -> None:
    """Imports pytorch_lightning, which needs torchmetrics' class Metric alone, in 1.9 CPU seconds instead of 5.9.

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
        with patch.multiple(imports, RequirementCache=Requirement, package_available=available):
            import torchmetrics  # noqa: F401  as it is to be found: without the rest
        defer_compiler()
        import pytorch_lightning  # noqa: F401  imported for those who ask later
    finally:
        gc.freeze()
        atexit.register(gc.unfreeze)  # what is imported is taken down in order
        if collecting:
            gc.enable()
