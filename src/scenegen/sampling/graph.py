"""A generator as one graph of tensors, its inputs in and uint8 pictures out, for runtimes without this package."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from scenegen.base.pictures import to_uint8
from scenegen.base.records import SceneModel
from scenegen.base.refusal import Refusal
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
"""A graph opened anew: its inputs in order -> (b, 3, h, w) uint8."""


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

    Attributes:
        inputs: of `forward`.
    """

    def __init__(self, model: SceneModel, *, size: tuple[int, int]) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.inputs = inputs_of(model, size=size)
        self._field = self._taken()
        if self._field is None:
            return
        with torch.no_grad():
            self(*(each.example(1, seed=0) for each in self.inputs))
        if isinstance(model, Painter) and model.key_alone:
            self.inputs.pop()
        self.inputs += [Input(LAYER.format(layer), (1, *sides)) for layer, sides in self._field.sizes.items()]

    def forward(self, *tensors: Tensor) -> Tensor:
        """(b, 3, h, w) uint8 pictures."""
        given = dict(zip((each.name for each in self.inputs), tensors, strict=True))
        batch = batch_of(self.model, given)
        if self._field is not None:
            names = {layer: LAYER.format(layer) for layer in self._field.sizes}
            self._field.given = {layer: given[name] for layer, name in names.items() if name in given}
        return to_uint8(self.model.sample(batch, noise=given.get("noise")).image)

    def _taken(self) -> GivenField | None:
        """Put a field that takes noise in the place of the one that every layer draws from."""
        if not isinstance(self.model, Painter) or self.model.field is None:
            return None
        field = self.model.field = GivenField()
        for module in self.model.modules():
            if isinstance(module, ClassNoise):
                module.field = field
        return field

    def examples(self, count: int, *, seed: int) -> tuple[Tensor, ...]:
        """Drawn inputs of so many samples."""
        return tuple(each.example(count, seed=seed + place) for place, each in enumerate(self.inputs))


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
    shown = graph.examples(3, seed=0)
    sides = (tuple({0: torch.export.Dim.AUTO} for _ in shown),)
    names = [each.name for each in graph.inputs]
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()):  # where torch prints the graph of what it refuses
        warnings.simplefilter("ignore")
        try:
            program = torch.export.export(graph, shown, dynamic_shapes=sides, strict=False)
        except (RuntimeError, GuardOnDataDependentSymNode) as error:
            raise Refusal(f"format=onnx: this model decides by the values that it meets how much it computes "
                          f"({str(error).splitlines()[0]}), which no fixed graph does; use format=safetensors"
                          ) from error  # fmt: skip
        made = torch.onnx.export(
            program, dynamo=True, verbose=False, input_names=names, output_names=["picture"], opset_version=OPSET
        )
    assert made is not None
    made.save(str(path))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    if any(isinstance(each.shape[0], int) for each in session.get_inputs()):
        raise Refusal("format=onnx: this model fixes the number of samples while it computes, so its graph would take "
                      "no other; use format=safetensors")  # fmt: skip

    def run(tensors: Sequence[Tensor]) -> np.ndarray:
        (picture,) = session.run(None, {name: t.numpy() for name, t in zip(names, tensors, strict=True)})
        return np.asarray(picture)

    return run


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
def difference(graph: Graph, run: Run) -> tuple[int, float]:
    """Largest difference in grey levels, and share of different values, of a graph opened anew and its model.

    Batches of one, two and five samples that the export has not seen.
    """
    largest, different, values = 0, 0, 0
    for count in (1, 2, 5):
        tensors = graph.examples(count, seed=1000 * count)
        ours, theirs = graph(*tensors).numpy().astype(int), run(tensors).astype(int)
        off = np.abs(ours - theirs)
        largest, different, values = max(largest, int(off.max())), different + int((off > 0).sum()), values + off.size
    return largest, different / values
