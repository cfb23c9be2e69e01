"""The W&B dashboard of a project, defined in code: python -m scenegen.dashboard project=landscapes"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from scenegen.base.refusal import Refusal
from scenegen.cli.entry import command

TOTAL = "score/total"
PARTS = {"mask_acc": "Mask accuracy", "aesthetic": "Aesthetic", "fid": "Frechet distance"}


@dataclass(frozen=True)
class Settings:
    """The values of conf/dashboard.yaml, documented there."""

    project: str
    entity: str | None
    terms: list[str]
    json: str


def workspace(*, project: str, entity: str, terms: Sequence[str]) -> Any:
    """The dashboard as an object of wandb-workspaces; needs no network.

    Args:
        project, entity: of W&B.
        terms: loss terms whose weights are drawn against the total.
    """
    import wandb_workspaces.reports.v2 as wr
    import wandb_workspaces.workspaces as ws

    def bars(metric: str, title: str) -> Any:
        by_recipe = {"groupby": wr.Config("recipe"), "groupby_aggfunc": "mean", "groupby_rangefunc": "minmax"}
        return wr.BarPlot(title=f"{title} by recipe", metrics=[metric], **by_recipe)  # pyright: ignore[reportArgumentType]

    keys = [*(f"loss.{term}.weight" for term in terms), "optim.lr_generator", "optim.lr_discriminator"]
    columns = [wr.ParallelCoordinatesPlotColumn(metric=wr.Config(key), log=True) for key in keys]
    total = wr.ParallelCoordinatesPlotColumn(metric=wr.SummaryMetric(TOTAL))
    curve = {"x": "trainer/global_step", "groupby": wr.Config("recipe")}
    return ws.Workspace(
        entity=entity,
        project=project,
        name="scenegen",
        sections=[
            ws.Section(name="Totals", panels=[bars(TOTAL, "Total")], is_open=True),
            ws.Section(
                name="The three parts",
                panels=[bars(f"score/{part}", title) for part, title in PARTS.items()],
                is_open=True,
            ),
            ws.Section(
                name="Pictures",
                panels=[
                    wr.WeavePanelSummaryTable(table_name="pictures"),
                    wr.MediaBrowser(title="Grids while training", media_keys=["grid"]),
                ],
                is_open=True,
            ),
            ws.Section(
                name="Weights and rates",
                panels=[wr.ParallelCoordinatesPlot(title="Weights, rates and the total", columns=[*columns, total])],
                is_open=True,
            ),
            ws.Section(
                name="Training",
                panels=[
                    wr.LinePlot(title="Losses of both sides", y=["G", "D"], **curve),
                    wr.LinePlot(title="Mask accuracy on the way", y=["interim/mask_acc"], **curve),
                    wr.WeavePanelSummaryTable(table_name="jobs"),
                ],
            ),
        ],
    )


@command("dashboard")
def main(cfg: DictConfig) -> int:
    from scenegen.config.plan import plan, read_settings
    from scenegen.runs.folder import write

    settings: Settings = read_settings(Settings, plan(cfg, settings=Settings).config)
    if importlib.util.find_spec("wandb_workspaces") is None:
        raise Refusal("the dashboard needs wandb-workspaces, which is not installed: pip install 'scenegen[wandb]'")
    import wandb

    told = {"project": settings.project, "terms": settings.terms}
    try:
        wandb.login(prompt=False)
        entity = settings.entity or str(wandb.Api().default_entity)
        print(f"published: {workspace(entity=entity, **told).save().url}")
    except Exception as error:  # no key, no network, or whatever the server has to say
        why = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        made = workspace(entity=settings.entity or "", **told)
        write(Path(settings.json), made._to_model().model_dump_json(indent=2, by_alias=True) + "\n")
        print(
            f"not published ({why}) but written to {settings.json}; once that is mended the same command publishes it"
        )
    return 0


if __name__ == "__main__":
    main()
