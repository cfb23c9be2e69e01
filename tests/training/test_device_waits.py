"""A round of every family on tensors without values: no wait for a device, no float64, the same products each time."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from benchmarks.shapes import FAMILIES, Seen, Step, outcome, solver_left_out

import scenegen.networks.layers.semantics as room
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.data.samples import collate
from tests.worlds import picture

TINY = ("size=tiny", "width=tiny", "weights=random", "batch_size=2", "extractor=scenenet")
FURTHER = {
    "gaugan": ("trick=ema+diffaugment", "loss=ms_ssim_l1"),
    "oasis": ("trick=ema_oasis",),
    "cocosnetv2": ("model.iterations=1",),
    "rrdb": ("model.blocks=1",),
    "esrgan": ("model.blocks=1", "extractor=vgg"),
    "esrgan_log": ("extractor=vgg", "trick.pace.start=1"),
}
"""Words beside those of FAMILIES: tricks that draw on the CPU, fewer of many equal parts."""
LIKE_ANOTHER = {"sasame", "cocosnetv1", "cocosnetv2", "sesame_editor", "picnet", "picnet_spdnorm", "pconv", "cncl_unet",
                "restormer", "lite_reader", "smp", "esrgan", "esrgan_log", "fastcut"}  # fmt: skip
"""Models that meet terms, tricks and layers of another one here."""
FIRST = {"esrgan_log": 2}
"""Models that meet all of their terms after more than one round."""
SENDS = "devices.py"
"""The file whose `sent` does not wait."""
DRAWN_SIZE = {"scenenet", "lite_reader", "smp"}
"""Models whose trick=distort draws one of two sizes for each batch."""


def test_the_table_holds_every_model() -> None:
    from tests.test_families import options

    assert set(FAMILIES) | {"sesame"} == set(options("model"))  # sesame is sasame by another name


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    for i in range(6):
        picture(root / f"p{i}.png")
    return root


@pytest.mark.parametrize(
    "model", [pytest.param(m, marks=pytest.mark.thorough) if m in LIKE_ANOTHER else m for m in FAMILIES]
)
def test_a_round_waits_for_no_device(model: str, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers, conditions and indices that hang on values have none there: torch itself refuses them."""
    words = [word.format(pictures=pictures, count=6) for word in (*FAMILIES[model], *FURTHER.get(model, ()))]
    config = plan(compose("train", [f"model={model}", *TINY, *words])).config
    data = build.dataset(config, split="train")
    batches = [collate([data[(0, i)] for i in pair]) for pair in ((0, 1), (2, 3), (4, 5))]
    made: Counter[int] = Counter()
    plain = room.semantics
    monkeypatch.setattr(room, "semantics", lambda label, **kw: made.update([id(label)]) or plain(label, **kw))
    step = Step(build.rounds(config, data), first=batches[: FIRST.get(model, 1)])
    assert set(made.values()) <= {1}, "each label map becomes planes once"
    with solver_left_out() if model == "unite" else nullcontext():
        one, two = (step.round(batch) for batch in batches[1:])
    for seen in (one, two):
        assert {place for place in seen.copies if not place.startswith(SENDS)} == set(), "sent with a wait"
        assert not seen.doubles
        assert seen.products
    moments = {tensor.device.type for tensor in step.held() if tensor.ndim}
    assert moments == {"meta"}, "the optimizers' steps ran there too"
    assert all(optimizer.optimizer.state for optimizer in step.optimizers)
    if model not in DRAWN_SIZE:
        assert one.products == two.products


@pytest.mark.parametrize("read", [torch.Tensor.item, torch.Tensor.tolist, torch.Tensor.numpy, torch.nonzero, bool])
def test_what_waits_for_a_device_is_refused_there(read) -> None:
    refusals = (RuntimeError, NotImplementedError, TypeError)  # numpy() has no kernel there, tolist() no type
    with pytest.raises(refusals, match="meta"):
        read(torch.ones(1, device="meta"))


@pytest.mark.parametrize("time", ["first", "again"])
def test_copies_and_doubles_are_seen(time: str) -> None:
    """Also where what an operation makes is known from the time before."""
    with Seen() as seen:
        torch.zeros(3).to("meta")
        torch.zeros(200, device="meta").double().mean()
    assert sum(seen.copies.values()) == 1
    assert sum(seen.doubles.values()) == 1
    assert seen.peak == 200 * 12


def test_what_is_known_of_an_operation_is_what_it_makes() -> None:
    """Strides, types, results that nobody asks for, and the first argument itself where an operation writes into it."""
    x, weight = torch.ones(2, 3, 8, 6, device="meta").mT, torch.ones(4, 3, 3, 3, device="meta")
    op, conv = torch.ops.aten, ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)
    taken = [
        (op.mul.Tensor, (x, x)),
        (op.mul.Tensor, (x, x.contiguous())),
        (op.mul.Tensor, (x.long(), 2)),
        (op.mul.Tensor, (x.long(), 2.0)),
        (op.cat.default, ([x, x], 1)),
        (op.native_batch_norm.default, (x, None, None, None, None, True, 0.1, 1e-5)),
        (op.convolution.default, (x, weight, None, *conv)),
        (op.convolution_backward.default, (x[:, [0, 0, 0, 0]], x, weight, None, *conv, [False, True, False])),
    ]
    for func, args in taken:
        facts = []
        for made in (func(*args), outcome(func, args, {}), outcome(func, args, {})):
            all_made = made if isinstance(made, tuple) else (made,)
            facts.append([y if y is None else (y.shape, y.stride(), y.dtype, y.device) for y in all_made])
        assert facts[0] == facts[1] == facts[2], func
    assert outcome(op.add_.Tensor, (x, 1), {}) is outcome(op.add_.Tensor, (x, 1), {}) is x
