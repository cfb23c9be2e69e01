"""What a launcher has that starts jobs one by one. Every command finds the launchers, so this imports little."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scenegen.sweeps.pool import Pool


class StartsPools(ABC):
    """A launcher that starts jobs one by one; other launchers take a list and return when all of it is done."""

    @abstractmethod
    def pool(self) -> Pool:
        """Pool in which the launcher's jobs run; a context manager."""
