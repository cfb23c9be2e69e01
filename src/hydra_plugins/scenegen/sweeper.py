"""A search over loss weights, rates or any other values with Optuna, which is imported only when one is made."""

# No postponed annotations here: Hydra executes this file outside sys.modules, where dataclasses cannot resolve them.
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class SearchSweeperConfig:
    """hydra/sweeper=search; the group `sweep` says what is searched (conf/sweep/tpe.yaml)."""

    _target_: str = "hydra_plugins.scenegen.sweeper.SearchSweeper"


ConfigStore.instance().store(group="hydra/sweeper", name="search", node=SearchSweeperConfig, provider="scenegen")


class SearchSweeper(Sweeper):
    """Asks Optuna for values, runs them as jobs of the launcher, tells it what came out."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config, self.context = config, hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        from scenegen.sweeps.search_command import sweep

        assert self.config is not None
        return sweep(arguments, config=self.config, loader=self.context.config_loader, launcher=self.launcher)
