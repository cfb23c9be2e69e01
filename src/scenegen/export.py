"""Write a run as a folder to pass on: python -m scenegen.export run=NAME out=FOLDER"""

from __future__ import annotations

import copy
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from omegaconf import DictConfig

from scenegen.base.refusal import Refusal
from scenegen.cli.entry import command

if TYPE_CHECKING:
    import torch

    from scenegen.base.records import SceneModel
    from scenegen.config.opened import TrainedRun
    from scenegen.sampling.graph import Graph

MINE = ("name", "resume", "start_from", "extensions")
"""Keys of a config that mean something only where the run was trained."""

MOST_OFF = 4.0
"""Grey levels by which half floats may change a pixel of a picture; trained networks are off by 0.1."""

FILES = {"onnx": "model.onnx", "torchscript": "model.pt"}
"""Format -> the graph's file."""


@dataclass(frozen=True)
class Settings:
    """The values of conf/export.yaml, documented there."""

    run: str
    checkpoint: str | None
    out: str
    format: Literal["safetensors", "onnx", "torchscript"]
    pictures: str | None
    terms: str | None
    limits: str | None


@command("export")
def main(cfg: DictConfig) -> None:
    export(cfg)


def export(cfg: DictConfig) -> Path:
    """Write the run that a composed conf/export.yaml names as a folder to pass on; the folder is returned."""
    from scenegen.config.opened import open_run
    from scenegen.config.plan import plan, read_settings

    chosen: Settings = read_settings(Settings, plan(cfg, settings=Settings).config)
    out = Path(chosen.out).expanduser()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Refusal(f"out={chosen.out} exists and is no empty folder; give another one")
    run = open_run(chosen.run, checkpoint=chosen.checkpoint)
    _require_whole(run, chosen)
    return (_export_folder if chosen.format == "safetensors" else _export_graph)(chosen, run, out)


def _export_folder(chosen: Settings, run: TrainedRun, out: Path) -> Path:
    """Write a run as a run, with a card; nothing stays where it does not paint what the run paints."""
    import torch
    from omegaconf import OmegaConf

    from scenegen.base.console import printable
    from scenegen.config.opened import note_vocabulary, open_run
    from scenegen.config.plan import digest
    from scenegen.reporting import cards
    from scenegen.runs import released
    from scenegen.runs.folder import WEIGHTS, create_run

    config = _elsewhere(run.config)
    precision = precision_of(run.model)
    floats = "half floats" if precision == torch.float16 else "floats"
    facts = {"data": chosen.pictures or "not stated", "terms": chosen.terms or "not stated"}
    out.mkdir(parents=True, exist_ok=True)
    try:
        create_run(out, OmegaConf.create(config), digest=digest(config), overrides=[])
        note_vocabulary(out, run.vocabulary)
        weights = released.write(out, run.model.state_dict(), step=run.step, facts=facts, precision=precision)
        off = _largest_difference(run, open_run(str(out)))
        if not off <= MOST_OFF:
            raise Refusal(f"{floats} of run={chosen.run} paint up to {off:.1f} of 255 grey levels beside it, so it "
                          "was not passed on; pass on the run's own folder")  # fmt: skip
    except Refusal:
        shutil.rmtree(out)
        raise
    count = sum(value.numel() for value in run.model.state_dict().values())
    seen = run.step * int(config.get("batch_size", 1))
    own = {"count": count / 1e6, "mib": weights.stat().st_size / 2**20, "seen": seen, "off": off}
    own |= {"floats": floats, "use": cards.use(run.model)}
    _write_card(cards.CARD, chosen, run, out, **own)
    print(f"{printable(str(out))}: {WEIGHTS} of {weights.stat().st_size / 2**20:.1f} MiB and a card to read and mend")
    print(f"checked: opened anew it paints what the run paints, up to {off:.2f} of 255 grey levels in one picture")
    return out


def precision_of(model: SceneModel) -> torch.dtype:
    """Precision in which a model's weights are passed on.

    Matching exemplars divides by a temperature of 0.01, and so multiplies what half floats lose by a hundred.
    """
    import torch

    return torch.float32 if "exemplar" in model.reads else torch.float16


def _export_graph(chosen: Settings, run: TrainedRun, out: Path) -> Path:
    """Write a run's model as one graph, with a card; nothing stays where it does not paint what the run paints."""
    from scenegen.base.console import printable
    from scenegen.config.opened import note_vocabulary
    from scenegen.reporting import cards
    from scenegen.sampling.graph import difference, write_onnx, write_torchscript

    graph = graph_of(run)
    out.mkdir(parents=True, exist_ok=True)
    file = out / FILES[chosen.format]
    try:
        opened = {"onnx": write_onnx, "torchscript": write_torchscript}[chosen.format](graph, file)
        found = difference(graph, opened)
        if not found.close:
            raise Refusal(f"the graph of run={chosen.run} paints {found}, so it was not passed on; use "
                          "format=safetensors")  # fmt: skip
    except Refusal:
        shutil.rmtree(out)
        raise
    note_vocabulary(out, run.vocabulary)
    last = len(run.vocabulary) - 1
    own = {
        "kind": chosen.format,
        "unchecked": f" It looks at no id: check that they lie in 0..{last}." if run.model.num_classes else "",
        "code": cards.code(chosen.format, graph.inputs),
        "inputs": "; ".join(each.spelt for each in graph.inputs),
        "output": cards.output(graph.depth),
        "checked": found,
    }
    _write_card(cards.GRAPH_CARD, chosen, run, out, **own)
    print(f"{printable(str(file))}: {file.stat().st_size / 2**20:.1f} MiB, and a card to read and mend")
    print(f"checked: opened anew it paints what the run paints, {found}")
    return out


def graph_of(run: TrainedRun) -> Graph:
    """A run's model as a function of tensors; slices in Hounsfield units, and with the run that it paints over."""
    from scenegen.config.opened import open_run
    from scenegen.config.opened_slices import depth_of
    from scenegen.networks.generators.hole_filler import OverCoarse
    from scenegen.sampling.graph import Graph

    size = run.config["size"]["height"], run.config["size"]["width"]
    coarse = run.model.coarse if isinstance(run.model, OverCoarse) else None
    return Graph(
        run.model,
        size=size,
        depth=depth_of(run) if run.model.channels == 1 else None,
        coarse=None if coarse is None else open_run(coarse).model,
    )


def _write_card(card: str, chosen: Settings, run: TrainedRun, out: Path, **own: Any) -> None:
    """Write the card of a folder: what every card says of a run, and what its form says alone."""
    from scenegen.base.files import whole
    from scenegen.reporting import cards
    from scenegen.runs.folder import CARD

    size = run.config["size"]
    text = card.format(
        name=out.resolve().name,
        model=type(run.model).__name__,
        step=run.step,
        size="slices of any size, trained on " * (run.model.channels == 1) + f"{size['width']}x{size['height']}",
        reads=cards.reads(run.model),
        makes=cards.makes(run.model),
        classes=", ".join(f"{i} {name}" for i, name in enumerate(run.vocabulary.classes.names))
        if run.model.num_classes
        else "none are read",
        data=chosen.pictures or "not stated",
        terms=chosen.terms or "not stated",
        scores=_scores(run.folder),
        limits=chosen.limits or "not stated",
        **own,
    )
    with whole(out / CARD) as part:
        part.write_text(text, encoding="utf-8")


def _elsewhere(config: dict[str, Any]) -> dict[str, Any]:
    """A config without the paths and names of the machine that it comes from."""
    plain = copy.deepcopy({key: None if key in MINE else value for key, value in config.items()})
    for group in ("data", "exemplar"):
        node = plain.get(group)
        if isinstance(node, dict):
            plain[group] = {k: None if isinstance(v, str) and ("/" in v or "\\" in v) else v for k, v in node.items()}
    for weights in _nodes(plain):
        if isinstance(weights.get("folder"), str):
            weights["folder"] = None
    return plain


def _nodes(tree: Any) -> list[dict[str, Any]]:
    """Every mapping of a tree."""
    if isinstance(tree, dict):
        return [tree, *(node for value in tree.values() for node in _nodes(value))]
    return [node for value in tree for node in _nodes(value)] if isinstance(tree, list) else []


def _require_whole(run: TrainedRun, chosen: Settings) -> None:
    """Refuse runs that what is asked for does not hold.

    Raises:
        Refusal: a model that reads label maps off pictures, or a folder of one that paints over another run's
            completions.
    """
    from scenegen.networks.generators.hole_filler import OverCoarse

    if "logits" in run.model.offers:
        raise Refusal(f"run={chosen.run} reads label maps off pictures, and is passed on as the one file that its "
                      "training wrote into its folder; name a run that paints pictures")  # fmt: skip
    if chosen.format == "safetensors" and isinstance(run.model, OverCoarse) and run.model.coarse is not None:
        raise Refusal(f"run={chosen.run} paints over the completions of run {run.model.coarse}, which one folder does "
                      "not hold; pass on the folders of both runs, or one graph of both "
                      "(format=onnx or torchscript)")  # fmt: skip


def _largest_difference(run: TrainedRun, other: TrainedRun) -> float:
    """Largest difference, in grey levels, of the pictures that two runs paint of one drawn input."""
    import torch

    from scenegen.sampling.generate import draw_noise
    from scenegen.sampling.inputs import batch_of, inputs_of

    size = run.config["size"]["height"], run.config["size"]["width"]
    drawn = {each.name: each.example(1, seed=place) for place, each in enumerate(inputs_of(run.model, size=size))}
    noise = draw_noise(run.model, ("drawn",), [0], 0)
    with torch.no_grad():
        ours, theirs = (
            part.model.sample(batch_of(part.model, drawn, name=("drawn",)), noise=noise).image for part in (run, other)
        )
    return float((ours.clamp(-1, 1) - theirs.clamp(-1, 1)).abs().max()) * 127.5  # as files hold them


def _scores(folder: Path) -> str:
    """The run's scores with their protocol, in words."""
    from scenegen.config.stored import read_config
    from scenegen.reporting.results import read
    from scenegen.runs.folder import RESULT

    if not (folder / RESULT).is_file():
        return "none recorded; score its pictures with scenegen.score"
    result = read(folder, read_config=read_config)
    return (
        ", ".join(f"{role} {value:.4g}" for role, value in result.parts.items())
        + f" (protocol {result.record['protocol']['id']})"
    )


if __name__ == "__main__":
    main()
