"""Average the weights of checkpoints that a held-back measure chooses: python -m scenegen.soup runs=[a] name=a-soup"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from scenegen.base.refusal import Refusal
from scenegen.cli.entry import command

if TYPE_CHECKING:
    from torch import Tensor

    from scenegen.base.records import Batch
    from scenegen.config.opened import TrainedRun
    from scenegen.data.samples import Pairs


@dataclass(frozen=True)
class Settings:
    """The scalars at the root of conf/soup.yaml, documented there."""

    runs: list[str]
    name: str
    shares: list[float] | None
    count: int
    batches: int
    batch_size: int
    seed: int
    device: str

    def __post_init__(self) -> None:
        if not self.runs:
            raise Refusal("runs=[] names no run; give runs=[NAME]")
        for name in ("batches", "batch_size"):
            if getattr(self, name) < 1:
                raise Refusal(f"{name}={getattr(self, name)} must be 1 or more")
        if self.count < 4:
            raise Refusal(
                f"count={self.count} leaves fewer than 2 maps to choose by and 2 to look again; give 4 or more"
            )


@command("soup")
def main(cfg: DictConfig) -> None:
    from scenegen.config.plan import plan, read_settings
    from scenegen.runs.folder import require_free
    from scenegen.runs.names import place_of

    config = plan(cfg, settings=Settings).config
    settings: Settings = read_settings(Settings, config)
    folder = place_of(settings.name)
    require_free(folder)
    if settings.shares is not None:
        mix(settings, folder)
    else:
        choose(settings, config, folder)


def mix(settings: Settings, folder: Path) -> None:
    """Write the network between the newest weights of several runs, in stated shares."""
    from scenegen.base.console import printable
    from scenegen.config.opened import open_run
    from scenegen.runs.checkpoints import load, model_state
    from scenegen.runs.folder import checkpoints_of, find_run
    from scenegen.sampling.soup import mixed_state

    shares = settings.shares or []
    newest = {name: checkpoints_of(find_run(name))[-1:] for name in settings.runs}
    if absent := [name for name, found in newest.items() if not found]:
        raise Refusal(f"run {absent[0]} keeps no checkpoint to mix; train it, or name another in runs=")
    state = mixed_state({name: model_state(load(path), path=path) for name, (path,) in newest.items()}, shares)
    run = open_run(settings.runs[0], device=settings.device)
    run.model.load_state_dict(state)
    parts = [f"{share:g} of {name}" for share, name in zip(shares, settings.runs, strict=True)]
    path = write_run(folder, run, made_of=parts, runs=settings.runs)
    print(
        f"{printable(str(path))}: {printable(' + '.join(parts))}; next: python -m scenegen.sample run={settings.name}"
    )


def choose(settings: Settings, config: Mapping[str, Any], folder: Path) -> None:
    """Write the mean of the checkpoints that a distance on half of the looked-at maps chooses; told on both halves."""
    from scenegen.base.console import bar, printable
    from scenegen.config import build
    from scenegen.config.kinds import kind_of
    from scenegen.config.opened import open_run
    from scenegen.runs.record import note_choice
    from scenegen.sampling.sheets import spread
    from scenegen.sampling.soup import Taster, chosen, mean_state
    from scenegen.scoring.judges.protocols import marks

    states = checkpoint_states(settings.runs)
    mean_state(states)  # refuses unlike ones before anything is painted
    run = open_run(settings.runs[0], device=settings.device)
    train, test = run.dataset("train"), run.dataset("test")
    if len(test) < 4:
        raise Refusal(f"the data of run {settings.runs[0]} has {len(test)} test maps, and a choice needs 4 or more")
    looked = spread(len(test), min(settings.count, len(test)))
    shown = spread(len(train), min(len(train), settings.batches * settings.batch_size))
    judge = build.make(config["fid"]).to(settings.device)
    for mark in marks({"fid": judge}, kind=kind_of(run.config)):
        print(printable(f"! {mark}"))
    taster = Taster(run.model, states, judge=judge, seed=settings.seed,
                    shown=batches_of(train, shown, settings=settings))  # fmt: skip
    chooses, again = (taster.half(batches_of(test, half, settings=settings)) for half in (looked[0::2], looked[1::2]))
    alone = {name: taster.distance([name], chooses) for name in bar(states, "checkpoints")}
    order = sorted(alone, key=alone.__getitem__)
    kept, best = chosen(order, lambda names: taster.distance(names, chooses), alone=alone)
    for name in order:
        print(printable(f"{name}: distance {alone[name]:.4f}{'  in the soup' if name in kept else ''}"))
    # the soup comes last, so that the model is left with its weights
    others = {names: taster.distance(names, again) for names in dict.fromkeys([(order[0],), tuple(kept)])}
    print(
        f"soup of {len(kept)}: {best:.4f} against {alone[order[0]]:.4f} of the best alone on the maps that chose, "
        f"{others[tuple(kept)]:.4f} against {others[(order[0],)]:.4f} on the others"
    )
    path = write_run(folder, run, made_of=[f"soup of {name}" for name in kept], runs=settings.runs)
    note_choice(folder, [test.names[i] for i in looked[0::2]])
    print(f"{printable(str(path))}; next: python -m scenegen.sample run={settings.name}")


def checkpoint_states(runs: Sequence[str]) -> dict[str, Mapping[str, Tensor]]:
    """RUN/STEP -> weights, of every checkpoint that the runs keep.

    Raises:
        Refusal: fewer than two.
    """
    from scenegen.runs.checkpoints import load, model_state
    from scenegen.runs.folder import checkpoints_of, find_run, step_of

    files = {f"{name}/{step_of(path)}": path for name in runs for path in checkpoints_of(find_run(name))}
    if len(files) < 2:
        raise Refusal(
            f"runs=[{','.join(runs)}] keep {len(files)} checkpoint, and a soup needs 2 or more; name more "
            "runs of the model in runs=, or train one that keeps more of them"
        )
    return {name: model_state(load(path), path=path) for name, path in files.items()}


def batches_of(data: Pairs, indices: Sequence[int], *, settings: Settings) -> list[Batch]:
    """The samples of some indices, in batches on the chosen device."""
    from scenegen.data.samples import collate

    size = settings.batch_size
    groups = [indices[k : k + size] for k in range(0, len(indices), size)]
    return [collate([data[(0, i)] for i in group]).to(settings.device) for group in groups]


def write_run(folder: Path, run: TrainedRun, *, made_of: Sequence[str], runs: Sequence[str]) -> Path:
    """Write a run of the opened one's config with the weights that its model has now; the file of the weights."""
    from scenegen.config.opened import note_vocabulary
    from scenegen.config.plan import digest
    from scenegen.runs.checkpoints import write_weights
    from scenegen.runs.folder import create_run, find_run
    from scenegen.runs.record import note_read, read_record

    create_run(folder, DictConfig(run.config), digest=digest(run.config), overrides=list(made_of))
    note_vocabulary(folder, run.dataset("train"))
    note_read(folder, sorted({stamp for name in runs for stamp in read_record(find_run(name)).read}))
    return write_weights(folder, {"model": run.model})


if __name__ == "__main__":
    main()
