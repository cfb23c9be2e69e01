"""Turn the authors' checkpoints into a run: python -m scenegen.convert source=spade files=FOLDER name=NAME"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from scenegen.base.refusal import Refusal
from scenegen.cli.entry import command

if TYPE_CHECKING:
    from torch import Tensor

    from scenegen.base.records import SceneModel


@dataclass(frozen=True)
class Settings:
    """The scalars at the root of conf/convert.yaml, documented there."""

    files: str | dict[str, str]
    epoch: str | int
    classes: str
    edges: bool
    name: str
    seed: int


@command("convert")
def main(cfg: DictConfig) -> None:
    convert(cfg)


def convert(cfg: DictConfig) -> Path:
    """Read the files that a composed conf/convert.yaml names, and write the run; its folder is returned."""
    import torch
    from omegaconf import OmegaConf

    from scenegen.base.console import printable
    from scenegen.config import build
    from scenegen.config.opened import Vocabulary, note_vocabulary
    from scenegen.config.plan import plan, read_settings
    from scenegen.data.layouts import named_classes
    from scenegen.networks.interop import JUDGES, find_files, load_official
    from scenegen.runs.checkpoints import write_weights
    from scenegen.runs.folder import create_run
    from scenegen.runs.names import place_of

    chosen = plan(cfg, settings=Settings)
    settings: Settings = read_settings(Settings, chosen.config)
    folder = place_of(settings.name)
    vocabulary = Vocabulary(named_classes(settings.classes), has_instances=settings.edges)
    model = build.model(chosen.config, vocabulary)
    if settings.edges and "instance" not in model.reads:
        raise Refusal(f"edges=true: {type(model).__name__} sees no instance edges; leave it out")
    judge = build.discriminator(chosen.config, model)
    files = find_files(settings.files, epoch=str(settings.epoch))
    states = {letter: _read(path, model) for letter, path in files.items()}
    judged = {letter: states.pop(letter) for letter in JUDGES if letter in states}
    read = ", ".join(f"{letter} {path.name}" for letter, path in files.items())
    try:
        load_official(model, states)
    except Refusal as refusal:
        raise Refusal(f"files={settings.files} ({read}): {refusal}") from refusal
    networks: dict[str, torch.nn.Module] = {"model": model}
    if judged and judge is not None:
        load_official(judge, judged["D"] if judged.keys() == {"D"} else judged)
        networks["discriminator"] = judge
    # resolved: the record must not depend on a later command line
    create_run(
        folder,
        OmegaConf.create(chosen.config),
        digest=chosen.digest,
        overrides=[f"{k}={path}" for k, path in files.items()],
    )
    note_vocabulary(folder, vocabulary)
    path = write_weights(folder, networks)
    count = sum(p.numel() for p in model.parameters())
    print(f"{printable(read)}: every key fits, none is left over")
    print(f"{path}: {count:,} parameters; next: {_next_command(model, run=settings.name)}")
    return folder


def _next_command(model: SceneModel, *, run: str) -> str:
    """What uses such a run."""
    from scenegen.networks.generators.hole_filler import HoleFiller
    from scenegen.networks.generators.rrdb import SuperResolution

    named = shlex.quote(f"run={run}")
    if isinstance(model, HoleFiller):
        return f"python -m scenegen.sample {named} pictures=FOLDER masks=FOLDER n_per_label=4"
    if model.channels == 1:
        return f"python -m scenegen.sample {named} pictures=FOLDER"
    if model.reads == {"source"}:
        post = f"esrgan_x{model.scale}" if isinstance(model, SuperResolution) else "cyclegan"
        return f"python -m scenegen.post generated=FOLDER out=FOLDER post={post} post.{post}.{named}"
    exemplars = " exemplars=FOLDER" if "exemplar" in model.reads else ""
    return f"python -m scenegen.sample {named} labels=FOLDER{exemplars}"


def _read(path: Path, model: SceneModel) -> dict[str, Tensor]:
    """A state dict; ncnn's files hold no names, so the model's own are taken in their order."""
    from scenegen.networks.frozen.ncnn import is_ncnn, read_ncnn
    from scenegen.networks.generators.rrdb import SuperResolution
    from scenegen.networks.interop import read_official

    if isinstance(model, SuperResolution) and is_ncnn(path):
        return read_ncnn(path, model.generator)
    return read_official(path)


if __name__ == "__main__":
    main()
