"""Train a SceneNet, the project's own small net, on any dataset: a trunk for losses or a scorer."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from omegaconf import DictConfig

from scenegen.cli.entry import command


@dataclass(frozen=True)
class Settings:
    """The scalars at the root of conf/train_scenenet.yaml."""

    out: str
    role: Literal["trunk", "scorer"]
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


@command("train_scenenet")
def main(cfg: DictConfig) -> None:
    import shlex

    from hydra.core.hydra_config import HydraConfig
    from rich.console import Console

    from scenegen.config import build
    from scenegen.config.plan import plan, read_settings
    from scenegen.training.segmenters.fit import Schedule
    from scenegen.training.segmenters.make_scenenet import make_scenenet

    config = plan(cfg, settings=Settings).config
    s: Settings = read_settings(Settings, config)
    schedule = Schedule(**{field.name: getattr(s, field.name) for field in fields(Schedule)})
    # Where the file was put on one machine is no part of how to make it again.
    choices = [o for o in HydraConfig.get().overrides.task if not o.startswith("out=")]
    console = Console()
    made = make_scenenet(
        build.dataset(config, split="train"),
        build.dataset(config, split="test"),
        out=s.out,
        role=s.role,
        schedule=schedule,
        count=s.pictures,
        held_out_count=s.held_out,
        facts={"command": "python -m scenegen.train_scenenet " + shlex.join(choices)},
        console=console,
    )
    console.print(f"{made.path}  scenenet-{s.role}:{made.digest[:12]}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
