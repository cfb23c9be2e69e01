"""Make pictures from label maps with a trained run: python -m scenegen.sample run=NAME"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from scenegen.base.refusal import Refusal
from scenegen.cli.entry import command


@dataclass(frozen=True)
class Settings:
    """The values of conf/sample.yaml, documented there."""

    run: str
    checkpoint: str | None
    labels: str | None
    exemplars: str | None
    out: str
    style: str | None
    seed: int
    n_per_label: int
    count: int | None
    batch_size: int
    device: str
    lookup: bool | str
    sheet: int

    def __post_init__(self) -> None:
        for name in ("n_per_label", "batch_size"):
            if getattr(self, name) < 1:
                raise Refusal(f"{name}={getattr(self, name)} must be 1 or more")
        if self.count is not None and self.count < 1:
            raise Refusal(f"count={self.count} must be 1 or more, or null for all")
        if self.lookup not in (True, False, "auto"):
            raise Refusal(f"lookup={self.lookup} is not known; use auto, true or false")


@command("sample")
def main(cfg: DictConfig) -> None:
    from scenegen.base.files import write_json
    from scenegen.base.pictures import save_png
    from scenegen.config import build
    from scenegen.config.opened import open_run
    from scenegen.config.plan import plan, read_settings
    from scenegen.data.datasets import read_style
    from scenegen.networks.layers.lookup import look_up, looks_up
    from scenegen.sampling.generate import generate
    from scenegen.sampling.sheets import draw_sheet, spread

    config = plan(cfg, settings=Settings).config
    chosen: Settings = read_settings(Settings, config)
    posts = build.posts(config)
    run = open_run(chosen.run, checkpoint=chosen.checkpoint, device=chosen.device)
    lookup = chosen.device == "cpu" and looks_up(run.model) if chosen.lookup == "auto" else chosen.lookup
    if lookup:
        look_up(run.model)
    data = run.inputs(labels=chosen.labels, exemplars=chosen.exemplars)
    indices = list(range(len(data)))[: chosen.count]
    out = Path(chosen.out)
    files = generate(
        run.model,
        data,
        out=out,
        indices=indices,
        seed=chosen.seed,
        batch_size=chosen.batch_size,
        n_per_label=chosen.n_per_label,
        style=read_style(Path(chosen.style)) if chosen.style else None,
        posts=posts,
        device=chosen.device,
    )
    if data.has_exemplars:
        named = out.with_name(f"{out.name}_exemplars.json")
        write_json(named, {name: data.exemplar_names()[name] for name in data.names[: chosen.count]})
    print(f"{len(files)} pictures in {out} (run {run.folder.name}, step {run.step}{', lookup' * bool(lookup)})")
    if chosen.sheet > 0:
        n, shown = chosen.n_per_label, spread(len(indices), chosen.sheet)
        made = [files[place * n + k] for place in shown for k in range(n)]
        picture = draw_sheet(data, made, indices=[indices[place] for place in shown], n_per_label=n)
        where = out.with_name(f"{out.name}_sheet.png")
        save_png(where, picture)
        print(f"contact sheet: {where}")


if __name__ == "__main__":
    main()
