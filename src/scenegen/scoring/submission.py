"""A folder of generated pictures as the zip that a contest takes: checked whole, then written whole."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from scenegen.base.files import whole
from scenegen.base.listing import few
from scenegen.base.refusal import Refusal
from scenegen.scoring.generated import Generated

SHOWN = 10
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The zip's own beginning of time: equal pictures give an equal file."""


def check(pictures: Generated, *, track: Callable[[Iterable, str], Iterable] = lambda items, _: items) -> list[str]:
    """Refuse pictures that no contest should see, and warn of likely mistakes.

    Args:
        pictures: matched to the label maps by name, count and size (`generated.take`).
        track: (items, description) -> items, for a progress bar.

    Returns:
        Warnings: pictures that are the same as others, byte for byte.

    Raises:
        Refusal: for files that are not PNG, or pictures of a single colour (what NaN becomes), all by name.
    """
    jpeg = [path.name for path in pictures.files.values() if path.suffix.lower() != ".png"]
    constant, alike = [], defaultdict(list)
    for name in track(list(pictures.files), "checking pictures"):
        array = pictures.read(name)
        if np.ptp(array.reshape(-1, 3), axis=0).max() == 0:
            constant.append(f"{pictures.files[name].name} ({array[0, 0].tolist()})")
        alike[hashlib.sha256(array.tobytes()).hexdigest()].append(name)
    faults = [
        ("are not PNG (a JPEG step cost 0.075 of the total in the contest log)", jpeg),
        ("are of a single colour, as pictures are that were NaN", constant),
    ]
    if found := [f"{len(names)} {what}: {few(names, SHOWN)}" for what, names in faults if names]:
        raise Refusal(f"generated={pictures.folder}: {'; '.join(found)}; make them again, nothing was written")
    repeated = [names for names in alike.values() if len(names) > 1]
    return [f"{len(names)} pictures are the same: {few(names, SHOWN)}" for names in repeated]


def is_submission(content: bytes) -> bool:
    """True for a zip that `write_zip` made: stored pictures of one folder, all of the zip's own beginning of time."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError):  # the latter of versions that zipfile does not know
        return False
    folders = {entry.filename.rpartition("/")[0] for entry in entries}
    return len(folders) == 1 and all(
        entry.date_time == EPOCH and entry.compress_type == zipfile.ZIP_STORED and entry.filename.endswith(".png")
        for entry in entries
    )


def write_zip(pictures: Generated, out: Path, *, folder: str = "") -> str:
    """Write NAME.png for every label map; the same pictures always give the same bytes.

    Args:
        pictures: checked ones.
        out: the file; written whole or not at all.
        folder: inside the zip; "" puts the pictures at its root.

    Returns:
        sha256 of the file.
    """
    try:
        with whole(out) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            for name in sorted(pictures.files):
                entry = zipfile.ZipInfo("/".join(filter(None, [folder, f"{name}.png"])), EPOCH)
                archive.writestr(entry, pictures.files[name].read_bytes())
    except OSError as error:
        raise Refusal(f"{out} could not be written ({error.strerror}); free space or choose another out=") from error
    return hashlib.sha256(out.read_bytes()).hexdigest()
