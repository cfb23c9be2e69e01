"""A folder of pictures scored as a composed conf/score.yaml says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from scenegen.base.refusal import Refusal
from scenegen.config import build
from scenegen.config.plan import Plan, read_settings

if TYPE_CHECKING:
    from scenegen.scoring.inputs import Track
    from scenegen.scoring.record import Score


@dataclass(frozen=True)
class Settings:
    """The values of conf/score.yaml, documented there."""

    generated: str | None
    rows: str | None
    split: Literal["train", "test"]
    reference: Literal["train", "test"]
    styles: str | None
    count: int | None
    resize: str
    extra: str
    floor: bool
    infinity: bool
    cache: str
    json: str | None
    seed: int
    batch_size: int
    device: str

    def __post_init__(self) -> None:
        if (self.generated is None) == (self.rows is None):
            raise Refusal("give one of generated=FOLDER (pictures to score) and rows=FILE.csv (totals to check)")
        if self.batch_size < 1:
            raise Refusal(f"batch_size={self.batch_size} must be 1 or more")
        if self.count is not None and self.count < 2:
            raise Refusal(f"count={self.count} is too few to score; give 2 or more, or null for all")


def score(chosen: Plan, *, track: Track, notice: Callable[[str], None], warn: Callable[[str], object]) -> Score:
    """Score the folder that a plan of conf/score.yaml names.

    Args:
        chosen: the plan; its `generated` is set.
        track: progress of a loop.
        notice: receives a sentence about what was made to fit or left aside.
        warn: receives the sentence about numbers of the total that are left out.

    Raises:
        Refusal: data, pictures or judges that cannot be had or do not fit.
    """
    from scenegen.base.devices import usable
    from scenegen.base.outputs import told_of
    from scenegen.scoring.generated import read_styles
    from scenegen.scoring.inputs import Options, still

    settings: Settings = read_settings(Settings, chosen.config)
    usable(settings.device)
    labels = still(build.dataset(chosen.config, split=settings.split))
    if settings.count is not None and settings.count > len(labels):
        known = f"the {len(labels)} label maps of split={settings.split}"
        raise Refusal(f"count={settings.count} is more than {known}; give fewer, or null for all")
    photos = build.dataset(chosen.config, split=settings.reference).reference()
    same = settings.reference == settings.split and type(photos) is type(labels)
    scorer = build.scorer(chosen.config, labels)
    if told := build.left_out(chosen.config, scorer):
        warn(f"! {told}")
    generated = Path(str(settings.generated))
    made = {key: tuple(names) for key, names in told_of(generated).items()}
    return scorer.score(
        generated,
        labels,
        reference=None if same else photos,
        styles=read_styles(Path(settings.styles)) if settings.styles else None,
        options=replace(Options.of(settings, config_hash=chosen.digest), **made),
        track=track,
        notice=notice,
    )
