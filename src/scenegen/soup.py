"""Average the weights of checkpoints that a held-back measure chooses: python -m scenegen.soup runs=[a] name=a-soup"""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import DictConfig

from scenegen.base.refusal import Refusal
from scenegen.cli.entry import command


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
    import torch
    from omegaconf import OmegaConf

    from scenegen.base.console import bar, printable
    from scenegen.base.pictures import to_uint8
    from scenegen.config import build
    from scenegen.config.opened import note_vocabulary, open_run
    from scenegen.config.plan import digest, plan, read_settings
    from scenegen.data.samples import collate
    from scenegen.metrics.frechet import Moments, frechet
    from scenegen.runs.checkpoints import load, model_state, write_weights
    from scenegen.runs.folder import checkpoints_of, create_run, find_run, require_free, step_of
    from scenegen.runs.names import place_of
    from scenegen.runs.record import note_choice
    from scenegen.sampling.sheets import spread
    from scenegen.sampling.soup import chosen, mean_state, mixed_state, renew

    config = plan(cfg, settings=Settings).config
    settings: Settings = read_settings(Settings, config)
    folder = place_of(settings.name)
    require_free(folder)
    if settings.shares is not None:
        newest = {name: checkpoints_of(find_run(name))[-1:] for name in settings.runs}
        if absent := [name for name, found in newest.items() if not found]:
            raise Refusal(f"run {absent[0]} keeps no checkpoint to mix; train it, or name another in runs=")
        state = mixed_state({name: model_state(load(path), path=path) for name, (path,) in newest.items()},
                            settings.shares)  # fmt: skip
        run = open_run(settings.runs[0], device=settings.device)
        run.model.load_state_dict(state)
        parts = [f"{share:g} of {name}" for share, name in zip(settings.shares, settings.runs, strict=True)]
        create_run(folder, OmegaConf.create(run.config), digest=digest(run.config), overrides=parts)
        note_vocabulary(folder, run.dataset("train"))
        path = write_weights(folder, {"model": run.model})
        print(f"{printable(str(path))}: {printable(' + '.join(parts))}; next: python -m scenegen.sample run="
              f"{settings.name}")  # fmt: skip
        return
    files = {f"{name}/{step_of(path)}": path for name in settings.runs for path in checkpoints_of(find_run(name))}
    if len(files) < 2:
        raise Refusal(
            f"runs=[{','.join(settings.runs)}] keep {len(files)} checkpoint, and a soup needs 2 or more; name more "
            "runs of the model in runs=, or train one that keeps more of them"
        )
    states = {name: model_state(load(path), path=path) for name, path in files.items()}
    mean_state(states)  # refuses unlike ones before anything is painted
    run = open_run(settings.runs[0], device=settings.device)
    train, test = run.dataset("train"), run.dataset("test")
    if len(test) < 4:
        raise Refusal(f"the data of run {settings.runs[0]} has {len(test)} test maps, and a choice needs 4 or more")
    judge = build.make(config["fid"]).to(settings.device)

    def batches(data, indices: list[int]) -> list:
        size = settings.batch_size
        groups = [indices[k : k + size] for k in range(0, len(indices), size)]
        return [collate([data[(0, i)] for i in group]).to(settings.device) for group in groups]

    looked = spread(len(test), min(settings.count, len(test)))
    held = {"chooses": batches(test, looked[0::2]), "looks again": batches(test, looked[1::2])}
    shown = batches(train, spread(len(train), min(len(train), settings.batches * settings.batch_size)))

    @torch.no_grad()
    def moments(pictures: list) -> Moments:
        return Moments.of(torch.cat([judge(to_uint8(images)).float().cpu() for images in pictures]))

    photographs = {half: moments([b.require("image") for b in group]) for half, group in held.items()}

    def distance(names: list[str], half: str) -> float:
        run.model.load_state_dict(mean_state({name: states[name] for name in names}))
        if len(names) > 1:
            renew(run.model, shown, seed=settings.seed)
        painted = [run.model.paint(batch, seed=settings.seed + k).image for k, batch in enumerate(held[half])]
        return float(frechet(moments(painted), photographs[half]))

    alone = {name: distance([name], "chooses") for name in bar(files, "checkpoints")}
    order = sorted(alone, key=alone.__getitem__)
    kept, best = chosen(order, lambda names: distance(list(names), "chooses"), alone=alone)
    for name in order:
        print(printable(f"{name}: distance {alone[name]:.4f}{'  in the soup' if name in kept else ''}"))
    # the soup comes last, so that the model is left with its weights
    again = {names: distance(list(names), "looks again") for names in dict.fromkeys([(order[0],), tuple(kept)])}
    print(
        f"soup of {len(kept)}: {best:.4f} against {alone[order[0]]:.4f} of the best alone on the maps that chose, "
        f"{again[tuple(kept)]:.4f} against {again[(order[0],)]:.4f} on the others"
    )
    create_run(
        folder, OmegaConf.create(run.config), digest=digest(run.config), overrides=[f"soup of {n}" for n in kept]
    )
    note_vocabulary(folder, train)
    note_choice(folder, [test.names[i] for i in looked[0::2]])
    path = write_weights(folder, {"model": run.model})
    print(f"{printable(str(path))}; next: python -m scenegen.sample run={settings.name}")


if __name__ == "__main__":
    main()
