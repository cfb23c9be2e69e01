"""W&B dashboard of a project, as an object of wandb-workspaces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

TOTAL = "score/total"
PARTS = {"mask_acc": "Mask accuracy", "aesthetic": "Aesthetic", "fid": "Frechet distance"}


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
