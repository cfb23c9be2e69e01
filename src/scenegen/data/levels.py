"""Slices of more than 8 bits in files of one channel: PNG, TIFF, and DICOM where pydicom is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from scenegen.base.depth import Depth
from scenegen.base.pictures import open_picture
from scenegen.base.records import Refusal

DICOM = frozenset({".dcm", ".dicom", ".ima"})
"""Endings of DICOM files, in lower case."""

ENDINGS = frozenset({".png", ".tif", ".tiff"}) | DICOM
"""Endings of the files that are read."""

DEEP = {"I;16": np.uint16, "I;16B": np.uint16, "I;16L": np.uint16, "I": np.int32, "F": np.float32}
"""Pillow's modes of more than 8 bits -> their numbers."""


def read_units(path: Path, *, depth: Depth) -> np.ndarray:
    """One slice, (h, w) float32 in Hounsfield units.

    Args:
        path: the file.
        depth: says what the grey levels of PNG and TIFF mean; DICOM files say it themselves.

    Raises:
        Refusal: colour, 8 bits, damaged, numbers that 16 bits do not hold, or a DICOM file that cannot be read.
    """
    if path.suffix.lower() in DICOM:
        return read_dicom(path)
    return depth.of_levels(read_levels(path)).astype(np.float32)


def read_levels(path: Path) -> np.ndarray:
    """Grey levels (h, w) of a PNG or TIFF file of one channel and more than 8 bits."""
    with open_picture(path) as picture:
        if picture.mode not in DEEP:
            raise Refusal(f"{path}: {_why_not(picture)}")
        levels = np.asarray(picture, dtype=DEEP[picture.mode])
    if picture.mode == "F" and not np.isfinite(levels).all():
        raise Refusal(f"{path}: it holds numbers that are not finite; write the slice again")
    return levels


def _why_not(picture: Image.Image) -> str:
    """Sentence about a picture that is no slice of more than 8 bits."""
    if picture.mode in ("L", "1", "P", "LA"):
        return ("8 bits a pixel, where slices have 12 or more: a window was burnt in, and Hounsfield units are lost; "
                "export 16-bit PNG or TIFF, or DICOM")  # fmt: skip
    return (f"a colour picture ({picture.mode}), where slices have one channel; export 16-bit grey PNG or TIFF, or "
            "use a model of colour pictures")  # fmt: skip


def read_dicom(path: Path) -> np.ndarray:
    """A CT slice of a DICOM file, (h, w) float32 in Hounsfield units by its own slope and intercept.

    Raises:
        Refusal: without pydicom, or a file that is damaged, has no pixel spacing, more than one frame or channel, or
            pixels in a compression that nothing here reads.
    """
    try:
        import pydicom
        from pydicom.errors import InvalidDicomError
    except ImportError as error:
        raise Refusal(f"{path}: DICOM files are read by pydicom, which is not here; install it with: pip install "
                      "'scenegen-landscapes[dicom]', or export 16-bit PNG or TIFF") from error  # fmt: skip
    try:
        content = pydicom.dcmread(path)
    except (InvalidDicomError, OSError, EOFError, ValueError) as error:
        raise Refusal(f"{path}: no readable DICOM file ({_first(error)}); copy it again or remove it") from error
    if "PixelData" not in content:
        raise Refusal(f"{path}: a DICOM file without pixels; remove it (it may be a report or a directory)")
    if "PixelSpacing" not in content:
        raise Refusal(f"{path}: a DICOM file without pixel spacing, which is no slice of a scan; export it as 16-bit "
                      "PNG or TIFF if it is one")  # fmt: skip
    try:
        pixels = content.pixel_array
    except Exception as error:  # a decoder's answer to pixels that it cannot read can be any error
        raise Refusal(f"{path}: its pixels cannot be read ({_first(error)}); decompress it first (gdcmconv --raw, or "
                      "dcmdjpeg), or install pylibjpeg") from error  # fmt: skip
    if pixels.ndim != 2:
        raise Refusal(f"{path}: pixels of shape {pixels.shape}, where a slice is one grey picture; export its slices "
                      "one by one")  # fmt: skip
    slope, intercept = float(content.get("RescaleSlope", 1)), float(content.get("RescaleIntercept", 0))
    return (pixels.astype(np.float64) * slope + intercept).astype(np.float32)


def _first(error: BaseException) -> str:
    said = str(error).strip().splitlines()
    return said[0][:120] if said else type(error).__name__
