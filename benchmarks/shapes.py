"""A round of training on tensors without values: what it asks of a device, seen before there is one.

The networks and the batch lie on torch's meta device, which knows shapes and types alone. A step that reads a number
off a tensor ends there with an error; copies, types, shapes, FLOPs and bytes are counted as the step goes.

    step = Step(module, [first_batch])    # its first round is a real one, on the CPU: what looks once has looked
    seen = step.round(batch)              # Seen: copies, doubles, products, flops, peak
"""

from __future__ import annotations

import contextlib
import functools
import traceback
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricOptimizer
from PIL import Image
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import scenegen
from scenegen.base.records import Batch
from scenegen.data.world import render
from scenegen.training.rounds import Rounds

OURS = f"{Path(scenegen.__file__).parent}/"
"""Start of the names of the package's files."""

PAINTED = ("data.count={count}", "data.test_count=2")
FOLDER = ("data.root={pictures}", "data.val_fraction=0")
TWO_FOLDERS = ("data.source={pictures}", "data.target={pictures}", "data.val_fraction=0")
FAMILIES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("gaugan", "sasame", "oasis", "cocosnetv1", "cocosnetv2", "unite", "sesame_editor"), PAINTED),
    **dict.fromkeys(("picnet", "picnet_spdnorm", "pconv", "pdgan", "cncl", "cncl_unet", "restormer"), PAINTED),
    **dict.fromkeys(("scenenet", "lite_reader", "smp"), PAINTED),
    **dict.fromkeys(("rrdb", "esrgan", "esrgan_log"), FOLDER),
    **dict.fromkeys(("cyclegan", "cut", "fastcut"), TWO_FOLDERS),
}
"""Every model but those that are another one by a second name -> words for its data, tiny or embedded."""


def painted(folder: str, *, count: int, side: int) -> None:
    """Write rendered pictures, for the models that read a folder."""
    for i in range(count):
        Image.fromarray(np.asarray(render(0, i, height=side, width=side).image)).save(Path(folder) / f"{i}.png")


FEW = 100
"""Numbers that may be float64: weights of classes, and no pictures."""

PRODUCTS = ("convolution", "convolution_backward", "mm", "addmm", "bmm", "baddbmm")


LAYOUTS: dict[tuple, list[tuple[torch.Size, tuple[int, ...], torch.dtype]]] = {}
"""(operation, signature of what it takes) -> shape, strides and type of new tensors; none where its first comes back.

A tensor without values has nothing else that an operation could hang on, and torch's formulas for it are slow Python.
"""


class Seen(TorchDispatchMode):
    """One round.

    Args:
        formulas: operation -> its FLOPs (`torch.utils.flop_counter.flop_registry`, which takes a second to import);
            None counts none.

    Attributes:
        copies: file of ours -> tensors that it sent from the CPU to the device.
        doubles: file of ours -> tensors of more than FEW float64 numbers.
        products: (convolution or matrix product, the result's shapes) -> how often.
        live, peak: bytes of the tensors on the device, now and at most; those from before the round count.
        flops: of the convolutions and matrix products, forward and backward.
    """

    def __init__(self, formulas: Mapping[Any, Callable[..., int]] | None = None) -> None:
        super().__init__()
        self.formulas = formulas or {}
        self.copies: Counter[str] = Counter()
        self.doubles: Counter[str] = Counter()
        self.products: Counter[tuple] = Counter()
        self.live = self.peak = self.flops = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        made = outcome(func, args, kwargs)
        given, tensors = tensors_in(args, kwargs), tensors_in(made)
        if len({x.device.type for x in (*given, *tensors) if x.ndim}) > 1:
            self.copies[place()] += 1
        if any(x.dtype == torch.float64 and x.numel() > FEW for x in tensors):
            self.doubles[place()] += 1
        packet = func.overloadpacket
        if packet in self.formulas:
            self.flops += self.formulas[packet](*args, **kwargs, out_val=made)
        if packet.__name__ in PRODUCTS:
            self.products[packet.__name__, tuple(tuple(x.shape) for x in tensors)] += 1
        for tensor in tensors:
            self.hold(tensor)
        return made

    def hold(self, tensor: Tensor) -> None:
        """Count the storage of a tensor on the device, until it is freed."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if tensor.device.type == "meta" and key not in self._known:
            self._known.add(key)
            self.live += storage.nbytes()
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self._free, key, storage.nbytes())

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size


def outcome(func: torch._ops.OpOverload, args: tuple, kwargs: dict[str, Any]) -> Any:
    """What an operation makes; its formula runs once for equal tensors on the meta device."""
    kind = makes(func)
    key = (func, signature(args), *kwargs, signature(tuple(kwargs.values()))) if kind else ()
    if kind is None or None in key:
        return func(*args, **kwargs)
    if key in LAYOUTS:
        made = [torch.empty_strided(size, stride, dtype=dtype, device="meta") for size, stride, dtype in LAYOUTS[key]]
        return args[0] if kind == "first" else made[0] if len(made) == 1 else tuple(made)
    made = func(*args, **kwargs)
    tensors = tensors_in(made)
    partial = len(tensors) < len(func._schema.returns)  # gradients that nobody asks for are None
    if kind == "new" and not partial and all(x.device.type == "meta" and whole(x) for x in tensors):
        LAYOUTS[key] = [(x.shape, x.stride(), x.dtype) for x in tensors]
    if kind == "first" and made is args[0]:
        LAYOUTS[key] = []
    return made


@functools.cache
def makes(func: torch._ops.OpOverload) -> Literal["new", "first"] | None:
    """Kind of an operation: "new" returns new tensors alone, "first" writes into its first argument and returns it.

    None for every other: views, numbers that are read, lists.
    """
    taken, returned = func._schema.arguments, func._schema.returns
    shared = {place: one.alias_info for place, one in enumerate(taken) if one.alias_info is not None}
    if not shared and returned and all(str(one.type) == "Tensor" for one in returned):
        return "new"
    written = set(shared) == {0} and shared[0].is_write
    return "first" if written and len(returned) == 1 and returned[0].alias_info is not None else None


def signature(given: Sequence[Any]) -> tuple | None:
    """Types, shapes and strides of tensors on the meta device, and all else as it is; None where one lies elsewhere."""
    signed = []
    for one in given:
        if isinstance(one, Tensor):
            if one.device.type != "meta":
                return None
            signed.append((one.dtype, one.shape, one.stride()))
        elif isinstance(one, list | tuple):
            inner = signature(one)
            if inner is None:
                return None
            signed.append(inner)
        else:
            signed.append((type(one), one))
    return tuple(signed)


def tensors_in(*values: Any) -> list[Tensor]:
    """Tensors among values and in what they hold."""
    return [one for one in tree_leaves(values) if isinstance(one, Tensor)]


def whole(tensor: Tensor) -> bool:
    """A tensor that fills its storage."""
    return tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()


class Step:
    """A module whose rounds run on the meta device, without a trainer.

    Args:
        module: as a config builds it; it is moved.
        first: batches of its first rounds, which run with values on the CPU; without any, what is looked at once in
            a run is taken for granted.
        device: "meta"; "cpu" leaves the values, for what is measured beside it.
    """

    def __init__(self, module: Rounds, first: Sequence[Batch] = (), *, device: str = "meta") -> None:
        self.module = module
        # Lightning's own keep tensors until a row is written; Fabric's read each at once
        module.log = module.log_dict = lambda *_, **__: None
        self.optimizers = self.equipped()
        self.trusting = not first
        for batch in first:
            self.run(batch)
        if device == "meta":
            module.to(device)  # which makes new parameters
            judge = module.discriminator
            module._judges = [p for p in judge.parameters() if p.requires_grad] if judge is not None else []
            self.optimizers = self.equipped()

    def equipped(self) -> list[_FabricOptimizer]:
        """The module's optimizers, for the parameters that it has now."""
        fabric = Fabric(accelerator="cpu", devices=1)
        own = self.module.configure_optimizers()
        made = [_FabricOptimizer(one, fabric.strategy) for one in own]  # which its setup refuses on the meta device
        self.module._fabric, self.module._fabric_optimizers = fabric, made
        return made

    def round(self, batch: Batch, formulas: Mapping[Any, Callable[..., int]] | None = None) -> Seen:
        """The next round, seen; `formulas` as in `Seen`."""
        batch = self.module.on_before_batch_transfer(batch, 0).to("meta")  # the CPU's part is not watched
        seen = Seen(formulas)
        for tensor in (*self.held(), *batch.tensors().values()):
            seen.hold(tensor)
        with seen:
            self._step(batch)
        return seen

    def run(self, batch: Batch) -> None:
        """The next round, with values on the CPU."""
        self._step(self.module.on_before_batch_transfer(batch, 0))

    def held(self) -> Iterator[Tensor]:
        """Weights, the last round's gradients, buffers and the optimizers' state."""
        for parameter in self.module.parameters():
            yield from (parameter,) if parameter.grad is None else (parameter, parameter.grad)
        yield from self.module.buffers()
        for optimizer in self.optimizers:
            for state in optimizer.optimizer.state.values():
                yield from (value for value in state.values() if isinstance(value, Tensor))

    def _step(self, batch: Batch) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(known_to_autocast())
            if self.trusting:
                stack.enter_context(mock.patch("scenegen.losses.features.refuse_range"))
            self.module.training_step(batch, 0)


@contextlib.contextmanager
def known_to_autocast() -> Iterator[None]:
    """Lets `torch.autocast("meta", enabled=False)` pass; torch knows no autocast there."""
    plain = torch.autocast

    def autocast(device_type: str, **options: Any) -> torch.autocast:
        return plain("cpu" if device_type == "meta" else device_type, **options)

    with mock.patch("torch.autocast", autocast):
        yield


@contextlib.contextmanager
def solver_left_out() -> Iterator[None]:
    """Without UNITE's transport solver: how long it runs hangs on its numbers, as released, so no shapes tell it."""
    room = "scenegen.networks.correspondence"

    def unsolved(cost: Tensor, a: Tensor, b: Tensor, *_) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return a * 0, b * 0, a * 0, b * 0

    length = mock.patch(f"{room}.annealing.Box.schedules", return_value=[[1.0]])
    with length, mock.patch(f"{room}.transport.solved", unsolved):
        yield


def place() -> str:
    """The file of ours, and its line, that is at work."""
    ours = [frame for frame in traceback.extract_stack() if frame.filename.startswith(OURS)]
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "no file of ours"
