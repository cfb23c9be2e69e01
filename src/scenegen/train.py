"""Train a generator, then sample and score the test maps: python -m scenegen.train model=gaugan loss=cx+dists"""

from __future__ import annotations

import contextlib
import math
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from scenegen.base.refusal import Refusal
from scenegen.cli.entry import command

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

    from scenegen.config.start import Start
    from scenegen.data.samples import Pairs
    from scenegen.reporting.evaluate import Ending
    from scenegen.sampling.one_map import Beside
    from scenegen.training.rounds import Rounds
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
    if cfg.resume is not None:
        _refuse_another_run(cfg, folder, overrides)
    from scenegen.training.lightning import import_lightning

    if cfg.extensions is None:  # else they may want what is left out
        import_lightning()
    if cfg.resume is None:
        _refuse_taken(cfg, folder)

    from scenegen.config import build
    from scenegen.config.start import start_of
    from scenegen.data.samples import collate
    from scenegen.reporting.evaluate import require_results
    from scenegen.runs.folder import find_run, remove_unbegun
    from scenegen.runs.processes import is_first, tell
    from scenegen.sampling.sheets import spread
    from scenegen.training.fit import Rhythm, prepare
    from scenegen.training.signals import Stopped
    from scenegen.training.start_from import take_over

    with contextlib.ExitStack() as stack:
        start = start_of(cfg, settings=Settings, folder=folder, overrides=overrides, stack=stack)
        if sentence := start.nothing_left():
            tell(sentence.text)
            return sentence.total
        settings, config = start.settings, start.chosen.config
        train_data, test = (build.dataset(config, split=split) for split in ("train", "test"))
        data = start.checked(train_data, test)
        ending = _ending(start, train_data, test)  # what cannot be scored is known now and not after a day
        module = build.rounds(config, train_data)
        if ending.scorer is not None:
            require_results(module.model, ending.scorer)
        for remark in _remarks(module, start):
            tell(remark)
        prepared = prepare(
            module,
            train_data,
            classes=train_data.classes,
            watched=collate([test[(0, index)] for index in spread(len(test), 6)]),
            folder=folder,
            rhythm=Rhythm(**{field.name: getattr(settings, field.name) for field in fields(Rhythm)}),
            machine=build.make(config["trainer"]),
            seed=settings.seed,
            callbacks=build.interim(config, ending.scorer, test),
            signals=signals,
        )
        start = start.fitting(prepared.require_fit)
        if settings.start_from is not None and start.point is None:
            tell(take_over(module, find_run(settings.start_from)))
        if is_first():
            start.begin(data, train_data, read=module.frozen_stamps, stack=stack)
        loggers = build.loggers(config, folder)
        try:
            prepared.run(loggers=loggers, checkpoint=start.point.path if start.point else None, start=start.step)
        except Exception:  # whatever it was: a run without a step gives its name back
            if is_first() and not start.resuming and module.step == 0:
                remove_unbegun(folder)
            raise
        if signals.received is not None:  # it came while the last step was being saved
            raise Stopped(signals.received, step=module.step)
        return _finish(start, ending, module, loggers) if is_first() else None


def _refuse_another_run(cfg: DictConfig, folder: Path, overrides: list[str]) -> None:
    """Refuse what would make another run of the resumed one, before the heavy imports."""
    from scenegen.config.resumed import resumed
    from scenegen.config.stored import read_config
    from scenegen.runs.folder import find_run, name_of

    resumed(read_config(find_run(folder)), overrides, composed=cfg, run=str(name_of(folder)))


def _refuse_taken(cfg: DictConfig, folder: Path) -> None:
    """Refuse a new run where one is, or whose networks have no run to come from."""
    from scenegen.runs.checkpoints import newest
    from scenegen.runs.folder import find_run, require_free
    from scenegen.runs.processes import is_first

    if is_first():
        require_free(folder)
        if cfg.start_from is not None:
            newest(find_run(cfg.start_from))


def _ending(start: Start, train_data: Pairs, test: Pairs) -> Ending:
    """Everything that samples and scores a run, made before it is trained."""
    from scenegen.config import build
    from scenegen.config.posts import posts as chosen_posts
    from scenegen.reporting.evaluate import Ending
    from scenegen.runs.processes import tell
    from scenegen.sampling.apply_posts import require_size

    settings, config = start.settings, start.chosen.config
    photos, maps = build.scored_datasets(config) if settings.evaluate_size is not None else (train_data, test)
    scorer = build.scorer(config, maps) if settings.evaluate else None
    posts, beside = chosen_posts(config), None
    if scorer is not None:
        size = config["size"]["height"], config["size"]["width"]
        require_size(posts, size=size, scored=settings.evaluate_size or size)
        if told := build.left_out(config, scorer):
            tell(f"! {told}")
        beside = opened_beside(settings, test) if settings.beside is not None else None
    return Ending(test=test, maps=maps, photos=photos, scorer=scorer, posts=posts, beside=beside)


def opened_beside(settings: Settings, test: Pairs) -> Beside:
    """The run that `beside` names, ready to paint the test maps."""
    from scenegen.config.opened import open_run
    from scenegen.sampling.one_map import Beside, require_maps_alone

    name = str(settings.beside)
    run = open_run(name)
    require_maps_alone(run.model, run=name)
    run.require_alike(test, option=f"beside={name}")
    return Beside(title=f"run={run.folder.name}", model=run.model, seed=settings.seed)


def _remarks(module: Rounds, start: Start) -> Iterator[str]:
    """What the user should know of what was built; a model that paints over another run's pictures is handed it."""
    from scenegen.config.kinds import kind_of
    from scenegen.config.opened import hand_over_coarse
    from scenegen.losses.features import misread

    for painter in {module.model, module.best_model}:
        told = hand_over_coarse(painter)
        if told and painter is module.model:
            yield told
    if "instance" in module.model.reads:
        yield "the data have instance maps, so the network sees their edges; data.instances=false trains without"
    if module.model.pretrained:
        yield f"encoder: {module.model.pretrained}"
    if module.grow is not None and (remark := module.grow.remark(start.settings.steps)):
        yield f"! {remark}"
    yield from misread(module.objective.bank, kind=kind_of(start.chosen.config))


def _finish(start: Start, ending: Ending, module: Rounds, loggers: Sequence[Logger]) -> float | None:
    """Sample and score the test maps, and show them to the loggers; the total, or None."""
    from scenegen.networks.generators.label_reader import LabelReader
    from scenegen.reporting.deliver import deliver
    from scenegen.reporting.evaluate import evaluate
    from scenegen.reporting.showcase import showcase
    from scenegen.runs.record import read_record
    from scenegen.sampling.sheets import spread
    from scenegen.tracking.wandb import report

    record = read_record(start.folder)
    config, test, scorer = start.chosen.config, ending.test, ending.scorer
    command_line = made_by(record.choices, record.way)
    score = None
    if scorer is not None:
        score = evaluate(
            module.best_model,
            ending,
            scorer=scorer,
            folder=start.folder,
            config=config,
            digest=start.chosen.digest,
            made_by=command_line,
            read=sorted(module.frozen_stamps.union(record.read)),
        )
    if isinstance(module.best_model, LabelReader):
        made = {"folder": start.folder, "config": config, "command": command_line}
        print(deliver(module.best_model, test=test, score=score, **made))
    indices, seed = spread(len(test), 18), start.settings.seed
    judges = scorer.judges if scorer is not None else None
    models = {"fake": module.model, **({"EMA": module.best_model} if module.ema is not None else {})}
    report(
        loggers,
        score.as_metrics() if score is not None else {},
        folder=start.folder,
        step=module.step,
        pictures=lambda: showcase(models, test, judges=judges, indices=indices, seed=seed),
    )
    return score.total if score is not None else None


def end(stopped: Stopped, folder: Path) -> int:
    """Say on stderr where a run was stopped and how to go on; the exit status of the signal."""
    from scenegen.runs.folder import checkpoints_of, is_run, resume_command, step_of
    from scenegen.runs.processes import is_first

    if not is_first():
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
