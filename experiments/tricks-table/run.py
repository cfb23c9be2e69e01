"""The table of tricks from end to end: python experiments/tricks-table/run.py root=PATH

`root` is a data=folder of the 29 landscape classes with train/ and val/. One sweep per group trains each choice with
seeds 1, 2 and 3; the test maps are painted; posts are put on the base's pictures; everything is scored by two Frechet
distances, a pyramid of patches and the mask accuracy of a segmenter that no loss reads. Then summarise.py's table.

    only=PART,PART     of the sweeps' groups below, `cyclegan` (the post's training) and `scores`; without it, all
    enlarger=FOLDER    a run of model=rrdb or esrgan, for the post esrgan_x2 (docs/super_resolution.md trains one)

What is done is not done again: sweeps go on where they stopped, scores of unchanged runs are kept. Everything lands in
runs/tricks. A job that failed is named by its sweep, with the reason, and by the table as a seed that it lacks. Rows
of results.csv without scores here stay while the base comes out the same (summarise.py).
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import summarise
import torch

from scenegen.base.console import bar
from scenegen.base.documents import read_json
from scenegen.base.files import write_json
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.opened import open_run
from scenegen.config.plan import plan
from scenegen.config.posts import posts
from scenegen.config.quoting import quoted
from scenegen.config.scored import Settings
from scenegen.runs.record import read_record
from scenegen.sampling.apply_posts import apply_to_folder
from scenegen.sampling.generate import generate
from scenegen.scoring.inputs import Options, still

HOME = Path("runs/tricks")
MADE = ".made.json"
SEEDS = (1, 2, 3)
SWEEPS = {
    "base": ("trick=none",),
    "layers": ("trick=pixelshuffle,resize_conv,class_noise",),
    "rounds": ("trick=ema,diffaugment,multi_scale_gradient",),
    "grow": ("trick=grow", "trick.small.count=1", "trick.grow.steps=50", "trick.grow.fade=25"),
    "every": ("generator_every=2",),
    # The log's row is read so: two passes make the batch of the row that it compares with.
    "accumulate": ("trick=accumulate",),
    "gates": ("attention=dual,simam",),
    "positions": ("attention=self",),
    "further": ("attention=channel,danet,biggan",),
}
"""Group -> words of its sweep."""

GROUPS = ("trick", "attention", "generator_every")
POSTS = {
    "bicubic_x2": (),
    "esrgan_x2": ("post.esrgan_x2.run={enlarger}",),
    "cyclegan": ("post.cyclegan.run=tricks/cyclegan",),
    "lab": ("post.lab.style={style}",),
    "histogram": ("post.histogram.style={style}",),
    "jpeg": (),
}
"""Post -> its words."""

CYCLEGAN = (
    "model=cyclegan", "model.blocks=3", "width.ngf=16", "width.ndf=16", "size.height=64", "size.width=64",
    "batch_size=4", "optim.lr_generator=1e-3", "optim.lr_discriminator=1e-3", "steps=300", "evaluate=false",
)  # fmt: skip
"""The post's own training: pictures of the base's first seed, made from the training maps, to photographs."""

JUDGES = (
    ("fid=efficientnet", "measure=fid+mask_acc+pyramid"),
    ("fid=scenenet_photographs", "measure=fid"),
)


@dataclass(frozen=True)
class Job:
    """A trained run of the table."""

    choice: str
    seed: int
    folder: Path

    @property
    def state(self) -> str:
        """Changes where the run is another one."""
        return read_record(self.folder).config


def call(verb: str, *words: str) -> None:
    """Run a command of the product; a sweep whose jobs failed has said so, and the others are used."""
    print(f"python -m scenegen.{verb} {' '.join(words)}", flush=True)
    subprocess.run([sys.executable, "-m", f"scenegen.{verb}", *words], check=False, env=os.environ)


def train(root: Path, groups: Sequence[str]) -> None:
    """Train the groups' sweeps, or go on with them."""
    for group in groups:
        seeds = ",".join(map(str, SEEDS))
        call("train", "-m", "experiment=tricks-table", f"data.root={root}", f"seed={seeds}", "evaluate=false",
             *SWEEPS[group], f"hydra.sweep.dir={HOME / group}")  # fmt: skip


def train_cyclegan(root: Path) -> None:
    """Train the post `cyclegan`, unless that is done."""
    made = HOME / "cyclegan-source"
    first = next((job for job in jobs() if job.choice == summarise.BASE and job.seed == SEEDS[0]), None)
    if first is None:
        raise SystemExit("the base's first run is not there: let the group base end before cyclegan")
    call("sample", f"run={first.folder}", f"labels={root / 'train' / 'labels'}", f"out={made}", "fit=squash")
    if not (HOME / "cyclegan" / "config.yaml").exists():
        call("train", *CYCLEGAN, f"data.source={made}", f"data.target={root / 'train' / 'images'}",
             "name=tricks/cyclegan", f"seed={SEEDS[0]}")  # fmt: skip
    else:
        call("train", "resume=tricks/cyclegan")


def jobs() -> Iterator[Job]:
    """Runs of the sweeps that have ended well."""
    for file in sorted(HOME.glob("*/*/return.json")):
        words = dict(word.split("=", 1) for word in read_record(file.parent).overrides if "=" in word)
        chosen = [f"{group}={words[group]}" for group in GROUPS if words.get(group, "none") != "none"]
        yield Job(" ".join(chosen) or summarise.BASE, int(words["seed"]), file.parent)


def paint(job: Job) -> Path:
    """Pictures of the test maps, unless they are there."""
    out = HOME / "pictures" / f"{job.choice}-{job.seed}"
    if made_by(out) != job.state:
        run = open_run(str(job.folder))
        data = run.dataset("test")
        generate(run.model, data, out=out, indices=range(len(data)), seed=0)
        write_json(out / MADE, job.state)
    return out


def made_by(folder: Path) -> str | None:
    """State of the run, or of the run before the post, whose pictures a folder holds; None where they are not whole."""
    return read_json(folder / MADE, what="the note", cure="delete it") if (folder / MADE).exists() else None


class Held:
    """Pictures of a data set, read once and kept."""

    def __init__(self, pictures: Any) -> None:
        self.names, self.classes = pictures.names, pictures.classes
        self.samples = [pictures[i] for i in bar(range(len(pictures)), "reading")]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int, /) -> Any:
        return self.samples[index]


@cache
def bench(root: Path, side: int) -> tuple[Held, Held, list[Any]]:
    """Test maps, training photographs, and one scorer per network of a distance, at a size."""
    scorers, chosen = [], {}
    for words in JUDGES:
        chosen = plan(compose("score", [
            "generated=-", "data=folder", f"data.root={quoted(root)}", f"size.height={side}", f"size.width={side}",
            "scorer=none", "segmenter=scenenet_photographs", *words,
        ]), settings=Settings).config  # fmt: skip
        scorers.append(build.scorer(chosen, build.dataset(chosen, split="test")))
    test, train = (build.dataset(chosen, split=split) for split in ("test", "train"))
    return Held(still(test)), Held(train.reference()), scorers


def judge(pictures: Path, root: Path, *, side: int) -> dict[str, float]:
    """Name -> number of every judge."""
    maps, photographs, scorers = bench(root, side)
    options = Options(floor=False, infinity=False, cache="auto")
    scores = [one.score(pictures, maps, reference=photographs, options=options) for one in scorers]
    return {part.name: part.value for score in scores for part in score.parts.values()}


def record(job: Job, choice: str, pictures: Path, root: Path, *, against: str, side: int = 64) -> None:
    """Score pictures unless that is done, and keep what they are compared with."""
    file = HOME / "scores" / f"{choice}-{job.seed}.json"
    kept = read_json(file, what="the score", cure="delete it", shape=dict) if file.exists() else {}
    state = made_by(pictures)
    if kept.get("state") == state:
        return
    file.parent.mkdir(exist_ok=True)
    write_json(file, {"choice": choice, "seed": job.seed, "against": against, "state": state,
                      "parts": judge(pictures, root, side=side)})  # fmt: skip


def put_posts(job: Job, pictures: Path, root: Path, enlarger: str | None) -> None:
    """Every post on the base's pictures; those that enlarge are compared with bicubic enlarging, as the log did."""
    style = min((root / "train" / "images").iterdir())
    for name, words in POSTS.items():
        wanted = {"esrgan_x2": enlarger, "cyclegan": HOME / "cyclegan" / "checkpoints"}.get(name, root)
        if wanted is None or not Path(wanted).exists():
            print(
                f"post={name} is left out: {'enlarger= is not given' if wanted is None else f'{wanted} is not there'}"
            )
            continue
        filled = [word.format(enlarger=quoted(enlarger or ""), style=quoted(style)) for word in words]
        out = HOME / "pictures" / f"post={name}-{job.seed}"
        state = " ".join([job.state, *filled])
        if made_by(out) != state:
            config = plan(
                compose("post", [f"generated={quoted(pictures)}", f"out={quoted(out)}", f"post={name}", *filled])
            ).config
            apply_to_folder(pictures, out, posts(config))
            write_json(out / MADE, state)
        large = name.endswith("_x2")
        record(job, f"post={name}", out, root, side=128 if large else 64,
               against="post=bicubic_x2" if large else summarise.BASE)  # fmt: skip


def lost() -> dict[str, list[int]]:
    """Choice -> seeds that it has no score of, where there are any."""
    trained = [word.partition("=") for words in SWEEPS.values() for word in words if word.split("=")[0] in GROUPS]
    choices = [f"{group}={value}" for group, _, values in trained for value in values.split(",") if value != "none"]
    every = [summarise.BASE, *choices, *(f"post={name}" for name in POSTS)]
    found = summarise.read(HOME / "scores")
    lacking = {choice: [seed for seed in SEEDS if seed not in found.get(choice, {})] for choice in every}
    return {choice: seeds for choice, seeds in lacking.items() if seeds}


def main() -> None:
    words = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
    parts = (*SWEEPS, "cyclegan", "scores")
    only = words["only"].split(",") if "only" in words else parts
    if "root" not in words or set(words) - {"root", "only", "enlarger"} or set(only) - set(parts):
        raise SystemExit(__doc__)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    root = Path(words["root"])
    train(root, [group for group in only if group in SWEEPS])
    if "cyclegan" in only:
        train_cyclegan(root)
    if "scores" in only:
        found = sorted(jobs(), key=lambda job: job.seed)
        for job in bar(found, "scores"):
            pictures = paint(job)
            record(job, job.choice, pictures, root, against=summarise.BASE)
            if job.choice == summarise.BASE:
                put_posts(job, pictures, root, words.get("enlarger"))
        summarise.main([str(HOME / "scores")])
        for choice, seeds in lost().items():
            print(f"no score of {choice}, seed {', '.join(map(str, seeds))}: not run here, or overview.csv says why")


if __name__ == "__main__":
    main()
