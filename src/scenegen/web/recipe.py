"""Recipe of a painted picture: the map, the picture, and the command that makes it again, in one zip."""

from __future__ import annotations

import hashlib
import io
import json
import shlex
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from scenegen.base.refusal import Refusal
from scenegen.web.easel import NAME, Easel, Wish, label_png, png

LABELS = f"{NAME}_labels"
"""Folder of the map in the zip."""

TIME = (1980, 1, 1, 0, 0, 0)
"""Time stamp of the zip's files, so that one recipe is one file."""


Parts = dict[str, bytes]
"""File of the zip -> content."""


def recipe_of(easel: Easel, drawn: Mapping[str, np.ndarray], wish: Wish) -> bytes:
    """The zip of a drawing: recipe.json, what the command reads, and the picture that it makes.

    Raises:
        Refusal: a hole that hides nothing.
    """
    if "hole" in drawn and not drawn["hole"].any():
        raise Refusal("the picture has no hole, so there is nothing to make again; paint one")
    wish = replace(wish, small=False)
    with easel.free:
        picture = png(easel.paint(drawn, wish))
    parts, words = given(easel, drawn, wish)
    return packed(parts, command_of(easel, wish, words), picture=picture, easel=easel, wish=wish)


def given(easel: Easel, drawn: Mapping[str, np.ndarray], wish: Wish) -> tuple[Parts, list[str]]:
    """The files that the command reads, and its words that name them."""
    parts: Parts = {}
    words = []
    if "map" in drawn:
        parts[f"{LABELS}/{NAME}.png"] = _label(easel, drawn["map"])
        words.append(f"labels={LABELS}")
    if "hole" in drawn and wish.photo is not None:
        parts[f"{NAME}_pictures/{NAME}.png"] = png(wish.photo.picture)
        parts[f"{NAME}_masks/{NAME}.png"] = png((drawn["hole"] * 255).astype(np.uint8))
        words += [f"pictures={NAME}_pictures", f"masks={NAME}_masks", "most=1"]
    if wish.style is not None and easel.style == "exemplar":
        parts[f"{NAME}_exemplar/images/{NAME}.png"] = png(wish.style.picture)
        parts[f"{NAME}_exemplar/labels/{NAME}.png"] = _label(easel, wish.style.label)
        words.append(f"exemplars={NAME}_exemplar")
    elif wish.style is not None:
        parts[f"{NAME}_style"] = wish.style.file
        words += [f"style={NAME}_style", f"fit={wish.style.fit}"]
    return parts, words


def command_of(easel: Easel, wish: Wish, words: Sequence[str]) -> str:
    """The command that makes the picture again, bit for bit, in the folder of the unpacked recipe.

    Noise is a function of (seed, name of the map, number of the variation); one map is one batch, as on the page.
    """
    all_words = [
        f"run={easel.run.folder.resolve()}",
        *([] if easel.checkpoint is None else [f"checkpoint={easel.checkpoint}"]),
        *words,
        f"out={NAME}_made",
        f"seed={wish.seed}",
        f"n_per_label={wish.copy + 1}",
        "batch_size=1",
        f"device={easel.device}",
        f"lookup={str(easel.lookup).lower()}",
        "sheet=0",
    ]
    return " ".join(["python -m scenegen.sample", *map(shlex.quote, all_words)])


def packed(parts: Parts, command: str, *, picture: bytes, easel: Easel, wish: Wish) -> bytes:
    """The zip: recipe.json, the files that the command reads, the picture."""
    made = f"{NAME}.png" if wish.copy == 0 else f"{NAME}_{wish.copy}.png"
    parts = {**parts, f"{NAME}.png": picture}
    content = {
        "command": command,
        "makes": f"{NAME}_made/{made}",
        "run": easel.run.folder.name,
        "step": easel.run.step,
        "seed": wish.seed,
        "variation": wish.copy,
        "size": list(easel.size),
        "classes": list(easel.classes.names),
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()},
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {"recipe.json": json.dumps(content, indent=2).encode() + b"\n", **parts}.items():
            archive.writestr(zipfile.ZipInfo(name, TIME), data)
    return file.getvalue()


def _label(easel: Easel, ids: np.ndarray | None) -> bytes:
    assert ids is not None
    return label_png(ids, bits=8 if len(easel.classes) <= 256 else 16, classes=len(easel.classes))
