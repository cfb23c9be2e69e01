"""Train a segmenter of segmentation_models.pytorch on any dataset, for `segmenter=smp`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from omegaconf import DictConfig

from scenegen.cli.entry import command


@dataclass(frozen=True)
class Settings:
    """The scalars at the root of conf/train_segmenter.yaml."""

    out: str
    arch: str
    encoder: str
    encoder_weights: Literal["imagenet"] | None
    seed: int
    steps: int
    batch_size: int
    lr: float
    weight_decay: float
    balance: float
    bf16: bool
    device: str
    pictures: int
    held_out: int


@command("train_segmenter")
def main(cfg: DictConfig) -> None:
    import shlex

    from hydra.core.hydra_config import HydraConfig
    from rich.console import Console

    from scenegen.config import build
    from scenegen.config.plan import plan, read_settings
    from scenegen.training.segmenters.fit import Schedule
    from scenegen.training.segmenters.make_segmenter import make_segmenter

    config = plan(cfg, settings=Settings).config
    s: Settings = read_settings(Settings, config)
    schedule = Schedule(**{field.name: getattr(s, field.name) for field in fields(Schedule)})
    # Where the file was put on one machine is no part of how to make it again.
    choices = [o for o in HydraConfig.get().overrides.task if not o.startswith("out=")]
    console = Console()
    made = make_segmenter(
        build.dataset(config, split="train"),
        build.dataset(config, split="test"),
        out=s.out,
        arch=s.arch,
        encoder=s.encoder,
        encoder_weights=s.encoder_weights,
        schedule=schedule,
        count=s.pictures,
        held_out_count=s.held_out,
        facts={"command": "python -m scenegen.train_segmenter " + shlex.join(choices)},
        console=console,
    )
    console.print(f"{made.path}  smp-{s.arch}-{s.encoder}:{made.digest[:12]}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
