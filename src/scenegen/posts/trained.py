"""Posts by a trained network that reads a picture and makes a picture."""

from __future__ import annotations

import hashlib
from typing import ClassVar

from torch import Tensor

from scenegen.base.records import Batch, Refusal, SceneModel
from scenegen.posts.post import Post


class Trained(Post):
    """Pictures through the model of a run.

    Args:
        run: name or folder of the run.
        model: its model, which reads `source` alone.
        step: of its checkpoint.

    Attributes:
        fitting: options of model= whose runs can be this post.

    Raises:
        Refusal: a model that reads more than a picture, or another thing.
    """

    fitting: ClassVar[str] = "cyclegan, cut or fastcut"

    def __init__(self, *, run: str, model: SceneModel, step: int) -> None:
        super().__init__()
        if model.reads != {"source"}:
            raise Refusal(
                f"a post reads a picture alone, but the model of run {run} reads "
                f"{', '.join(sorted(model.reads)) or 'noise alone'}; give a run of model={self.fitting}"
            )
        self.model = model.eval().requires_grad_(False)
        self.stamp = f"{type(model).__name__} of step {step}, weights {digest(model)}"

    def forward(self, picture: Tensor, batch: Batch) -> Tensor:
        """The model's picture, clamped to [-1, 1]."""
        given = Batch(source=picture, name=batch.name)
        return self.model.to(picture.device).sample(given).image.clamp(-1, 1)


def digest(model: SceneModel) -> str:
    """12 hex digits of a model's weights."""
    whole = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        whole.update(name.encode())
        whole.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return whole.hexdigest()[:12]
