"""Train a generator, then sample and score the test maps: python -m scenegen.train model=gaugan loss=cx+dists"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields
from pathlib import Path

from omegaconf import DictConfig

from scenegen.base.refusal import Refusal
from scenegen.cli.entry import command


@dataclass(frozen=True)
class Settings:
    """The scalars at the root of conf/train.yaml, documented there."""

    name: str | None
    resume: str | None
    start_from: str | None
    seed: int
    steps: int
    batch_size: int
    reuse_fake: bool
    init_gain: float
    generator_every: int
    log_grads_every: int
    log_every: int
    grid_every: int
    interim_every: int
    interim_count: int
    checkpoint_every: int
    keep_checkpoints: int
    evaluate: bool
    evaluate_count: int | None

    def __post_init__(self) -> None:
        counts = ("steps", "batch_size", "generator_every", "log_every", "grid_every", "checkpoint_every")
        for name in (*counts, "keep_checkpoints", "interim_count"):
            if getattr(self, name) < 1:
                raise Refusal(f"{name}={getattr(self, name)} must be 1 or more")
        for name in ("log_grads_every", "interim_every"):
            if getattr(self, name) < 0:
                raise Refusal(f"{name}={getattr(self, name)} must be 0 (never) or more")
        if not self.init_gain > 0:
            raise Refusal(f"init_gain={self.init_gain} must be above 0")
        if self.evaluate_count is not None and self.evaluate_count < 2:
            raise Refusal(f"evaluate_count={self.evaluate_count} is too few to score; give 2 or more, or null for all")


def made_by(overrides: list[str]) -> str:
    """The command line that makes a run again, whatever it is called."""
    return "python -m scenegen.train " + shlex.join(o for o in overrides if not o.startswith("name="))


@command("train")
def main(cfg: DictConfig) -> float | None:
    from hydra.core.hydra_config import HydraConfig
    from pytorch_lightning.utilities.rank_zero import rank_zero_only

    from scenegen.config import build
    from scenegen.config.opened import note_vocabulary
    from scenegen.config.plan import plan, read_settings
    from scenegen.config.stored import read_config
    from scenegen.data.inspection import require_sound
    from scenegen.data.samples import collate
    from scenegen.networks.generators.label_reader import LabelReader
    from scenegen.reporting.deliver import deliver
    from scenegen.reporting.evaluate import evaluate
    from scenegen.reporting.showcase import showcase
    from scenegen.runs.checkpoints import newest
    from scenegen.runs.folder import create_run, find_run, with_changes
    from scenegen.sampling.apply_posts import require_size
    from scenegen.sampling.sheets import spread
    from scenegen.tracking.wandb import report
    from scenegen.training.fit import Rhythm, fit
    from scenegen.training.start_from import take_over

    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    overrides = list(hydra.overrides.task)
    resuming = cfg.resume is not None
    if resuming:
        cfg = with_changes(read_config(find_run(folder)), overrides, run=folder.name)
    chosen = plan(cfg, settings=Settings)
    config, settings = chosen.config, read_settings(Settings, chosen.config)
    train, test = (build.dataset(config, split=split) for split in ("train", "test"))
    require_sound(train, test)
    # Built before training, so that what cannot be scored is known now and not after a day.
    scorer = build.scorer(config, test) if settings.evaluate else None
    posts = build.posts(config)
    if scorer is not None:
        require_size(posts, height=config["size"]["height"], width=config["size"]["width"])
    module = build.rounds(config, train)
    if settings.start_from is not None and not resuming:
        taken = take_over(module, find_run(settings.start_from))
        if rank_zero_only.rank == 0:
            print(taken)
    if rank_zero_only.rank == 0 and not resuming:
        create_run(folder, cfg, digest=chosen.digest, overrides=overrides)
        note_vocabulary(folder, train)
    loggers = build.loggers(config, folder)
    fit(
        module,
        train,
        classes=train.classes,
        watched=collate([test[(0, index)] for index in spread(len(test), 6)]),
        folder=folder,
        rhythm=Rhythm(**{field.name: getattr(settings, field.name) for field in fields(Rhythm)}),
        machine=build.make(config["trainer"]),
        seed=settings.seed,
        loggers=loggers,
        callbacks=build.interim(config, scorer, test),
        checkpoint=newest(folder) if resuming else None,
    )
    if rank_zero_only.rank > 0:
        return None
    score = None
    if scorer is not None:
        score = evaluate(
            module.best_model,
            train=train,
            test=test,
            scorer=scorer,
            posts=posts,
            folder=folder,
            config=config,
            digest=chosen.digest,
        )
    if isinstance(module.best_model, LabelReader):
        command_line = made_by(overrides)
        print(deliver(module.best_model, test=test, score=score, folder=folder, config=config, command=command_line))
    indices = spread(len(test), 18)
    judges = scorer.judges if scorer is not None else None
    models = {"fake": module.model, **({"EMA": module.best_model} if module.ema is not None else {})}
    report(
        loggers,
        score.as_metrics() if score is not None else {},
        folder=folder,
        step=module.step,
        pictures=lambda: showcase(models, test, judges=judges, indices=indices, seed=settings.seed),
    )
    return score.total if score is not None else None


if __name__ == "__main__":
    main()
