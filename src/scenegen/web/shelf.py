"""Pictures that the page has handed over, kept in memory under the hash of what they are."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

from scenegen.base.pictures import from_uint8
from scenegen.base.refusal import Refusal
from scenegen.data.samples import planes
from scenegen.web.easel import Easel, Kept, png
from scenegen.web.gallery import Gallery
from scenegen.web.reader import Reader
from scenegen.web.uploads import as_file, photograph

MOST_KEPT = 32
"""Pictures that are kept; the one that was not asked for longest goes first."""

TRAINING = "training-"
"""First part of the key of a training picture; its place follows."""


class Gone(Refusal):
    """A key of a picture that is not kept any more; the page hands the picture over again."""


class Shelf:
    """Style pictures, exemplars and photographs with holes.

    Args:
        easels: the runs that read them, all of one size.
        reader: reads the label map of an exemplar, or None.
        gallery: the training pictures, or None.
    """

    def __init__(self, easels: Sequence[Easel], *, reader: Reader | None, gallery: Gallery | None) -> None:
        self.size = easels[0].size
        self.styles = {easel.style: easel for easel in easels if easel.style}
        self.reader, self.gallery = reader, gallery
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def keep(self, body: bytes, *, purpose: str, fit: str) -> tuple[str, str]:
        """Take a picture file.

        Args:
            body: its content.
            purpose: "style" or "photo".
            fit: for pictures of another shape.

        Returns:
            The key, and a sentence about what was done to the picture.

        Raises:
            Refusal: a file that cannot be used, or a style where none is read.
        """
        if purpose not in ("style", "photo"):
            raise Refusal(f"a picture as {purpose} is not known; choose style or photo")
        if purpose == "style" and not self.styles:
            raise Refusal("no run of this page reads style pictures; leave the picture out")
        picture, notice = photograph(body, size=self.size, fit=fit)
        style = label = None
        if purpose == "style" and "picture" in self.styles:
            with as_file(body) as path:
                style = self.styles["picture"].run.style(str(path), fit=_fit(fit), notice=lambda _: None)
        if purpose == "style" and "exemplar" in self.styles:
            if self.reader is None:
                raise Refusal(f"run={self.styles['exemplar'].run.folder.name} paints with exemplars and their label "
                              "maps, and no segmenter reads one off this picture; take a suggestion, or start with "
                              "segmenter=smp segmenter.name=FILE")  # fmt: skip
            label = self.reader.read(picture)
        key = hashlib.sha256(f"{purpose} {fit} ".encode() + body).hexdigest()[:24]
        self._put(key, Kept(picture, style, label, body, fit))
        return key, notice

    def of(self, key: str) -> Kept:
        """A kept picture.

        Raises:
            Gone: it was never handed over, or is not kept any more.
        """
        if key.startswith(TRAINING) and key not in self._kept:
            self._put(key, self._training(key.removeprefix(TRAINING)))
        if key not in self._kept:
            raise Gone("the picture is not kept any more; hand it over again")
        self._kept.move_to_end(key)
        return self._kept[key]

    def _training(self, place: str) -> Kept:
        if self.gallery is None or not (place.isdecimal() and place.isascii() and len(place) < 10):
            raise Refusal("there is no such training picture; choose one of the suggestions")
        picture, label = self.gallery.picture(int(place))
        return Kept(picture, from_uint8(planes(picture)[None]), label, png(picture), "refuse")

    def _put(self, key: str, kept: Kept) -> None:
        self._kept[key] = kept
        self._kept.move_to_end(key)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)


def _fit(fit: str):
    """The word as the type of `TrainedRun.style`; `photograph` has looked at it."""
    return "crop" if fit == "crop" else "squash" if fit == "squash" else "refuse"
