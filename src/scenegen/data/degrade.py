"""Pictures that are made worse, to be the source of the pictures that they were: the options of degrade=."""

from __future__ import annotations

import numpy as np
from PIL import Image

from scenegen.base.records import Refusal


class Smaller:
    """Both sides divided, by Pillow's bicubic, which filters.

    Args:
        factor: of both sides, 2 or more.

    Source: Wang et al., ECCV workshops 2018 (ESRGAN), section 4.1; Pillow's filter as in the log's port.
    """

    def __init__(self, *, factor: int) -> None:
        if not 2 <= factor <= 16:
            raise Refusal(f"degrade.factor={factor} must lie in 2..16; 2 halves both sides")
        self.factor = factor

    def __call__(self, photo: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 to (h / factor, w / factor, 3) uint8.

        Raises:
            Refusal: sides that do not divide.
        """
        h, w = photo.shape[:2]
        if h % self.factor or w % self.factor:
            raise Refusal(f"degrade=smaller divides both sides by {self.factor}, but pictures of {h}x{w} do not; "
                          "choose size.height= and size.width= that do")  # fmt: skip
        small = Image.fromarray(photo).resize((w // self.factor, h // self.factor), Image.Resampling.BICUBIC)
        return np.array(small)
