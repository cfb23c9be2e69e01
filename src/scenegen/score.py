"""Score generated pictures, or check a table of scores: python -m scenegen.score generated=out data=procedural"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from omegaconf import DictConfig

from scenegen.base.refusal import Refusal
from scenegen.cli.entry import command


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


@command("score")
def main(cfg: DictConfig) -> int:
    from scenegen.base.console import bar, console, say
    from scenegen.config import build
    from scenegen.config.plan import plan, read_settings

    chosen = plan(cfg, settings=Settings)
    settings: Settings = read_settings(Settings, chosen.config)
    if settings.rows is not None:
        from scenegen.scoring.contest import recompute
        from scenegen.scoring.table import show_rows

        if chosen.config["scorer"] is None:
            raise Refusal("rows= recomputes a contest's totals and scorer=none has none; choose scorer=jittor2022")
        contest = build.make(chosen.config["scorer"])
        rows = recompute(Path(settings.rows), contest)
        show_rows(rows, contest, console())
        return int(not all(row.agrees for row in rows))
    from scenegen.base.outputs import require_own
    from scenegen.scoring.generated import read_styles
    from scenegen.scoring.inputs import Options, still
    from scenegen.scoring.table import is_score, line, show, write_json

    if settings.json:
        reads = {
            "generated": Path(str(settings.generated)),
            **({"styles": Path(settings.styles)} if settings.styles else {}),
        }
        require_own(Path(settings.json), option="json", reads=reads, recognise=is_score)
    labels = still(build.dataset(chosen.config, split=settings.split))
    photos = build.dataset(chosen.config, split=settings.reference).reference()
    same = settings.reference == settings.split and type(photos) is type(labels)
    scorer = build.scorer(chosen.config, labels)
    if told := build.left_out(chosen.config, scorer):
        print(f"! {told}")
    score = scorer.score(
        Path(str(settings.generated)),
        labels,
        reference=None if same else photos,
        styles=read_styles(Path(settings.styles)) if settings.styles else None,
        options=Options.of(settings, config_hash=chosen.digest),
        track=bar,
        notice=say,
    )
    show(score, console())
    print(line(score))
    if settings.json:
        write_json(score, Path(settings.json))
    return 0


if __name__ == "__main__":
    main()
