"""Composed configs as a command line makes them, and the functions that config values may use."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from scenegen.config.interpolated_defaults import resolve_as_before
from scenegen.config.kinds import suited
from scenegen.config.places import conf_folder
from scenegen.config.unread_copies import skip_unread_copies
from scenegen.runs.folder import HOME, find_run, require_own_files
from scenegen.runs.names import place_of

LONGEST_CHOICES = 120
"""Letters of a name that is made of the choices."""


def compose(verb: str, overrides: list[str] | None = None) -> DictConfig:
    """Compose a verb's config as its command line would (for tests, notebooks and tools)."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    register_resolvers()
    with initialize_config_dir(config_dir=str(conf_folder()), version_base="1.3"):
        return hydra_compose(config_name=verb, overrides=overrides or [])


def register_resolvers() -> None:
    """Register the functions that config values may use; safe to call again."""
    skip_unread_copies()
    resolve_as_before()
    OmegaConf.register_new_resolver("when", lambda flag, value: value if flag else 0, replace=True)
    OmegaConf.register_new_resolver("times", lambda count, width: count * width, replace=True)
    OmegaConf.register_new_resolver("half", lambda width: max(1, width // 2), replace=True)
    OmegaConf.register_new_resolver("suited", suited, replace=True)
    OmegaConf.register_new_resolver("run_folder", run_folder, replace=True)


def run_folder(resume, name, experiment, model, loss, time) -> str:
    """Folder of a run: the one to resume (a name, a folder, or a checkpoint in it), runs/<name>, or a name made of the
    choices.

    Raises:
        Refusal: no run to resume, or a name that leads out of runs/; Hydra has made no folder then.
    """
    if str(resume or "").endswith(".ckpt"):
        resume = Path(str(resume)).parent.parent
    if resume:
        return str(require_own_files(find_run(str(resume))))
    if name is not None and name != "":
        return str(place_of(name))
    what = experiment if experiment and experiment != "null" else f"{model}_{loss}"
    return f"{HOME}/{what[:LONGEST_CHOICES]}_{time}"
