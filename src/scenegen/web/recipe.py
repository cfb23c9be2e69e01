"""Recipe of a painted picture: the map, the picture, and the command that makes it again, in one zip."""

from __future__ import annotations

import hashlib
import io
import json
import shlex
import zipfile
from dataclasses import dataclass

from scenegen.web.easel import NAME, Easel, Wish

LABELS = f"{NAME}_labels"
"""Folder of the map in the zip."""

TIME = (1980, 1, 1, 0, 0, 0)
"""Time stamp of the zip's files, so that one recipe is one file."""


@dataclass(frozen=True)
class Recipe:
    """Parts of a recipe.

    Attributes:
        command: that makes the picture from the map.
        label: PNG of the class ids.
        picture: PNG.
    """

    command: str
    label: bytes
    picture: bytes


def command_of(easel: Easel, wish: Wish) -> str:
    """The command that paints the map again, bit for bit, in the folder of the unpacked recipe.

    Noise is a function of (seed, name of the map, number of the variation); one map is one batch, as on the page.
    """
    words = [
        f"run={easel.run.folder.resolve()}",
        *([] if easel.checkpoint is None else [f"checkpoint={easel.checkpoint}"]),
        f"labels={LABELS}",
        f"out={NAME}_made",
        f"seed={wish.seed}",
        f"n_per_label={wish.copy + 1}",
        "batch_size=1",
        f"device={easel.device}",
        f"lookup={str(easel.lookup).lower()}",
        "sheet=0",
    ]
    return " ".join(["python -m scenegen.sample", *map(shlex.quote, words)])


def packed(recipe: Recipe, *, easel: Easel, wish: Wish) -> bytes:
    """The zip: recipe.json, the map in its folder, the picture."""
    made = f"{NAME}.png" if wish.copy == 0 else f"{NAME}_{wish.copy}.png"
    content = {
        "command": recipe.command,
        "makes": f"{NAME}_made/{made}",
        "run": easel.run.folder.name,
        "step": easel.run.step,
        "seed": wish.seed,
        "variation": wish.copy,
        "size": list(easel.size),
        "classes": list(easel.classes.names),
        "sha256": {
            f"{LABELS}/{NAME}.png": hashlib.sha256(recipe.label).hexdigest(),
            f"{NAME}.png": hashlib.sha256(recipe.picture).hexdigest(),
        },
    }
    parts = {
        "recipe.json": json.dumps(content, indent=2).encode() + b"\n",
        f"{LABELS}/{NAME}.png": recipe.label,
        f"{NAME}.png": recipe.picture,
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(zipfile.ZipInfo(name, TIME), data)
    return file.getvalue()
