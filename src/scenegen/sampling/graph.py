"""A generator as one graph of tensors for runtimes without this package: inputs in, uint8 pictures or slices out."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from scenegen.base.depth import Depth
from scenegen.base.pictures import to_uint8
from scenegen.base.records import SceneModel
from scenegen.base.refusal import Refusal
from scenegen.networks.generators.hole_filler import OverCoarse, middle_completion
from scenegen.networks.generators.painter import Painter
from scenegen.networks.layers.class_noise import ClassNoise, NoiseField, Pass
from scenegen.networks.layers.spade import nearest
from scenegen.sampling.inputs import Input, batch_of, inputs_of

OPSET = 20
LAYER = "noise_{}"
"""Input of the class noise of a layer."""

CLOSE = 1e-4
"""Greatest difference of a picture in [-1, 1] between a graph and its model. As uint8 that is one grey level, where the
value lies so near to the middle between two: in CLOSE * 255 of the places on average."""

Run = Callable[[Sequence[Tensor]], np.ndarray]
"""A graph opened anew: its inputs in order -> its pictures."""


class GivenField(NoiseField):
    """Class noise that comes as tensors, one per layer, in place of being drawn.

    Attributes:
        sizes: layer -> (h, w), written down while the noise is still drawn.
        given: layer -> (b, 1, h, w) standard normal; empty to draw.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[int, tuple[int, int]] = {}
        self.given: dict[int, Tensor] = {}

    @contextmanager
    def drawn(self, planes: Tensor, noise: Tensor | None) -> Iterator[None]:
        if not self.given:
            with super().drawn(planes, noise):
                yield
            return
        self._pass = Pass(planes, planes.new_zeros(1))
        try:
            yield
        finally:
            self._pass = None

    def at(self, size: torch.Size, *, layer: int) -> Pass:
        if not self.given:
            self.sizes[layer] = (int(size[0]), int(size[1]))
            return super().at(size, layer=layer)
        assert self._pass is not None
        return Pass(nearest(self._pass.planes, size), self.given[layer])


class Graph(nn.Module):
    """A model in eval mode as a function of tensors, in the order of `inputs`.

    The ids are not looked at: who feeds the graph checks them.

    Args:
        model: one that paints.
        size: (height, width) of the pictures.
        depth: of the slices of a denoiser, which then come and go in Hounsfield units.
        coarse: the model whose completions `model` paints over; it becomes a part of the graph.

    Attributes:
        inputs: of `forward`.
    """

    def __init__(
        self,
        model: SceneModel,
        *,
        size: tuple[int, int],
        depth: Depth | None = None,
        coarse: SceneModel | None = None,
    ) -> None:
        super().__init__()
        self.model, self.depth = model.eval().requires_grad_(False), depth
        if coarse is not None:
            assert isinstance(model, OverCoarse)
            self.coarse = coarse.eval().requires_grad_(False)
            model.fill = partial(middle_completion, coarse)
        self.inputs = inputs_of(model, size=size, depth=depth)
        self._field = self._taken()
        if self._field is None:
            return
        with torch.no_grad():
            self(*(each.example(1, seed=0) for each in self.inputs))
        if isinstance(model, Painter) and model.key_alone:
            self.inputs.pop()
        self.inputs += [Input(LAYER.format(layer), (1, *sides)) for layer, sides in self._field.sizes.items()]

    def forward(self, *tensors: Tensor) -> Tensor:
        """(b, 3, h, w) uint8 pictures; of a denoiser (b, 1, h, w) float32 Hounsfield units."""
        given = dict(zip((each.name for each in self.inputs), tensors, strict=True))
        if self.depth is not None:
            given["source"] = self.depth.pictures(given["source"])
        batch = batch_of(self.model, given)
        if self._field is not None:
            names = {layer: LAYER.format(layer) for layer in self._field.sizes}
            self._field.given = {layer: given[name] for layer, name in names.items() if name in given}
        image = self.model.sample(batch, noise=given.get("noise")).image
        return to_uint8(image) if self.depth is None else self.depth.units(image).float()

    def _taken(self) -> GivenField | None:
        """Put a field that takes noise in the place of the one that every layer draws from."""
        if not isinstance(self.model, Painter) or self.model.field is None:
            return None
        field = self.model.field = GivenField()
        for module in self.model.modules():
            if isinstance(module, ClassNoise):
                module.field = field
        return field

    def examples(self, count: int, *, seed: int, longer: int = 0) -> tuple[Tensor, ...]:
        """Drawn inputs of so many samples; see `Input.example`."""
        return tuple(each.example(count, seed=seed + place, longer=longer) for place, each in enumerate(self.inputs))


@dataclass(frozen=True)
class Difference:
    """Differences of a graph's pictures and its model's.

    Attributes:
        largest: grey levels of 255, or Hounsfield units.
        share: of the values that differ.
        depth: of slices; None for uint8 pictures.
    """

    largest: float
    share: float
    depth: Depth | None = None

    @property
    def close(self) -> bool:
        """True where no more than CLOSE of [-1, 1] lies between both."""
        if self.depth is None:
            return self.largest <= 1 and self.share <= 255 * CLOSE
        return self.largest <= CLOSE * self.window / 2

    @property
    def window(self) -> float:
        """Numbers from the lowest to the highest value: grey levels, or Hounsfield units."""
        return 255.0 if self.depth is None else self.depth.high - self.depth.low

    def __str__(self) -> str:
        if self.depth is None:
            return f"up to {self.largest:g} of 255 grey levels beside it, in {self.share:.4%} of the values"
        return f"up to {self.largest:.4f} of {self.window:g} Hounsfield units beside it"


@torch.no_grad()
def write_onnx(graph: Graph, path: Path) -> Run:
    """Write a graph for ONNX runtimes and open it anew.

    Args:
        graph: with its weights on the CPU.
        path: the file.

    Returns:
        The graph as onnxruntime runs it.

    Raises:
        Refusal: without the packages, or for a model whose work depends on the values that it meets.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  the exporter asks for it
    except ModuleNotFoundError as error:
        raise Refusal(f"format=onnx needs the package {error.name}; install the extra: pip install "
                      "'scenegen-landscapes[export]'") from error  # fmt: skip
    _write_program(graph, path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [each.name for each in graph.inputs]

    def run(tensors: Sequence[Tensor]) -> np.ndarray:
        (picture,) = session.run(None, {name: t.numpy() for name, t in zip(names, tensors, strict=True)})
        return np.asarray(picture)

    try:
        run(graph.examples(2, seed=0))
    except Exception as error:  # onnxruntime's errors share no other class
        raise Refusal("format=onnx: this model fixes the number of samples while it computes, so its graph would take "
                      "no other; use format=safetensors") from error  # fmt: skip
    return run


def _write_program(graph: Graph, path: Path) -> None:
    """Write what a graph computes, in operations of ONNX."""
    shown = graph.examples(3, seed=0)
    names = [each.name for each in graph.inputs]
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()):  # where torch prints the graph of what it refuses
        warnings.simplefilter("ignore")
        try:
            program = torch.export.export(graph, shown, dynamic_shapes=(_free_sides(graph),), strict=False)
        except (RuntimeError, GuardOnDataDependentSymNode) as error:
            raise Refusal(f"format=onnx: this model decides by the values that it meets how much it computes "
                          f"({str(error).splitlines()[0]}), which no fixed graph does; use format=safetensors"
                          ) from error  # fmt: skip
        made = torch.onnx.export(
            program, dynamo=True, verbose=False, input_names=names, output_names=["picture"], opset_version=OPSET
        )
    assert made is not None
    made.save(str(path))


def _free_sides(graph: Graph) -> tuple[dict[int, Any], ...]:
    """For each input, axis -> what torch.export may assume of its length: the batch, and slices' height and width."""
    height, width = (torch.export.Dim(f"steps_{side}") for side in ("down", "across"))
    return tuple(
        {0: torch.export.Dim.AUTO}
        if each.depth is None
        else {0: torch.export.Dim.AUTO, 2: each.step * height, 3: each.step * width}
        for each in graph.inputs
    )


@torch.no_grad()
def write_torchscript(graph: Graph, path: Path) -> Run:
    """Write a graph for libtorch and open it anew; arguments and result as `write_onnx`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced: Any = torch.jit.trace(graph, graph.examples(3, seed=0), check_trace=False)
        try:
            traced.save(str(path))
        except RuntimeError as error:
            raise Refusal("format=torchscript: this model has steps of its own whose gradients are written by hand, "
                          "which TorchScript does not store; use format=safetensors") from error  # fmt: skip
        opened: Any = torch.jit.load(str(path))
    try:
        opened(*graph.examples(2, seed=0))
    except RuntimeError as error:
        raise Refusal("format=torchscript: this model fixes the number of samples while it computes, so its graph "
                      "would take no other; use format=safetensors") from error  # fmt: skip
    return lambda tensors: opened(*tensors).numpy()


@torch.no_grad()
def difference(graph: Graph, run: Run) -> Difference:
    """Differences of a graph opened anew and its model, on batches of one, two and five that the export has not seen;
    of slices in three sizes."""
    largest, different, values = 0.0, 0, 0
    for longer, count in enumerate((1, 2, 5)):
        tensors = graph.examples(count, seed=1000 * count, longer=longer)
        off = np.abs(graph(*tensors).numpy().astype(np.float64) - run(tensors))
        largest = float(np.maximum(largest, off.max()))
        different, values = different + int((off > 0).sum()), values + off.size
    return Difference(largest, different / values, graph.depth)
