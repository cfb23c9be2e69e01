"""Where a run begins: a new folder, or the checkpoint of one that is there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from scenegen.config.opened import note_vocabulary
from scenegen.config.plan import Plan, plan, read_settings
from scenegen.config.resumed import resumed
from scenegen.config.stored import read_config
from scenegen.data.fingerprint import fingerprint
from scenegen.data.inspection import require_sound
from scenegen.data.samples import Pairs
from scenegen.runs.folder import METRICS, create_run, find_run, name_of
from scenegen.runs.lock import held
from scenegen.runs.processes import is_first
from scenegen.runs.record import Changed, note_data, note_read, note_resume, read_record
from scenegen.runs.resume_point import (
    Nothing,
    Point,
    nothing_left,
    require_same_data,
    resume_point,
    set_aside_newer,
)
from scenegen.runs.rows import read_rows


@dataclass(frozen=True)
class Start:
    """Where a run begins.

    Attributes:
        folder: the run's folder.
        cfg: its config, unresolved.
        chosen, settings: the same, checked and resolved.
        overrides: of the command line.
        resuming: whether the run is there already.
        point: the checkpoint that it goes on from; None without one.
        changes: the values that are new in a resumed run.
    """

    folder: Path
    cfg: DictConfig
    chosen: Plan
    settings: Any
    overrides: list[str]
    resuming: bool
    point: Point | None = None
    changes: Sequence[Changed] = ()

    @property
    def name(self) -> str:
        return str(name_of(self.folder))

    @property
    def step(self) -> int:
        return self.point.step if self.point is not None else 0

    def nothing_left(self) -> Nothing | None:
        """Answer for a resumed run that has its steps and its result."""
        if not self.resuming:
            return None
        steps, evaluate = self.settings.steps, self.settings.evaluate
        digest, changes = self.chosen.digest, self.changes
        return nothing_left(self.folder, self.point, steps=steps, evaluate=evaluate, digest=digest, changes=changes)

    def checked(self, train_data: Pairs, test: Pairs) -> dict[str, Any]:
        """Fingerprints of the data, which are sound and, where the run is resumed, those that it began with."""
        require_sound(train_data, test)
        data = {"train": fingerprint(train_data), "test": fingerprint(test)}
        if self.resuming:
            require_same_data(read_record(self.folder).data, data, changes=self.changes, run=self.name)
        return data

    def fitting(self, require_fit: Callable[[Path, Mapping[str, Any]], None]) -> Start:
        """The same, once its checkpoint is known to fit; without the content, which training reads again and whose
        memory it needs."""
        if self.point is None or self.point.content is None:
            return self
        require_fit(self.point.path, self.point.content)
        return replace(self, point=replace(self.point, content=None))

    def begin(
        self, data: dict[str, Any], train_data: Pairs, *, read: Iterable[str], stack: contextlib.ExitStack
    ) -> None:
        """Write down a new run, and lock it until `stack` ends; or note in one that is there how it goes on.

        `read` are the stamps of the networks that its training reads; those of the run that it starts from count too.
        """
        digest, overrides = self.chosen.digest, self.overrides
        if not self.resuming:
            create_run(self.folder, self.cfg, digest=digest, overrides=overrides)
            stack.enter_context(held(self.folder))
            note_data(self.folder, data)
            note_vocabulary(self.folder, train_data)
            first = self.settings.start_from
            earlier = read_record(find_run(first)).read if first is not None else []
            note_read(self.folder, sorted({*read, *earlier}))
            return
        set_aside_newer(self.folder, self.point)
        changes = self.changes
        note_resume(self.folder, self.cfg, step=self.step, digest=digest, overrides=overrides, changes=changes)
        print(f"{self.name} goes on from step {self.step} of {self.settings.steps}")


def start_of(
    cfg: DictConfig, *, settings: type, folder: Path, overrides: list[str], stack: contextlib.ExitStack
) -> Start:
    """Check the config of a command line; of a resumed run, lock the folder and find the checkpoint.

    Args:
        cfg: the composed config.
        settings: the dataclass of the scalars at the root of the verb's config.
        folder: the run's folder.
        overrides: of the command line.
        stack: keeps the lock until it ends.

    Raises:
        Refusal: a config with faults, a change that would make another run, or a checkpoint that cannot be read.
    """
    resuming, point, changes = cfg.resume is not None, None, ()
    if resuming:
        if is_first():
            stack.enter_context(held(folder))
        found = resumed(read_config(folder), overrides, composed=cfg, run=str(name_of(folder)))
        point = resume_point(folder, str(cfg.resume))
        read_rows(folder / METRICS)  # a journal that cannot go on is refused before anything is noted in the folder
        cfg, changes = found.config, found.changes
    chosen = plan(cfg, settings=settings)
    return Start(folder, cfg, chosen, read_settings(settings, chosen.config), overrides, resuming, point, changes)
