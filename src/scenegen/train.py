"""Train a generator, then sample and score the test maps: python -m scenegen.train model=gaugan loss=cx+dists"""

from __future__ import annotations

import contextlib
import math
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from scenegen.base.refusal import Refusal
from scenegen.cli.entry import command

if TYPE_CHECKING:
    from scenegen.data.samples import Pairs
    from scenegen.sampling.one_map import Beside
    from scenegen.training.signals import Signals, Stopped


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
    evaluate_size: list[int] | None
    beside: str | None

    def __post_init__(self) -> None:
        counts = ("steps", "batch_size", "generator_every", "log_every", "grid_every", "checkpoint_every")
        for name in (*counts, "keep_checkpoints", "interim_count"):
            if getattr(self, name) < 1:
                raise Refusal(f"{name}={getattr(self, name)} must be 1 or more")
        for name in ("log_grads_every", "interim_every"):
            if getattr(self, name) < 0:
                raise Refusal(f"{name}={getattr(self, name)} must be 0 (never) or more")
        if not 0 < self.init_gain < math.inf:
            raise Refusal(f"init_gain={self.init_gain} must be above 0 and finite; 0.02 is as published")
        if self.evaluate_count is not None and self.evaluate_count < 2:
            raise Refusal(f"evaluate_count={self.evaluate_count} is too few to score; give 2 or more, or null for all")
        if self.evaluate_size is not None and (len(self.evaluate_size) != 2 or min(self.evaluate_size) < 1):
            raise Refusal(f"evaluate_size={self.evaluate_size} must be a height and a width in pixels, such as "
                          "[384,512], or null for the size that the model paints")  # fmt: skip


def made_by(choices: Sequence[str], way: Sequence[str] = ()) -> str:
    """The command line that makes a run again, whatever it is called, and what was changed on its way."""
    words = shlex.join(choice for choice in choices if not choice.startswith("name="))
    return f"python -m scenegen.train {words}" + (f"  (on the way: {'; '.join(way)})" if way else "")


@command("train")
def main(cfg: DictConfig) -> float | None:
    from hydra.core.hydra_config import HydraConfig

    from scenegen.config.tasks import require_task
    from scenegen.training.signals import Signals, Stopped

    hydra = HydraConfig.get()
    require_task(hydra.runtime.choices)
    folder = Path(hydra.runtime.output_dir)
    with Signals() as signals:
        try:
            return train(cfg, folder=folder, overrides=list(hydra.overrides.task), signals=signals)
        except Stopped as stopped:
            raise SystemExit(end(stopped, folder)) from None


def train(cfg: DictConfig, *, folder: Path, overrides: list[str], signals: Signals) -> float | None:
    """Train a new run, or go on with one; sample and score it at its end.

    Args:
        cfg: the composed config.
        folder: the run's folder.
        overrides: of the command line.
        signals: of this process.

    Returns:
        The total, or None where there is none.
    """
    from scenegen.config.resumed import resumed
    from scenegen.config.stored import read_config
    from scenegen.runs.folder import find_run, name_of

    resuming, run = cfg.resume is not None, str(name_of(folder))
    if resuming:  # what would make another run is refused before anything is imported or locked
        resumed(read_config(find_run(folder)), overrides, composed=cfg, run=run)

    from pytorch_lightning.utilities.rank_zero import rank_zero_only

    from scenegen.config import build
    from scenegen.config.opened import hand_over_coarse, note_vocabulary
    from scenegen.config.plan import plan, read_settings
    from scenegen.config.posts import posts as chosen_posts
    from scenegen.data.fingerprint import fingerprint
    from scenegen.data.inspection import require_sound
    from scenegen.data.samples import collate
    from scenegen.networks.generators.label_reader import LabelReader
    from scenegen.reporting.deliver import deliver
    from scenegen.reporting.evaluate import evaluate, require_results
    from scenegen.reporting.showcase import showcase
    from scenegen.runs.checkpoints import newest
    from scenegen.runs.folder import create_run, remove_unbegun, require_free
    from scenegen.runs.lock import held
    from scenegen.runs.record import note_data, note_resume, read_record
    from scenegen.runs.resume_point import nothing_left, require_same_data, resume_point, set_aside_newer
    from scenegen.sampling.apply_posts import require_size
    from scenegen.sampling.sheets import spread
    from scenegen.tracking.wandb import report
    from scenegen.training.fit import Rhythm, prepare
    from scenegen.training.signals import Stopped
    from scenegen.training.start_from import take_over

    first = rank_zero_only.rank == 0
    if first and not resuming:
        require_free(folder)
        if cfg.start_from is not None:
            newest(find_run(cfg.start_from))
    with contextlib.ExitStack() as stack:
        changes, point = (), None
        if resuming:
            if first:
                stack.enter_context(held(folder))
            found = resumed(read_config(folder), overrides, composed=cfg, run=run)
            point = resume_point(folder, str(cfg.resume))
            cfg, changes = found.config, found.changes
        chosen = plan(cfg, settings=Settings)
        config, settings = chosen.config, read_settings(Settings, chosen.config)
        if resuming and (sentence := nothing_left(
            folder, point, steps=settings.steps, evaluate=settings.evaluate, digest=chosen.digest, changes=changes
        )):  # fmt: skip
            if first:
                print(sentence.text)
            return sentence.total
        train, test = (build.dataset(config, split=split) for split in ("train", "test"))
        require_sound(train, test)
        data = {"train": fingerprint(train), "test": fingerprint(test)}
        if resuming:
            require_same_data(read_record(folder).data, data, changes=changes, run=run)
        # Built before training, so that what cannot be scored is known now and not after a day.
        photos, maps = build.scored_datasets(config) if settings.evaluate_size is not None else (train, test)
        scorer = build.scorer(config, maps) if settings.evaluate else None
        posts = chosen_posts(config)
        if scorer is not None:
            size = config["size"]["height"], config["size"]["width"]
            require_size(posts, size=size, scored=settings.evaluate_size or size)
        if first and scorer is not None and (told := build.left_out(config, scorer)):
            print(f"! {told}")
        beside = opened_beside(settings, test) if settings.beside is not None and scorer is not None else None
        module = build.rounds(config, train)
        if scorer is not None:
            require_results(module.model, scorer)
        for painter in {module.model, module.best_model}:
            told = hand_over_coarse(painter)
            if first and told and painter is module.model:
                print(told)
        if first and "instance" in module.model.reads:
            print("the data have instance maps, so the network sees their edges; data.instances=false trains without")
        if first and module.model.pretrained:
            print(f"encoder: {module.model.pretrained}")
        if first and module.grow is not None and (remark := module.grow.remark(settings.steps)):
            print(f"! {remark}")
        prepared = prepare(
            module,
            train,
            classes=train.classes,
            watched=collate([test[(0, index)] for index in spread(len(test), 6)]),
            folder=folder,
            rhythm=Rhythm(**{field.name: getattr(settings, field.name) for field in fields(Rhythm)}),
            machine=build.make(config["trainer"]),
            seed=settings.seed,
            callbacks=build.interim(config, scorer, test),
            signals=signals,
        )
        if point is not None and point.content is not None:
            prepared.require_fit(point.path, point.content)
            point = replace(point, content=None)  # training reads it itself, and needs the memory
        if settings.start_from is not None and point is None:
            taken = take_over(module, find_run(settings.start_from))
            if first:
                print(taken)
        if first and not resuming:
            create_run(folder, cfg, digest=chosen.digest, overrides=overrides)
            stack.enter_context(held(folder))
            note_data(folder, data)
            note_vocabulary(folder, train)
        elif first:
            set_aside_newer(folder, point)
            step = point.step if point is not None else 0
            note_resume(folder, cfg, step=step, digest=chosen.digest, overrides=overrides, changes=changes)
            print(f"{run} goes on from step {step} of {settings.steps}")
        loggers = build.loggers(config, folder)
        try:
            prepared.run(loggers=loggers, checkpoint=point.path if point else None, start=point.step if point else 0)
        except Exception:  # whatever it was: a run without a step gives its name back
            if first and not resuming and module.step == 0:
                remove_unbegun(folder)
            raise
        if signals.received is not None:  # it came while the last step was being saved
            raise Stopped(signals.received, step=module.step)
        if not first:
            return None
        record = read_record(folder)
        command_line = made_by(record.choices, record.way)
        score = None
        if scorer is not None:
            score = evaluate(
                module.best_model,
                test=test,
                maps=maps,
                photos=photos,
                scorer=scorer,
                posts=posts,
                folder=folder,
                config=config,
                digest=chosen.digest,
                made_by=command_line,
                beside=beside,
                read=sorted(module.frozen_stamps),
            )
        if isinstance(module.best_model, LabelReader):
            print(
                deliver(module.best_model, test=test, score=score, folder=folder, config=config, command=command_line)
            )
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


def opened_beside(settings: Settings, test: Pairs) -> Beside:
    """The run that `beside` names, ready to paint the test maps."""
    from scenegen.config.opened import open_run
    from scenegen.sampling.one_map import Beside, require_maps_alone

    name = str(settings.beside)
    run = open_run(name)
    require_maps_alone(run.model, run=name)
    run.require_alike(test, option=f"beside={name}")
    return Beside(title=f"run={run.folder.name}", model=run.model, seed=settings.seed)


def end(stopped: Stopped, folder: Path) -> int:
    """Say on stderr where a run was stopped and how to go on; the exit status of the signal."""
    from pytorch_lightning.utilities.rank_zero import rank_zero_only

    from scenegen.runs.folder import checkpoints_of, is_run, resume_command, step_of

    if rank_zero_only.rank > 0:
        return 0  # the first process ends with the signal's status, and would be killed by another's
    saved = checkpoints_of(folder)
    if not is_run(folder):
        with contextlib.suppress(OSError):
            folder.rmdir()
        said = "stopped before the run began; nothing was written"
    elif stopped.step is not None:
        said = f"stopped at step {stopped.step}, which is saved; go on with {resume_command(folder)}"
    elif saved:
        said = f"stopped; the checkpoint of step {step_of(saved[-1])} is whole: go on with {resume_command(folder)}"
    else:
        said = f"stopped before a checkpoint was saved; start again with {resume_command(folder)}"
    print(said, file=sys.stderr)
    return stopped.status


if __name__ == "__main__":
    main()
