"""Rank the training pictures that may serve as exemplars: python -m scenegen.retrieve by=mask_iou top_k=10"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from omegaconf import DictConfig

from scenegen.base.refusal import Refusal
from scenegen.cli.entry import command


@dataclass(frozen=True)
class Settings:
    """The values of conf/retrieve.yaml, documented there."""

    top_k: int
    diversity: float
    out: str
    list_style: Literal["photographs", "contest"]
    batch_size: int
    workers: int
    seed: int

    def __post_init__(self) -> None:
        for name in ("top_k", "batch_size"):
            if getattr(self, name) < 1:
                raise Refusal(f"{name}={getattr(self, name)} must be 1 or more")
        if self.workers < 0:
            raise Refusal(f"workers={self.workers} must be 0 (none beside this process) or more")
        if not 0 <= self.diversity < 1:
            raise Refusal(f"diversity={self.diversity} must lie in 0..1 (below 1; 0 ranks by similarity alone)")


@command("retrieve")
def main(cfg: DictConfig) -> None:
    from hydra.core.hydra_config import HydraConfig

    from scenegen.base.console import bar, printable, say
    from scenegen.base.files import write_lines
    from scenegen.base.outputs import require_own
    from scenegen.config import build
    from scenegen.config.plan import plan, read_settings
    from scenegen.data.exemplars.index import is_index, make_index

    config = plan(cfg, settings=Settings).config
    chosen: Settings = read_settings(Settings, config)
    out = Path(chosen.out)
    require_own(out.with_name(f"{out.name}.json"), option="out", reads={}, recognise=is_index)
    for name in (f"{out.name}_ref.txt", f"{out.name}_ref_test.txt"):
        beside = out.with_name(f"{out.name}.json").is_file()
        require_own(out.with_name(name), option="out", reads={}, recognise=lambda _, beside=beside: beside)
    splits = {split: build.dataset(config, split=split) for split in ("train", "test")}
    index = make_index(
        splits,
        by=HydraConfig.get().runtime.choices["by"],
        measure=build.make(config["by"], offered={"classes": splits["train"].classes}),
        top_k=chosen.top_k,
        diversity=chosen.diversity,
        about={"data": config["data"]},
        batch_size=chosen.batch_size,
        workers=chosen.workers,
        track=bar,
        notice=functools.cache(say),  # every split opens the store
    )
    files = {"": (out.with_name(f"{out.name}.json"), index.as_json())}
    for split, name in (("train", f"{out.name}_ref.txt"), ("test", f"{out.name}_ref_test.txt")):
        text = index.as_list(split, queries=splits[split], gallery=splits["train"], style=chosen.list_style)
        files[split] = (out.with_name(name), text)
    for path, text in files.values():
        write_lines(path, text)
    means = ", ".join(f"{split} {index.first_score(split):.3f}" for split in splits)
    print(f"{printable(', '.join(str(path) for path, _ in files.values()))} (mean similarity of the first: {means})")


if __name__ == "__main__":
    main()
