"""Trackio logger: curves and pictures in a store on this machine, looked at with `trackio show`, without an account."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers.logger import Logger

from scenegen.base.refusal import Refusal
from scenegen.runs.folder import SWEEP, name_of
from scenegen.runs.processes import is_first
from scenegen.tracking.contained import contained
from scenegen.tracking.tags import tags_of


class CalmTrackio(Logger):
    """A run of trackio's, whose failures never reach the training.

    Args:
        run: of `trackio.init`; None in processes that write nothing.
        name: of the run.
        image: makes a picture of an (h, w, 3) uint8 array or of a file, as `trackio.Image`.
    """

    title = "trackio"
    complained = False

    def __init__(self, run: Any, *, name: str, image: Any) -> None:
        super().__init__()
        self.run, self._name, self.image = run, name, image

    @property
    def name(self) -> str:
        """The run's name."""
        return self._name

    @property
    def version(self) -> str:
        """None of its own: a name is one run."""
        return ""

    @contained
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Numbers of a step."""
        if self.run is not None:
            self.run.log({name: float(value) for name, value in metrics.items()}, step=step)

    @contained
    def log_image(self, key: str, images: Sequence[Any], step: int | None = None) -> None:
        """Pictures of a step, (h, w, 3) uint8 or files; trackio takes one under a name, so others get a number."""
        names = [key, *(f"{key}_{place}" for place in range(1, len(images)))]
        if self.run is not None:
            self.run.log({name: self.image(image) for name, image in zip(names, images, strict=True)}, step=step)

    @contained
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The config was given when the run was opened."""

    @contained
    def finalize(self, status: str) -> None:
        """Write what waits, and end the run."""
        if self.run is not None:
            self.run.finish()
            self.run = None


def trackio(*, folder: Path, config: Mapping[str, Any], project: str, group: str | None) -> CalmTrackio:
    """A run of trackio's named like the run's folder, with its config and tags; a resumed run goes on as the same one.

    Args:
        folder: the run's folder.
        config: the run's resolved config.
        project: of trackio.
        group: name of a group of runs; None is the name of the sweep's folder, where the run is a job of one.

    Raises:
        Refusal: trackio is not installed.
    """
    try:
        client: Any = importlib.import_module("trackio")
    except ModuleNotFoundError as error:
        raise Refusal(f"logger=trackio needs the package {error.name}, which goes with other releases of pillow than "
                      "our constraints.txt: make an environment of its own and pip install "
                      "'scenegen-landscapes[trackio]' there without constraints.txt, or choose logger=tensorboard"
                      ) from error  # fmt: skip
    place = name_of(folder)
    # Trackio makes folders of a run's name, so that it must hold none itself.
    name = "__".join(place.parts[-2:] if place.is_absolute() else place.parts)
    sweep = folder.parent.name if (folder.parent / SWEEP).is_file() else None
    run = None
    if is_first():
        run = client.init(
            project=project,
            name=name,
            group=group or sweep,
            config={**config, "tags": tags_of(config)},
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
    return CalmTrackio(run, name=name, image=client.Image)
