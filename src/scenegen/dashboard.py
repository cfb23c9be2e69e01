"""The W&B dashboard of a project, defined in code: python -m scenegen.dashboard project=landscapes"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from scenegen.base.refusal import Refusal
from scenegen.cli.entry import command


@dataclass(frozen=True)
class Settings:
    """The values of conf/dashboard.yaml, documented there."""

    project: str
    entity: str | None
    terms: list[str]
    json: str


@command("dashboard")
def main(cfg: DictConfig) -> int:
    from scenegen.base.files import write_text
    from scenegen.base.outputs import require_own
    from scenegen.config.plan import plan, read_settings
    from scenegen.tracking.dashboard import workspace

    settings: Settings = read_settings(Settings, plan(cfg, settings=Settings).config)
    if importlib.util.find_spec("wandb_workspaces") is None:
        raise Refusal(
            "the dashboard needs wandb-workspaces, which is not installed: pip install -e '.[wandb]' in the checkout"
        )
    require_own(Path(settings.json), option="json", reads={}, recognise=lambda content: b'"panelBankConfig"' in content)
    import wandb

    options = {"project": settings.project, "terms": settings.terms}
    try:
        wandb.login(prompt=False)
        entity = settings.entity or str(wandb.Api().default_entity)
        print(f"published: {workspace(entity=entity, **options).save().url}")
    except Exception as error:  # no key, no network, or whatever the server has to say
        why = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        made = workspace(entity=settings.entity or "", **options)
        write_text(Path(settings.json), made._to_model().model_dump_json(indent=2, by_alias=True) + "\n")
        print(
            f"not published ({why}) but written to {settings.json}; once that is mended the same command publishes it"
        )
    return 0


if __name__ == "__main__":
    main()
