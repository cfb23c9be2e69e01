"""Slices of your own for a run that denoises."""

from __future__ import annotations

from scenegen.base.depth import Depth
from scenegen.base.records import Refusal
from scenegen.config.opened import TrainedRun
from scenegen.data.own_slices import OwnSlices, own_slices


def slices_of(run: TrainedRun, folder: str, *, masks: str | None) -> OwnSlices:
    """The slices of a folder, in the run's window and coding; see `depth_of`.

    Raises:
        Refusal: masks, or slices that cannot be used.
    """
    if masks is not None:
        raise Refusal(f"masks={masks}: the model of run {run.folder.name} denoises whole slices; leave masks= out")
    return own_slices(folder, depth=depth_of(run))


def depth_of(run: TrainedRun) -> Depth:
    """The window and coding of the slices that a run was trained with; the usual ones for a run that was converted,
    whose training data are not known."""
    node = run.config["data"].get("depth")
    return USUAL if node is None else Depth(**node)


USUAL = Depth(low=-1024, high=3072, slope=1, intercept=-1024, shown_low=-160, shown_high=240)
"""Hounsfield units from air to metal, as grey levels from 0 on."""
