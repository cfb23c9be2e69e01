"""The sweeper of `train`: Hydra's grid, or the search that the group `sweep` names (Optuna, imported only then)."""

# No postponed annotations here: Hydra executes this file outside sys.modules, where dataclasses cannot resolve them.
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra._internal.core_plugins import basic_sweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser


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
        loader = self.hydra_context.config_loader
        if self.config.get("sweep") is not None:
            from scenegen.sweeps.search_command import sweep

            return sweep(arguments, config=self.config, loader=loader, launcher=self.launcher)
        from scenegen.sweeps.place import holding, sweep_folder

        # Hydra's sweeper makes the folder first and composes the jobs then.
        given = OverridesParser.create(config_loader=loader).parse_overrides([*self._parse_config(), *arguments])
        super().validate_batch_is_legal([line for batch in self.split_arguments(given, None) for line in batch])
        with holding(sweep_folder(self.config)):
            return super().sweep(arguments)

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Nothing is left to do: `sweep` composed every job before the folder was made."""
