"""Runs, recipes and names that were made to reach where they do not belong."""

from __future__ import annotations

from pathlib import Path

from omegaconf import OmegaConf

from scenegen.runs.folder import CONFIG
from tests.config.test_targets import ATTACKS, EVIL
from tests.table import Row, each
from tests.worlds import SMALL, finished, label, picture, trained, write


def foreign(here: Path, place: str, attack: str) -> None:
    """Finished runs a and b with checkpoints, whose configs name foreign code at one place."""
    for seed, name in enumerate("ab"):
        folder = trained(here, name)
        config = OmegaConf.load(folder / CONFIG)
        OmegaConf.update(config, place, ATTACKS[attack], merge=False, force_add=True)
        write(folder / CONFIG, OmegaConf.to_yaml(config))
        for file in finished(here / "made", name, seed=seed).iterdir():
            if file.name in ("result.json", "scores.npz"):
                write(folder / file.name, file.read_bytes())
        write(folder / "evil.py", f"{EVIL}\ndef run(): pass\n")
    write(here / "evil.py", f"{EVIL}\ndef run(): pass\n")


REFUSED = ("is not among the parts that conf/ offers",)
SMALLEST = " ".join(SMALL)

RUNS = [
    Row(f"{verb.split()[0]}-{attack.replace(' ', '-')}", verb, lambda here, a=attack: foreign(here, "data", a), REFUSED)
    for attack in ("a program", "code", "a module in the folder")
    for verb in ("sample run=a", "train resume=a steps=4")
] + [
    Row("environment", "sample run=a", lambda here: write(trained(here) / CONFIG, "name: ${oc.env:HOME}\n"),
        ("runs/a/config.yaml", "${oc.env:HOME}")),
    Row("alias-bomb", "sample run=a", lambda here: write(trained(here) / CONFIG, "a: &a [1]\nb: [*a, *a]\n"),
        ("runs/a/config.yaml", "anchor or alias")),
    Row("brackets", "train resume=a", lambda here: write(trained(here) / CONFIG, "a: " + "[" * 3000),
        ("runs/a/config.yaml", "nested")),
    Row("tag", "sample run=a", lambda here: write(trained(here) / CONFIG, "a: !!python/object/apply:os.system [ls]\n"),
        ("runs/a/config.yaml", "plain values")),
    Row("link-in-a-resumed-run", "train resume=a steps=4", lambda here: (trained(here) / "samples").symlink_to(here),
        ("samples is a link",)),
]  # fmt: skip

NAMES = [
    Row(f"name-{k}", f"train {SMALLEST} 'name=\"{name}\"'", words=("name=", "spade-1"))
    for k, name in enumerate(("../../x", "..", "a\nb", "a\x1b[2J", "x" * 300, "/tmp/x", "-m", "a//b"))
] + [
    Row("resume-above", "train resume=../../x", words=("there is no run",)),
    Row("convert-above", "convert files=. 'name=\"../../x\"'", words=("name=../../x",)),
    Row("submit-above", "submit generated=made labels=maps folder=../.. size.height=64 size.width=64",
        lambda here: (label(here / "maps" / "a.png"), picture(here / "made" / "a.png")), ("folder=../..",
        "leads elsewhere by '..'")),
    Row("submit-link", "submit generated=made labels=maps size.height=64 size.width=64",
        lambda here: (label(here / "maps" / "a.png"), picture(here / "kept.png"), (here / "made").mkdir(),
                      (here / "made" / "a.png").symlink_to(here / "kept.png")), ("a.png is a link out of made",)),
]  # fmt: skip


test_refused = each(RUNS + NAMES)
