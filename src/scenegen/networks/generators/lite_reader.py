"""The reader on EfficientNet-Lite2 as a model: its decoder is trained by `train task=segmentation`, for segmenter=."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from scenegen.base.records import Batch, Refusal, Synthesis
from scenegen.networks.frozen.lite_reader import LiteDecoder, LiteReader, write
from scenegen.networks.generators.label_reader import LabelReader, seeded


class LiteReaderModel(LabelReader):
    """A decoder in training on Lite2's frozen maps.

    Args:
        num_classes: of the labels.
        edges: the data has instance maps; they are not read.
        dropout: share of channels in [0, 1) that training leaves out.
        attention: a layer of attention at strides 16 and 32.
        weights: of Lite2: "published" (of the pip package) or "random" (seeded, stamped as such).
        folder: where Lite2's weight file is looked for first; None is the installed package alone.
        seed: of the decoder's initial weights.
    """

    file: ClassVar[str] = "lite_reader.safetensors"
    used_by: str = "segmenter=landscapes segmenter.name={path}"

    def __init__(
        self,
        *,
        num_classes: int,
        edges: bool,
        dropout: float,
        attention: bool,
        weights: str,
        folder: str | Path | None,
        seed: int,
    ) -> None:
        if not 0 <= dropout < 1:
            raise Refusal(f"model.dropout={dropout} must be at least 0 and below 1; 0.1 is usual")
        decoder = seeded(lambda: LiteDecoder(classes=num_classes, dropout=dropout, attention=attention), seed)
        super().__init__(LiteReader(decoder, weights=weights, folder=folder), num_classes=num_classes)

    def forward(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        """The batch's pictures as they are, and the class scores at stride 4, (b, num_classes, h / 4, w / 4)."""
        assert isinstance(self.net, LiteReader)
        image = batch.require("image")
        return Synthesis(image=image, logits=self.net.scores(image))

    def save(
        self, folder: Path, *, classes: tuple[str, ...], pictures: Tensor, facts: Mapping[str, str]
    ) -> tuple[Path, str]:
        """Write the folded decoder in half precision; see `LabelReader.save`."""
        assert isinstance(self.net, LiteReader)
        assert isinstance(self.net.decoder, LiteDecoder)
        path, trunk = folder / self.file, self.net.trunk_stamp
        digest = write(self.net.decoder.folded(), path, classes=classes, facts={**facts, "trunk": trunk})
        return path, f"lite-reader:{digest} on {trunk}"
