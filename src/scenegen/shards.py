"""Photographs and label maps as tar shards: python -m scenegen.shards data=folder data.root=PATH out=PATH"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from scenegen.base.refusal import Refusal
from scenegen.cli.entry import command


@dataclass(frozen=True)
class Settings:
    """The values of conf/shards.yaml, documented there."""

    out: str
    per_shard: int
    seed: int

    def __post_init__(self) -> None:
        if self.per_shard < 1:
            raise Refusal(f"per_shard={self.per_shard} must be 1 or more")


@command("shards")
def main(cfg: DictConfig) -> None:
    from scenegen.base.console import bar, printable
    from scenegen.base.outputs import require_new_folder
    from scenegen.config import build
    from scenegen.config.plan import plan, read_settings
    from scenegen.data.inspection import require_sound
    from scenegen.data.sharding import write_shards

    config = plan(cfg, settings=Settings).config
    chosen: Settings = read_settings(Settings, config)
    out = Path(chosen.out)
    require_new_folder(out, option="out")
    splits = {split: build.dataset(config, split=split) for split in ("train", "test")}
    require_sound(*splits.values())
    done = write_shards(splits, out, per_shard=chosen.per_shard, track=bar)
    for split, written in done.items():
        print(f"{split}: {written.samples} samples in {written.shards} shards")
    print(printable(f"next: python -m scenegen.check data=shards {shlex.quote(f'data.root={out}')}"))


if __name__ == "__main__":
    main()
