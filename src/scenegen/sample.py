"""Make pictures from label maps with a trained run: python -m scenegen.sample run=NAME"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from omegaconf import DictConfig

from scenegen.base.refusal import Refusal
from scenegen.cli.entry import command

if TYPE_CHECKING:
    from scenegen.base.records import Discriminator
    from scenegen.config.opened import TrainedRun
    from scenegen.data.own_maps import Notice
    from scenegen.data.samples import Pairs
    from scenegen.posts.post import Post
    from scenegen.scoring.judges.protocols import Describing

    Wanted = tuple[int, int] | Literal["training", "own"]

READ = ("labels", "instances", "exemplars", "style", "checkpoint", "pictures", "masks")
"""Options that name files or folders of the user's."""


@dataclass(frozen=True)
class Settings:
    """The values of conf/sample.yaml, documented there."""

    run: str
    checkpoint: str | None
    labels: str | None
    instances: str | None
    exemplars: str | None
    out: str | None
    style: str | None
    pictures: str | None
    masks: str | None
    hole: Literal["white", "black"]
    most: float
    raw: bool
    rank: Literal["none", "discriminator"]
    best_of: int
    fit: Literal["refuse", "crop", "squash"]
    seed: int
    n_per_label: int
    count: int | None
    batch_size: int
    device: str
    lookup: bool | str
    precision: Literal["float32", "bf16"]
    sheet: int

    def __post_init__(self) -> None:
        for name in ("n_per_label", "batch_size", "best_of"):
            if getattr(self, name) < 1:
                raise Refusal(f"{name}={getattr(self, name)} must be 1 or more")
        if self.count is not None and self.count < 1:
            raise Refusal(f"count={self.count} must be 1 or more, or null for all")
        if self.sheet < 0:
            raise Refusal(f"sheet={self.sheet} must be 0 (no contact sheet) or more")
        if self.lookup not in (True, False, "auto"):
            raise Refusal(f"lookup={self.lookup} is not known; use auto, true or false")
        if self.precision not in ("float32", "bf16"):
            raise Refusal(f"precision={self.precision} is not known; use float32 or bf16")
        if self.fit != "refuse" and self.labels is None and self.style is None and self.pictures is None:
            raise Refusal(f"fit={self.fit} is for labels=FOLDER, pictures=FOLDER and style=FILE; the run's own test "
                          "maps are framed by the data.fit that it was trained with")  # fmt: skip
        if self.rank not in ("none", "discriminator"):
            raise Refusal(f"rank={self.rank} is not known; use none or discriminator")
        if self.rank != "none" and self.n_per_label < 2:
            raise Refusal(f"rank={self.rank} orders several results of one picture; give n_per_label=2 or more")
        if self.best_of > 1 and (self.n_per_label > 1 or self.style is not None):
            given = f"style={self.style}" if self.style is not None else f"n_per_label={self.n_per_label}"
            raise Refusal(f"best_of={self.best_of} chooses one seed for one picture per map, and {given} asks for "
                          "something else; leave one of them out")  # fmt: skip
        if not 0 < self.most <= 1:
            raise Refusal(f"most={self.most} must lie in (0, 1]: the greatest share of a picture that a mask may hide")

    def reads(self) -> dict[str, Path]:
        """Option -> file or folder of the user's that is read."""
        named = {name: getattr(self, name) for name in READ}
        return {name: Path(value).expanduser() for name, value in named.items() if value is not None}


@dataclass(frozen=True)
class Tries:
    """Seeds of a run, tried by its own Frechet judge against the photographs that it was trained on.

    Attributes:
        run: with noise.
        chosen: `best_of` seeds from `seed` on.
        judge: describes pictures.
    """

    run: TrainedRun
    chosen: Settings
    judge: Describing

    @classmethod
    def of(cls, run: TrainedRun, chosen: Settings) -> Tries:
        """Refuse a model without noise, and a run that names no such judge, before anything is written."""
        from scenegen.config import build

        option, name = f"best_of={chosen.best_of}", run.folder.name
        if run.model.noise_shape is None:
            raise Refusal(f"{option} tries seeds, but run {name} makes one picture per label map (it has no noise); "
                          "name a run of a model with noise, as GauGAN with its VAE, or give best_of=1")  # fmt: skip
        if not run.config.get("fid"):
            raise Refusal(f"{option} needs a judge, but run {name} was trained without a Frechet judge; give best_of=1")
        return cls(run, chosen, build.make(run.config["fid"]).to(chosen.device))

    def best(self, data: Any, indices: Sequence[int]) -> tuple[int, str]:
        """The best seed for some of the label maps, and a sentence about all seeds."""
        from scenegen.base.console import bar
        from scenegen.metrics.frechet import Moments
        from scenegen.sampling.tries import best_seed, distance_of
        from scenegen.scoring.inputs import Options
        from scenegen.scoring.reference import reference_of

        photos = self.run.dataset("train").reference()
        options = Options(cache="auto", device=self.chosen.device)
        real = Moments.of(reference_of(photos, fid=self.judge, options=options, track=bar).features)
        distance = partial(
            distance_of,
            self.run.model,
            data,
            describe=self.judge,
            real=real,
            indices=indices,
            batch_size=self.chosen.batch_size,
            device=self.chosen.device,
        )
        first = self.chosen.seed
        return best_seed(range(first, first + self.chosen.best_of), lambda seed: distance(seed=seed),
                         title=self.judge.title, track=bar)  # fmt: skip


@dataclass(frozen=True)
class Beside:
    """Files beside the folder of pictures; None is not written.

    Attributes:
        sheet: the contact sheet.
        exemplars: picture -> the exemplar that it was painted by.
        results: picture -> how it differs from the others of its map, and the discriminator's score.
    """

    sheet: Path | None
    exemplars: Path | None
    results: Path | None

    @classmethod
    def of(cls, out: Path, run: TrainedRun, data: Pairs, chosen: Settings) -> Beside:
        """What the choices ask for, beside `out`."""
        wanted = {
            "sheet.png": chosen.sheet > 0,
            "exemplars.json": data.has_exemplars,
            "results.json": run.fills_holes and chosen.n_per_label > 1,
        }
        return cls(*(out.with_name(f"{out.name}_{name}") if asked else None for name, asked in wanted.items()))

    def take(
        self,
        out: Path,
        data: Pairs,
        indices: Sequence[int],
        *,
        made: dict[str, Any],
        chosen: Settings,
        notes: list[str],
    ) -> None:
        """Make sure that all may be written, and tell what there is to know of the inputs."""
        from scenegen.base.console import printable
        from scenegen.base.outputs import take_folder
        from scenegen.sampling.generate import file_name

        n = chosen.n_per_label
        take_folder(
            out,
            made=made,
            files=[file_name(data.names[i], k, n_per_label=n) for i in indices for k in range(n)],
            reads=chosen.reads(),
            beside=[path for path in (self.sheet, self.exemplars, self.results) if path is not None],
            notes=notes,
        )
        for note in notes:
            print(printable(note))

    def write(
        self,
        data: Pairs,
        files: Sequence[Path],
        *,
        indices: Sequence[int],
        count: int | None,
        n: int,
        run: TrainedRun,
        judge: Discriminator | None,
    ) -> list[str]:
        """Write the JSON files; sentences about them."""
        from scenegen.base.files import write_json
        from scenegen.config.opened_holes import filler
        from scenegen.sampling.results import look_at, sentence

        if self.exemplars is not None:
            write_json(self.exemplars, {name: data.exemplar_names()[name] for name in data.names[:count]})
        if self.results is None:
            return []
        found = look_at(data, files, indices=indices, n=n, model=filler(run, option="results"), judge=judge)
        write_json(self.results, {result.name: result.as_dict() for result in found})
        return [sentence(found)]


@command("sample")
def main(cfg: DictConfig) -> None:
    from scenegen.base.console import printable
    from scenegen.config.groups import Size
    from scenegen.config.opened import open_run
    from scenegen.config.opened_holes import filler, open_judge
    from scenegen.config.plan import plan, read_settings
    from scenegen.config.posts import posts as chosen_posts
    from scenegen.networks.layers.lookup import look_up, looks_up
    from scenegen.runs.folder import made_folder
    from scenegen.runs.released import home_of
    from scenegen.sampling.generate import generate, require_options

    config = plan(cfg, settings=Settings).config
    chosen: Settings = read_settings(Settings, config)
    posts = chosen_posts(config)
    size = read_settings(Size, config["size"]).wanted
    run = open_run(chosen.run, checkpoint=chosen.checkpoint, device=chosen.device)
    lookup = chosen.device == "cpu" and looks_up(run.model) if chosen.lookup == "auto" else chosen.lookup
    if lookup:
        look_up(run.model, wide=chosen.precision == "float32")
    notes: list[str] = []
    style = run.style(chosen.style, fit=chosen.fit, notice=notes.append) if chosen.style else None
    n = chosen.n_per_label
    require_options(run.model, n_per_label=n, style=style, posts=posts)
    if chosen.raw or chosen.rank != "none":
        filler(run, option="raw=true" if chosen.raw else f"rank={chosen.rank}")
    data = read_inputs(run, chosen, size=size, notice=notes.append)
    judge = open_judge(run, checkpoint=chosen.checkpoint) if chosen.rank == "discriminator" else None
    indices = list(range(len(data)))[: chosen.count]
    tries = Tries.of(run, chosen) if chosen.best_of > 1 else None
    made = recipe_of(run, chosen, size=size, posts=posts, judges=[tries.judge.stamp] if tries is not None else [])
    out = made_folder(home_of(run.folder), made) if chosen.out is None else Path(chosen.out)
    beside = Beside.of(out, run, data, chosen)
    beside.take(out, data, indices, made=made, chosen=chosen, notes=notes)
    seed = chosen.seed
    if tries is not None:
        seed, told = tries.best(data, indices)
        print(told)
    files = generate(
        run.model,
        data,
        out=out,
        indices=indices,
        seed=seed,
        batch_size=chosen.batch_size,
        n_per_label=n,
        style=style,
        posts=posts,
        raw=chosen.raw,
        precision=chosen.precision,
        device=chosen.device,
    )
    sentences = beside.write(data, files, indices=indices, count=chosen.count, n=n, run=run, judge=judge)
    by = f"run {run.folder.name}, step {run.step}{', lookup' * bool(lookup)}"
    print(*sentences, f"{len(files)} pictures in {printable(str(out))} ({by})", sep="\n")
    if beside.sheet is not None:
        write_sheet(beside.sheet, data, files, indices=indices, count=chosen.sheet, n=n, notes=notes)


def read_inputs(run: TrainedRun, chosen: Settings, *, size: Wanted, notice: Notice) -> Pairs:
    """What is painted: the user's label maps, pictures with masks or slices, or the run's own test maps."""
    from scenegen.config.opened_holes import pictures_with_masks
    from scenegen.config.opened_slices import slices_of

    if chosen.pictures is not None and run.model.channels == 1:
        return slices_of(run, chosen.pictures, masks=chosen.masks)
    if chosen.pictures is not None or chosen.masks is not None:
        rules = {name: getattr(chosen, name) for name in ("hole", "most", "fit")}
        return pictures_with_masks(run, chosen.pictures, chosen.masks, chosen.labels, notice=notice, **rules)
    named = {name: getattr(chosen, name) for name in ("labels", "exemplars", "instances", "fit")}
    return run.inputs(size=size, notice=notice, **named)


def recipe_of(
    run: TrainedRun, chosen: Settings, *, size: Wanted, posts: Sequence[Post], judges: Sequence[str]
) -> dict[str, Any]:
    """What made the pictures, as it is written beside them; equal choices share a folder.

    `judges` are the stamps of those that choose the noise: like those that training read, they mark later scores.
    """
    from scenegen.runs.record import read_record

    reads = chosen.reads()
    made = {
        "command": "sample",
        "run": str(run.folder.resolve()),
        "step": run.step,
        **{name: str(reads[name].resolve()) if name in reads else None for name in READ},
        **{name: getattr(chosen, name) for name in ("fit", "seed", "n_per_label", "count")},
        **({name: getattr(chosen, name) for name in ("hole", "raw", "rank")} if run.fills_holes else {}),
        **({"precision": chosen.precision} if chosen.precision != "float32" else {}),
        "size": size if isinstance(size, str) else list(size),
        "posts": [post.stamp for post in posts],
    }
    record = read_record(run.folder)
    further = {"best_of": chosen.best_of if judges else None, "chosen_on": record.chosen_on,
               "read": sorted({*record.read, *judges})}  # fmt: skip
    return made | {name: value for name, value in further.items() if value}


def write_sheet(
    path: Path,
    data: Pairs,
    files: Sequence[Path],
    *,
    indices: Sequence[int],
    count: int,
    n: int,
    notes: Sequence[str],
) -> None:
    """Write the contact sheet: `count` maps, spread over all, with the `n` pictures of each."""
    from scenegen.base.console import printable
    from scenegen.base.pictures import save_png
    from scenegen.sampling.sheets import draw_sheet, spread

    shown = spread(len(indices), count)
    painted = [files[place * n + k] for place in shown for k in range(n)]
    save_png(path, draw_sheet(data, painted, indices=[indices[place] for place in shown], n_per_label=n, notes=notes))
    print(f"contact sheet: {printable(str(path))}")


if __name__ == "__main__":
    main()
