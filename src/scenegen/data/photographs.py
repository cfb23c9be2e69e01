"""Photographs of others: what their metadata change is chosen, refused or stated, and never dropped in silence."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from typing import Literal, get_args

from PIL import ExifTags, Image, ImageCms, ImageFile

from scenegen.base.members import File, as_file
from scenegen.base.pictures import load_pixels, open_picture
from scenegen.base.records import Refusal

PHOTO_MODES = {"RGB", "RGBA", "L", "LA", "P", "PA", "CMYK", "YCbCr", "1"}
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> the operation that makes stored pixels upright (EXIF 2.32, tag 0x0112)."""
_STORED = {**_UPRIGHT, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
"""The inverse operations."""

Size = tuple[int, int]
Exif = Literal["ask", "apply", "ignore"]
Alpha = Literal["ask", "drop", "white"]
Icc = Literal["ignore", "convert"]
LabelSize = Literal["equal", "nearest"]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Choices where a file of others can be read in several ways.

    Attributes:
        exif: a photograph that its EXIF orientation turns: "apply" turns the pixels, "ignore" takes them as stored,
            "ask" refuses it, unless its size shows that its label map follows the stored pixels.
        alpha: transparent pixels: "drop" takes their hidden colours, "white" lays them on white, "ask" refuses them.
        icc: a colour profile other than sRGB: "ignore" takes the numbers as sRGB, "convert" converts them.
        label_size: a label map of another size than its photograph: "nearest" resizes it by nearest neighbour where
            the shape is the same, "equal" refuses it.
        options: those of these choices that the command has, as data.exif=, ...; else a cure is about the file.
    """

    exif: Exif = "ask"
    alpha: Alpha = "ask"
    icc: Icc = "ignore"
    label_size: LabelSize = "equal"
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for key, kind in (("exif", Exif), ("alpha", Alpha), ("icc", Icc), ("label_size", LabelSize)):
            if (value := vars(self)[key]) not in get_args(kind):
                raise Refusal(f"data.{key}={value} is not one of {', '.join(get_args(kind))}")


STRICT = Reading()
"""Everything that changes a picture's meaning is refused."""

AS_SEEN = Reading(exif="apply")
"""A picture without a label map is turned as viewers show it."""


@dataclass(frozen=True)
class Nature:
    """Facts about a photograph's file that change what its pixels mean.

    Attributes:
        size: (h, w) of the stored pixels.
        turn: EXIF orientation, 1 to 8; 1 is upright.
        transparent: some pixel is not opaque.
        deep: 16 bits per channel, of which Pillow reads the upper 8.
        cmyk: stored as CMYK.
        profile: name of a colour profile other than sRGB, "" without one.
    """

    size: Size
    turn: int = 1
    transparent: bool = False
    deep: bool = False
    cmyk: bool = False
    profile: str = ""

    @property
    def upright_size(self) -> Size:
        """(h, w) after the EXIF turn."""
        return (self.size[1], self.size[0]) if self.turn >= 5 else self.size


def read_photo(path: File, *, reading: Reading = STRICT, label: Size | None = None) -> Image.Image:
    """An RGB photograph; grey, palette and CMYK files are converted by Pillow's formulas.

    Args:
        path: the file.
        reading: choices about its metadata.
        label: (h, w) of its label map, None without one.

    Raises:
        Refusal: a file that cannot be read, more than 8 bits in one channel, or metadata without a choice.
    """
    with open_picture(path, pixels=False) as picture:
        if problem := photo_problem(picture):
            raise Refusal(f"{path}: {problem}")
        nature = nature_of(picture, path)
        if problem := nature_problem(nature, reading=reading, label=label):
            raise Refusal(f"{path}: {problem}")
        load_pixels(picture, path)
        turned = picture.format == "TIFF"  # Pillow has turned it already: orientation is a tag of the format itself
        rgb = _in_rgb(picture, path, reading=reading, transparent=nature.transparent)
    if nature.turn == 1 or turned == (reading.exif == "apply"):
        return rgb
    return rgb.transpose((_STORED if turned else _UPRIGHT)[nature.turn])


def upright(picture: Image.Image, nature: Nature) -> Image.Image:
    """A decoded picture as viewers show it."""
    seen = nature.turn == 1 or picture.format == "TIFF"  # of which Pillow turns the pixels itself
    return picture if seen else picture.transpose(_UPRIGHT[nature.turn])


def photo_problem(picture: Image.Image) -> str | None:
    """Reason that an opened picture cannot be a photograph, or None."""
    if picture.mode in PHOTO_MODES:
        return None
    return f"a photograph with pixels of kind {picture.mode}, which would be clipped; save it as 8-bit RGB"


def nature_of(picture: Image.Image, path: File | str) -> Nature:
    """Facts of a picture whose head was opened; pixels are decoded only where they may be transparent.

    `deep` is known before pixels are decoded alone.
    """
    deep = isinstance(picture, ImageFile.ImageFile) and any(";16" in str(tile) for tile in picture.tile)
    cmyk, profile = picture.mode == "CMYK", profile_name(picture)
    turn = _turn(picture, path)
    height, width = picture.height, picture.width
    if turn >= 5 and picture.format == "TIFF":
        height, width = width, height
    return Nature((height, width), turn, _transparent(picture, path), deep, cmyk, profile)


def nature_problem(nature: Nature, *, reading: Reading, label: Size | None) -> str | None:
    """Sentence about metadata for which nobody chose, or None.

    Args:
        nature: of the photograph.
        reading: the choices.
        label: (h, w) of the label map, None without one.
    """
    if nature.transparent and reading.alpha == "ask":
        cure = (
            "data.alpha=drop takes the colours that lie hidden in them, data.alpha=white lays them on white"
            if "alpha" in reading.options
            else "save it without an alpha channel"
        )
        return f"a photograph with transparent pixels; {cure}"
    if nature.turn == 1 or reading.exif != "ask" or follows_stored(nature, label):
        return None
    return turn_sentence(nature, label, options="exif" in reading.options)


def follows_stored(nature: Nature, label: Size | None) -> bool:
    """True where the sizes show that a label map follows the stored pixels of a turned photograph."""
    return label == nature.size != nature.upright_size


def turn_sentence(nature: Nature, label: Size | None, *, options: bool) -> str:
    """Sentence about a photograph that viewers turn by its EXIF orientation."""
    head = f"EXIF orientation {nature.turn}: viewers show this photograph turned"
    if not options:
        return (
            f"{head}; save it upright (mogrify -auto-orient FILE turns the pixels) or take the tag away if the stored "
            "pixels are meant (exiftool -Orientation= FILE)"
        )
    if label is not None and label == nature.upright_size != nature.size:
        return f"{head}, and only then it fits its label map of {label[1]}x{label[0]}; use data.exif=apply"
    fits = "its label map fits either way" if label == nature.size else "the label map has another size"
    return (
        f"{head}, and {fits}; use data.exif=apply if the label maps were drawn on the turned view (as labelling tools "
        "show it), data.exif=ignore if they follow the stored pixels (as COCO's do)"
    )


@functools.lru_cache(maxsize=64)
def _name_of(profile: bytes) -> str:
    try:
        return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).strip() or "without a name"
    except (OSError, ImageCms.PyCMSError):  # ImageCmsProfile itself raises the first
        return "that cannot be read"


def profile_name(picture: Image.Image) -> str:
    """Name of a colour profile other than sRGB; "" without one."""
    profile = picture.info.get("icc_profile")
    if not profile:
        return ""
    name = _name_of(profile)
    return "" if "srgb" in name.lower() or name in {"c2", "c2ci"} else name


def _turn(picture: Image.Image, path: File | str) -> int:
    """EXIF orientation of an opened picture; 1 where it has none."""
    try:
        # The class's own getexif of a PNG decodes all pixels, for a tag that may stand behind them.
        value = Image.Image.getexif(picture).get(ExifTags.Base.Orientation, 1)
        if value == 1 and picture.format == "PNG" and _late_exif(path):
            load_pixels(picture, path)
            late = Image.Exif()
            late.load(picture.info.get("exif", b""))
            value = late.get(ExifTags.Base.Orientation, 1)
    except Refusal:
        raise
    except Exception:  # Pillow's answer to damaged metadata can be any error; viewers show it as it is stored
        return 1
    return value if isinstance(value, int) and value in _UPRIGHT else 1


def _late_exif(path: File | str) -> bool:
    """True where a PNG's EXIF stands behind its pixels."""
    with as_file(path).open("rb") as file:
        file.seek(8)
        behind = False
        while len(head := file.read(8)) == 8:
            if head[4:] == b"eXIf" and behind:
                return True
            behind |= head[4:] == b"IDAT"
            file.seek(int.from_bytes(head[:4], "big") + 4, 1)
    return False


def _transparent(picture: Image.Image, path: File | str) -> bool:
    if picture.mode not in ("RGBA", "LA", "PA") and "transparency" not in picture.info:
        return False
    load_pixels(picture, path)
    return picture.convert("RGBA").getchannel("A").getextrema() != (255, 255)


def _in_rgb(picture: Image.Image, path: File, *, reading: Reading, transparent: bool) -> Image.Image:
    """Decoded pixels as RGB, by the choices."""
    profile = picture.info["icc_profile"] if reading.icc == "convert" and profile_name(picture) else None
    if transparent and reading.alpha == "white":
        over = picture.convert("RGBA")
        ground = Image.new("RGBA", over.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(ground, over).convert("RGB")
    if profile is not None:
        source = io.BytesIO(profile)
        flat = picture.convert("RGB") if picture.mode not in ("RGB", "L", "CMYK") else picture
        try:
            converted = ImageCms.profileToProfile(flat, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except ImageCms.PyCMSError as error:
            raise Refusal(f"{path}: its colour profile cannot be converted ({error}); use data.icc=ignore") from error
        assert converted is not None
        return converted
    return picture.convert("RGB")
