"""Slices of more than 8 bits in files of one channel: PNG, TIFF, and DICOM where pydicom is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from scenegen.base.depth import Depth
from scenegen.base.pictures import open_picture
from scenegen.base.records import Refusal

DICOM = frozenset({".dcm", ".dicom", ".ima"})
"""Endings of DICOM files, in lower case."""

ENDINGS = frozenset({".png", ".tif", ".tiff"}) | DICOM
"""Endings of the files that are read."""

RESCALE = ("RescaleSlope", "RescaleIntercept")
"""A DICOM file's own coding: Hounsfield units are slope * grey level + intercept."""

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
        levels = np.array(picture, dtype=DEEP[picture.mode])
        if _has_more(picture):
            raise Refusal(f"{path}: several pages in one file, where a slice is one picture; export its slices one by "
                          "one")  # fmt: skip
    if picture.mode == "F" and not np.isfinite(levels).all():
        raise Refusal(f"{path}: it holds numbers that are not finite; write the slice again")
    return levels


def _has_more(picture: Image.Image) -> bool:
    """True where a second picture follows in the file."""
    try:
        picture.seek(1)
    except EOFError:
        return False
    return True


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
        Refusal: without pydicom, or a file that is damaged, is of no CT, says no units or no pixel spacing, has 8 bits,
            colour or more than one frame, or pixels in a compression that nothing here reads.
    """
    content = _opened(path)
    try:
        reason = _no_slice(content)
        slope, intercept = (float(content.get(name, 0)) for name in RESCALE)
        compressed = content.file_meta.TransferSyntaxUID.is_compressed
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise Refusal(f"{path}: its header cannot be read ({_first(error)}); copy it again or remove it") from error
    if reason:
        raise Refusal(f"{path}: {reason}")
    try:
        pixels = content.pixel_array
    except Exception as error:  # a decoder's answer to pixels that it cannot read can be any error
        cure = ("decompress it first (gdcmconv --raw, or dcmdjpeg), or install pylibjpeg" if compressed
                else "copy it again or remove it")  # fmt: skip
        raise Refusal(f"{path}: its pixels cannot be read ({_first(error)}); {cure}") from error
    return (pixels.astype(np.float64) * slope + intercept).astype(np.float32)


def _opened(path: Path) -> Any:
    """A DICOM file's content; pixels are decoded when they are asked for."""
    try:
        import pydicom
        from pydicom.errors import InvalidDicomError
    except ImportError as error:
        raise Refusal(f"{path}: DICOM files are read by pydicom, which is not here; install it with: pip install "
                      "'scenegen-landscapes[dicom]', or export 16-bit PNG or TIFF") from error  # fmt: skip
    try:
        return pydicom.dcmread(path)
    except InvalidDicomError as error:
        raise Refusal(f"{path}: no readable DICOM file (its header of 132 bytes is missing); copy it again, export it "
                      "anew or remove it") from error  # fmt: skip
    except (OSError, EOFError, ValueError) as error:
        raise Refusal(f"{path}: no readable DICOM file ({_first(error)}); copy it again or remove it") from error


def _no_slice(content: Any) -> str:
    """Reason why a DICOM file is no CT slice in Hounsfield units, with its cure; "" for one that is."""
    if "PixelData" not in content:
        return "a DICOM file without pixels; remove it (it may be a report or a directory)"
    colour = str(content.get("PhotometricInterpretation", "MONOCHROME2"))
    if int(content.get("SamplesPerPixel", 1)) != 1 or not colour.startswith("MONOCHROME"):
        return (f"a colour picture ({colour}), where slices have one channel; export the scan's own slices, not "
                "pictures of the screen")  # fmt: skip
    if (kind := str(content.get("Modality") or "CT")) != "CT":
        return f"a DICOM file of modality {kind}, whose numbers are no Hounsfield units; give CT slices alone"
    if (frames := int(content.get("NumberOfFrames") or 1)) != 1:
        return f"{frames} frames in one file, where a slice is one picture; export its slices one by one"
    if int(content.get("BitsStored", 16)) <= 8:
        return ("8 bits a pixel, where slices have 12 or more: a window was burnt in, and Hounsfield units are lost; "
                "export the scan's own slices")  # fmt: skip
    if not content.get("PixelSpacing"):
        return ("a DICOM file without pixel spacing, which is no slice of a scan; export it as 16-bit PNG or TIFF if "
                "it is one")  # fmt: skip
    if absent := [name for name in RESCALE if name not in content]:
        return (f"it says no {' and no '.join(absent)}, so that its Hounsfield units are unknown; export it as 16-bit "
                "PNG or TIFF and say data.depth.slope= and data.depth.intercept=")  # fmt: skip
    if not float(content.RescaleSlope):
        return "its RescaleSlope is 0, which makes all numbers one; export it anew"
    if (kind := str(content.get("RescaleType") or "HU")) != "HU":
        return (f"its numbers are of RescaleType {kind} and no Hounsfield units; export it as 16-bit PNG or TIFF and "
                "say data.depth.slope= and data.depth.intercept=")  # fmt: skip
    return ""


def _first(error: BaseException) -> str:
    """The first line of an error's text, and the next where that ends in a colon."""
    said = [line.strip() for line in str(error).strip().splitlines()]
    if not said:
        return type(error).__name__
    return " ".join(said[:2] if said[0].endswith(":") else said[:1])[:240]
