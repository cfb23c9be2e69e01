"""The sweeper of `train`: Hydra's grid, or the search that the group `sweep` names (Optuna, imported only then)."""

# No postponed annotations here: Hydra executes this file outside sys.modules, where dataclasses cannot resolve them.
from dataclasses import dataclass
from typing import Any

from hydra._internal.core_plugins import basic_sweeper
from hydra.core.config_store import ConfigStore


@dataclass
class ScenegenSweeperConfig(basic_sweeper.BasicSweeperConf):
    """hydra/sweeper=scenegen, chosen by conf/train.yaml; its values are those of Hydra's basic sweeper."""

    _target_: str = "hydra_plugins.scenegen.sweeper.ScenegenSweeper"


ConfigStore.instance().store(group="hydra/sweeper", name="scenegen", node=ScenegenSweeperConfig, provider="scenegen")


class ScenegenSweeper(basic_sweeper.BasicSweeper):
    """Runs a search where the config has a node `sweep`, and the grid of the command line where it has none.

    One sweeper for both, because Hydra 1.4 lets no option of a group choose another: it compares the sweeper of every
    job with the one that the sweep began with.
    """

    def sweep(self, arguments: list[str]) -> Any:
        assert self.config is not None
        assert self.hydra_context is not None
        if self.config.get("sweep") is None:
            return super().sweep(arguments)
        from scenegen.sweeps.search_command import sweep

        return sweep(arguments, config=self.config, loader=self.hydra_context.config_loader, launcher=self.launcher)
