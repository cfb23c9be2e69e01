"""A generator as one graph of tensors, label maps in and uint8 pictures out, for runtimes without this package."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from scenegen.base.pictures import to_uint8
from scenegen.base.records import Batch, SceneModel
from scenegen.base.refusal import Refusal
from scenegen.networks.generators.painter import Painter
from scenegen.networks.layers.class_noise import ClassNoise, NoiseField, Pass
from scenegen.networks.layers.spade import nearest

OPSET = 20
LABELS = ("label", "instance", "exemplar_label")
PICTURES = ("exemplar",)
LAYER = "noise_{}"
"""Input of the class noise of a layer."""

CLOSE = 1e-4
"""Greatest difference of a picture in [-1, 1] between a graph and its model. As uint8 that is one grey level, where the
value lies so near to the middle between two: in CLOSE * 255 of the places on average."""

Run = Callable[[Sequence[Tensor]], np.ndarray]
"""A graph opened anew: its inputs in order -> (b, 3, h, w) uint8."""


@dataclass(frozen=True)
class Input:
    """An input of the graph; its first side is the batch.

    Attributes:
        name: a field of Batch, "noise", or "noise_<layer>" for class noise.
        sides: of one sample.
        classes: ids of a label map lie in [0, classes); 0 for standard normal noise and for pictures in [-1, 1].
    """

    name: str
    sides: tuple[int, ...]
    classes: int = 0

    @property
    def spelt(self) -> str:
        """Name, shape and content in words."""
        content = f"int64 ids 0..{self.classes - 1}" if self.classes else "float32, standard normal"
        if self.name in PICTURES:
            content = "float32 in [-1, 1]"
        return f"{self.name} (batch, {', '.join(map(str, self.sides))}), {content}"

    def example(self, count: int, *, seed: int) -> Tensor:
        """A drawn tensor of so many samples: ids in blocks, standard normal noise, or pictures of it."""
        stream = torch.Generator().manual_seed(seed)
        if not self.classes:
            drawn = torch.randn(count, *self.sides, generator=stream)
            return drawn.clamp(-1, 1) if self.name in PICTURES else drawn
        h, w = self.sides
        blocks = torch.randint(self.classes, (count, 1, 4, 4), generator=stream).float()
        return nn.functional.interpolate(blocks, size=(h, w), mode="nearest")[:, 0].long()


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
        model: one that paints label maps.
        size: (height, width) of the pictures.

    Attributes:
        inputs: of `forward`.
        per_sample: the graph takes one sample at a time, as exemplar models match each on its own.
    """

    def __init__(self, model: SceneModel, *, size: tuple[int, int]) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.per_sample = "exemplar" in model.reads
        fields = [name for name in (*LABELS, *PICTURES) if name in model.reads]
        sides = {name: (3, *size) if name in PICTURES else size for name in fields}
        self.inputs = [Input(name, sides[name], 0 if name in PICTURES else model.num_classes) for name in fields]
        if model.noise_shape is not None:
            self.inputs.append(Input("noise", model.noise_shape))
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
        fields: dict[str, Any] = {name: given[name] for name in (*LABELS, *PICTURES) if name in given}
        batch = Batch(**fields, classes=self.model.num_classes)
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
    shown = graph.examples(1 if graph.per_sample else 3, seed=0)
    sides = None if graph.per_sample else (tuple({0: torch.export.Dim.AUTO} for _ in shown),)
    names = [each.name for each in graph.inputs]
    with warnings.catch_warnings():
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

    def run(tensors: Sequence[Tensor]) -> np.ndarray:
        (picture,) = session.run(None, {name: t.numpy() for name, t in zip(names, tensors, strict=True)})
        return np.asarray(picture)

    return run


@torch.no_grad()
def write_torchscript(graph: Graph, path: Path) -> Run:
    """Write a graph for libtorch and open it anew; arguments and result as `write_onnx`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced: Any = torch.jit.trace(graph, graph.examples(1 if graph.per_sample else 3, seed=0), check_trace=False)
        try:
            traced.save(str(path))
        except RuntimeError as error:
            raise Refusal("format=torchscript: this model has steps of its own whose gradients are written by hand, "
                          "which TorchScript does not store; use format=onnx") from error  # fmt: skip
        opened: Any = torch.jit.load(str(path))
    return lambda tensors: opened(*tensors).numpy()


@torch.no_grad()
def difference(graph: Graph, run: Run) -> tuple[int, float]:
    """Largest difference in grey levels, and share of different values, of a graph opened anew and its model.

    Batches of one, two and five samples that the export has not seen; one sample where the graph takes no more.
    """
    largest, different, values = 0, 0, 0
    for count in (1,) if graph.per_sample else (1, 2, 5):
        tensors = graph.examples(count, seed=1000 * count)
        ours, theirs = graph(*tensors).numpy().astype(int), run(tensors).astype(int)
        off = np.abs(ours - theirs)
        largest, different, values = max(largest, int(off.max())), different + int((off > 0).sum()), values + off.size
    return largest, different / values
