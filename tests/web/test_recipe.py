"""Recipes of the page, made again by python -m scenegen.sample itself."""

from __future__ import annotations

import io
import json
import shlex
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenegen.paint import Settings, opened
from tests.cli.command_line import run as run_command
from tests.web.runs import READER
from tests.web.test_server import HOLES, IDS, PHOTO, asked, png, post
from tests.written import written

SEED = 2**53 - 1
"""The greatest that the page asks for."""

WIDE = np.concatenate([PHOTO, PHOTO[::-1]], axis=1)

KINDS = {
    "VAE": (("model=gaugan", "model.vae=true"), IDS.tobytes(), "style", WIDE, "copy=2"),
    "exemplar": (("model=cocosnetv1", "exemplar=random"), IDS.tobytes(), "style", WIDE, "copy=0"),
    "hole": (("model=picnet",), HOLES.tobytes(), "photo", PHOTO, "copy=2"),
    "map and hole": (("model=sesame_editor",), IDS.tobytes() + HOLES.tobytes(), "photo", WIDE, "copy=0"),
}
"""Kind of run -> words of its model, what is drawn, what is handed over, and which variation is asked for."""


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow if kind == "map and hole" else ()) for kind in KINDS]
)
def test_the_command_of_a_recipe_makes_its_picture_again_bit_for_bit(kind: str, tmp_path: Path) -> None:
    words, body, purpose, picture, copy = KINDS[kind]
    folder = written("size=tiny", "width=tiny", *words, run=tmp_path / "my runs, (2) = it's" / "one")
    chosen = Settings(
        run=str(folder), checkpoint=None, beside=None, port=None, browser=False, device="cpu", lookup="auto"
    )
    client = asked([opened(chosen.run, checkpoint=None, chosen=chosen)], reader=READER)
    key = post(client, f"keep?as={purpose}&fit=crop", png(picture)).json()["key"]
    answer = post(client, f"recipe?seed={SEED}&{copy}&{purpose}={key}", body)
    assert answer.status_code == 200, answer.text
    place = tmp_path / "unpacked"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(place)
    recipe = json.loads((place / "recipe.json").read_text())
    python, flag, module, *arguments = shlex.split(recipe["command"])
    assert (python, flag, module) == ("python", "-m", "scenegen.sample")
    done = run_command("sample", *arguments, cwd=place)
    assert done.returncode == 0, done.stderr
    again, wanted = (np.asarray(Image.open(place / name)) for name in (recipe["makes"], "painting.png"))
    assert np.array_equal(again, wanted)
    assert again.std() > 5, "a flat picture would hide a difference"
