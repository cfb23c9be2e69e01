"""Jobs of a sweep's command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from scenegen.base.files import write_json
from scenegen.base.refusal import Refusal
from scenegen.config.plan import digest, resolve
from scenegen.runs.folder import SWEEP
from scenegen.sweeps.job import Job
from scenegen.sweeps.place import job_name, sweep_folder

GROUPS = ("sweep", "launcher")
"""Groups about the sweep itself, which its jobs do not have."""


class Planner:
    """Makes the jobs of one sweep.

    Args:
        loader: composes.
        config: of the sweep's own command line.
    """

    def __init__(self, *, loader: ConfigLoader, config: DictConfig) -> None:
        self.loader, self.config = loader, config
        self.folder = sweep_folder(config)
        self.launcher_lines = launcher_lines(config.hydra.overrides.task)

    def mark(self, arguments: Sequence[str]) -> None:
        """Make the sweep's folder, with its command line in it."""
        write_json(self.folder / SWEEP, {"arguments": list(arguments)})

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """A job's config."""
        cfg = self.loader.load_sweep_config(self.config, self.with_launcher(overrides))
        return OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])

    def with_launcher(self, overrides: Sequence[str]) -> list[str]:
        """A job's overrides with the sweep's launcher, which Hydra 1.4 compares with that of the job's config."""
        return [*self.launcher_lines, *overrides]

    def jobs(self, job_overrides: Sequence[Sequence[str]], *, first: int) -> list[Job]:
        """The jobs of several command lines, each named after the overrides that the others do not have."""
        lines = [job_lines(overrides) for overrides in job_overrides]
        shared = set.intersection(*map(set, lines)) if len(lines) > 1 else set()
        return [self.job(first + i, line, [o for o in line if o not in shared]) for i, line in enumerate(lines)]

    def job(self, number: int, overrides: Sequence[str], own: Sequence[str]) -> Job:
        """One job."""
        config = resolved(self.compose(overrides))
        return Job(
            number=number,
            overrides=[*self._search_path(), *overrides],
            own=" ".join(own),
            folder=self.folder / job_name(number, own),
            digest=None if config is None else digest(config),
            gpus=gpus_of(config or {}),
        )

    def _search_path(self) -> list[str]:
        """Flags and overrides that give a job's process the sweep's further config folders."""
        more = [o for o in self.config.hydra.overrides.hydra if o.startswith("hydra.searchpath")]
        sources = self.config.hydra.runtime.config_sources
        folders = [source.path for source in sources if source.provider == "command-line"]
        return [*(flag for folder in folders for flag in ("--config-dir", folder)), *more]


def job_lines(overrides: Sequence[str]) -> list[str]:
    """Overrides of the jobs, without those about the sweep itself."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return [text for text, override in zip(overrides, parsed, strict=True) if not about_the_sweep(override)]


def launcher_lines(overrides: Sequence[str]) -> list[str]:
    """The launcher's choice in a command line."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return [text for text, override in zip(overrides, parsed, strict=True) if override.key_or_group == "launcher"]


def about_the_sweep(override: Override) -> bool:
    """True for an override about the sweep itself."""
    return override.key_or_group.partition(".")[0] in GROUPS


def resolved(config: DictConfig) -> dict[str, Any] | None:
    """A composed config as plain containers, or None where it does not resolve."""
    try:
        return resolve(config)
    except Refusal:
        return None


def gpus_of(config: dict[str, Any]) -> int:
    """GPUs that a job's trainer asks for."""
    trainer = config.get("trainer")
    if not isinstance(trainer, dict) or trainer.get("accelerator", "cpu") == "cpu":
        return 0
    return int(trainer.get("devices", 1))
