"""Bring annotations to data=folder: python -m scenegen.import annotations=PATH format=labelme_xml out=PATH"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from omegaconf import DictConfig

from scenegen.base.refusal import Refusal
from scenegen.cli.entry import command


@dataclass(frozen=True)
class Settings:
    """The values of conf/import.yaml, documented there."""

    annotations: str
    format: Literal["labelme_xml", "labelme_json", "coco", "cityscapes", "ade20k", "colours"]
    images: str | None
    out: str
    table: str | None
    tolerance: int
    words: str
    gaps: Literal["leave", "fill"]
    snap: float
    broken: Literal["refuse", "skip"]
    seed: int

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance <= 255:
            raise Refusal(f"tolerance={self.tolerance} must lie in 0..255")
        if not 0 <= self.snap < 1000:
            raise Refusal(f"snap={self.snap} must lie in 0..1000 pixels")
        if (self.format == "colours") != (self.table is not None):
            raise Refusal("format=colours and table=FILE.csv (columns name, r, g, b) go together; give both or neither")


@command("import")
def main(cfg: DictConfig) -> int:
    from scenegen.base.console import bar, console, printable
    from scenegen.base.outputs import require_new_folder
    from scenegen.config import build
    from scenegen.config.plan import plan, read_settings
    from scenegen.data.annotations.importing import (
        FORMATS,
        Annotations,
        Wishes,
        coloured,
        import_annotations,
        one_sided,
    )
    from scenegen.data.annotations.report import print_import
    from scenegen.data.annotations.sources import Source
    from scenegen.data.annotations.words import SHIPPED, listed_classes, read_rules
    from scenegen.data.classes import LANDSCAPE
    from scenegen.data.doctor import examine, open_splits, print_report
    from scenegen.data.photographs import Reading

    config = plan(cfg, settings=Settings).config
    chosen: Settings = read_settings(Settings, config)
    out, source = (
        Path(chosen.out),
        Source(Path(chosen.annotations), images=Path(chosen.images) if chosen.images else None),
    )
    require_new_folder(out, option="out")
    kind = FORMATS.get(chosen.format) or coloured(Path(str(chosen.table)), tolerance=chosen.tolerance)
    rules, classes = {}, None
    if chosen.words != "own":
        shipped = chosen.words == "landscape"
        file = SHIPPED if shipped else Path(chosen.words)
        classes = LANDSCAPE.names if shipped else listed_classes(file)
        rules = read_rules(file, classes=classes)
    exif = Reading(exif=config["data"].get("exif", "ask")).exif
    done = import_annotations(
        Annotations(source, chosen.format, kind, skip_broken=chosen.broken == "skip"),
        out,
        Wishes(classes=classes, rules=rules, fill=chosen.gaps == "fill", snap=chosen.snap, exif=exif),
        track=bar,
    )
    print_import(done, console())
    made = {**config, "data": {**config["data"], "root": str(out)}}
    try:
        found, faults = open_splits(lambda split: build.dataset(made, split=split))
    except Refusal as refusal:
        raise Refusal(f"the import is whole in {out}, but too small to train on: {refusal}") from refusal
    report = examine(found, faults=faults)
    print_report(report, console())
    if list(done.pictures) == ["val"]:
        raise Refusal(one_sided(out))
    if not report.sound:
        return 1
    print(printable(f"next: python -m scenegen.train data=folder {shlex.quote(f'data.root={out}')}"))
    return 0


if __name__ == "__main__":
    main()
