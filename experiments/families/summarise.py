"""Table and pictures of the families: python experiments/families/summarise.py runs/families

One run per family, all with the same maps, pictures seen and steps; the intervals are over the test pictures, so they
say nothing of what another seed would give. Models with exemplars are sampled twice: with the exemplars that they were
trained with (those of the index), and with random training pictures. The style error (scenegen.metrics.style) is told
as a share: 0 where the picture's style is read as well as a real picture's, 1 where the exemplar is not heeded. Models
without exemplars are measured against those of the index too, and should be near 1.

Time and memory are of networks at their start, on this CPU with one thread: CPU seconds of a step, families in turn.
"""

from __future__ import annotations

import argparse
import csv
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from costs import costs, quiet  # pyright: ignore[reportMissingImports] (beside this script)
from PIL import Image
from torch import Tensor

from scenegen.base.files import write_json
from scenegen.base.pictures import colour_labels, save_png, to_array
from scenegen.config import build
from scenegen.config.opened import TrainedRun, open_run
from scenegen.data.samples import collate
from scenegen.metrics.style import style_error
from scenegen.runs.folder import RECORD, RESULT
from scenegen.sampling.generate import generate
from scenegen.sampling.sheets import contact_sheet, spread
from scenegen.scoring.inputs import Options, still

ORDER = ("gaugan", "sasame", "oasis", "cocosnetv1", "cocosnetv2", "unite")
AT_RANDOM = {"_target_": "scenegen.data.exemplars.choose.at_random"}
SHOWN, ROUNDS = 8, 4
TABLE = {
    "family": "{}",
    "exemplar": "{}",
    "total": "{:.4f}",
    "interval": "{}",
    "mask_acc": "{:.3f}",
    "aesthetic_standin": "{:.2f}",
    "fid_scenenet": "{:.1f}",
    "style_error": "{:.3f}",
    "style_share": "{:.2f}",
    "parameters_g": "{:.2f}",
    "parameters_d": "{:.2f}",
    "multiply_adds": "{:.2f}",
    "step_seconds": "{:.3f}",
    "memory_mib": "{:.0f}",
}
HEADS = {
    "interval": "95 %", "aesthetic_standin": "aesthetic (stand-in)", "fid_scenenet": "FID(scenenet)",
    "style_error": "style error", "style_share": "as share", "parameters_g": "M parameters, G",
    "parameters_d": "and D", "multiply_adds": "G multiply-adds a picture", "step_seconds": "CPU s per step",
    "memory_mib": "peak MiB",
}  # fmt: skip


@dataclass(frozen=True)
class Painted:
    """A run's pictures of the test maps.

    Attributes:
        family: name of the model.
        exemplar: "none", "IoU" or "random".
        run: the run.
        data: the test maps, with the exemplars that were painted with.
        folder: of the pictures.
        result: as in result.json.
    """

    family: str
    exemplar: str
    run: TrainedRun
    data: Any
    folder: Path
    result: dict[str, Any]


def painted(folder: Path) -> list[Painted]:
    """What a finished run painted, and with exemplars what it paints with random ones."""
    run = open_run(str(folder))
    family = dict(o.split("=", 1) for o in json.loads((folder / RECORD).read_text())["overrides"])["model"]
    result = json.loads((folder / RESULT).read_text())
    own = Painted(family, "none", run, run.dataset("test"), folder / "samples", result)
    return [replace(own, exemplar="IoU"), at_random(own)] if run.takes_exemplars else [own]


def at_random(own: Painted) -> Painted:
    """The same run with random exemplars, scored as it was."""
    run, file = own.run, own.folder.with_name("random.json")
    config = {**run.config, "exemplar": AT_RANDOM}
    data = build.dataset(config, split="test")
    out = own.folder.with_name("samples_random")
    if not file.is_file():
        generate(run.model, data, out=out, indices=range(len(data)), seed=config["seed"])
        score = build.scorer(config, data).score(
            out,
            still(data),
            reference=still(run.dataset("train")),
            styles=data.exemplar_names(),
            options=Options(seed=config["seed"], extra="ignore", config_hash=own.result["config"]),
        )
        write_json(file, score.as_dict())
    return Painted(own.family, "random", run, data, out, json.loads(file.read_text()))


@functools.cache
def known(run_config: str, split: str) -> tuple[Tensor, tuple[dict[str, float], ...]]:
    """The real pictures of a split, unmirrored, and their styles."""
    source = build.dataset(json.loads(run_config), split=split).source
    pictures = [np.asarray(source.load(i).image) for i in range(len(source))]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2), tuple(source.styles)


def style_of(one: Painted, exemplars: Mapping[str, str]) -> dict[str, float]:
    """The style error of pictures against the styles of their exemplars, and its share."""
    config = json.dumps({**one.run.config, "exemplar": None}, sort_keys=True)
    train, test = known(config, "train"), known(config, "test")
    styles = dict(zip(build.dataset(json.loads(config), split="train").names, train[1], strict=True))
    made = [np.asarray(Image.open(one.folder / f"{name}.png").convert("RGB")) for name in exemplars]
    generated = torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2)
    found = style_error(generated, [styles[name] for name in exemplars.values()], train=train, test=test)
    error, floor, ceiling = found.means
    return {"style_error": error, "style_floor": floor, "style_ceiling": ceiling, "style_share": found.share}


def row(one: Painted, exemplars: Mapping[str, str], cost: Mapping[str, float]) -> dict[str, Any]:
    """One line of the table."""
    result = one.result
    parts = {name.split("(")[0].lower(): part["value"] for name, part in result["parts"].items()}
    low, high = result["total_interval95"]
    about = {"family": one.family, "exemplar": one.exemplar, "steps": one.run.step, "total": result["total"]}
    about |= {"low": low, "high": high, "mask_acc": parts["mask_acc"], "aesthetic_standin": parts["aesthetic"]}
    return about | {"fid_scenenet": parts["fid"]} | style_of(one, exemplars) | dict(cost)


def sheet(columns: Sequence[Painted], exemplars: Any, *, title: str) -> np.ndarray:
    """label | real | exemplar | one picture per column, on the same maps."""
    rows = []
    for index in spread(len(exemplars), SHOWN):
        batch = collate([exemplars[(0, index)]])
        assert batch.exemplar is not None
        label, image = batch.require("label")[0], batch.require("image")[0]
        given = [colour_labels(label, exemplars.classes.colours), to_array(image)]
        files = [one.folder / f"{batch.name[0]}.png" for one in columns]
        made = [np.asarray(Image.open(file).convert("RGB")) for file in files]
        rows.append([*given, to_array(batch.exemplar[0]), *made])
    return contact_sheet(rows, titles=["label", "real", title, *(one.family for one in columns)], side_by_side=1)


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a table."""
    millions = {"parameters_g": 1e6, "parameters_d": 1e6, "multiply_adds": 1e9}
    lines = ["| " + " | ".join(HEADS.get(key, key) for key in TABLE) + " |", "|" + "---|" * len(TABLE)]
    for r in rows:
        shown = {**r, "interval": f"[{r['low']:.4f}, {r['high']:.4f}]"}
        shown |= {key: r[key] / unit for key, unit in millions.items()}
        lines.append("| " + " | ".join(form.format(shown[key]) for key, form in TABLE.items()) + " |")
    low, high = (pick(r["style_ceiling"] for r in rows) for pick in (min, max))
    note = (
        f"{rows[0]['steps']} steps each. The style error of unseen real pictures is {rows[0]['style_floor']:.3f}, that "
        f"against the exemplars of other pictures {low:.3f} to {high:.3f}."
    )
    return "\n".join([*lines, "", note]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="folder with the sweeps' jobs, searched down to result.json")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="where tables and pictures go")
    chosen = parser.parse_args()
    quiet()
    found = [one for file in chosen.runs.rglob(RESULT) for one in painted(file.parent)]
    found.sort(key=lambda one: (ORDER.index(one.family), one.exemplar))
    indexed = next((one.data for one in found if one.exemplar == "IoU"), None)
    if indexed is None:
        raise SystemExit(f"no finished run with exemplars below {chosen.runs}")
    spent = costs({one.family: one.run.folder for one in found}, rounds=ROUNDS)
    rows = [row(one, one.data.exemplar_names() or indexed.exemplar_names(), spent[one.family]) for one in found]
    with (chosen.out / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for r in rows:
            writer.writerow({key: f"{value:.4f}" if isinstance(value, float) else value for key, value in r.items()})
    (chosen.out / "results.md").write_text(markdown(rows))
    save_png(
        chosen.out / "families.png", sheet([f for f in found if f.exemplar != "random"], indexed, title="exemplar")
    )
    other = [one for one in found if one.exemplar == "random"]
    save_png(chosen.out / "random.png", sheet(other, other[0].data, title="random exemplar"))
    print(markdown(rows))


if __name__ == "__main__":
    main()
