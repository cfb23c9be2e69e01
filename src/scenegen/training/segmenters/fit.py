"""Train a segmenter: pictures cached in memory, light augmentation, AdamW on one cycle."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.networks.frozen.scenenet import FEATURE_LAYERS, SceneNet
from scenegen.training.segmenters.augment import distort


@dataclass(frozen=True)
class Pictures:
    """Pictures in memory.

    Attributes:
        image: (n, 3, h, w) uint8.
        label: (n, h, w) uint8 or int16 class ids.
    """

    image: Tensor
    label: Tensor

    def __len__(self) -> int:
        return self.image.shape[0]

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Image (b, 3, h, w) float in [-1, 1] and label (b, h, w) int64, in order."""
        for image, label in zip(self.image.split(size), self.label.split(size), strict=True):
            yield image.float() / 127.5 - 1, label.long()


@dataclass(frozen=True)
class Schedule:
    """How long and how hard to train.

    Attributes:
        steps: number of steps.
        batch_size: pictures per step.
        lr: peak of the one-cycle learning rate.
        weight_decay: AdamW's.
        balance: a class with the share p of all pixels weighs p**-balance in the loss; 0 counts pixels alike,
            0.5 hurts the large classes, in between the small ones are learnt at no cost to pixel accuracy.
        bf16: autocast to bfloat16; on a CPU with avx512_bf16 a step takes half of fp32's time.
        seed: of weights, order and augmentation.
        device: where to train.
    """

    steps: int
    batch_size: int = 8
    lr: float = 3e-3
    weight_decay: float = 0.02
    balance: float = 0.25
    bf16: bool = True
    seed: int = 1
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.steps < 2 or self.batch_size < 2:
            raise Refusal(f"steps={self.steps} and batch_size={self.batch_size} must both be at least 2")
        if not (0 < self.lr < 1 and self.weight_decay >= 0):
            raise Refusal(f"lr={self.lr} must lie in (0, 1) and weight_decay={self.weight_decay} must not be negative")
        if not 0 <= self.balance <= 1:
            raise Refusal(f"balance={self.balance} must lie in [0, 1]")


@dataclass(frozen=True)
class Step:
    """What is known after a step: its number from 1, running loss and pixel accuracy, pictures per second."""

    number: int
    loss: float
    accuracy: float
    images_per_second: float


def train_segmenter(
    pictures: Sequence[Pictures],
    *,
    classes: int,
    schedule: Schedule,
    ignore: int | None = None,
    report: Callable[[Step], None] = lambda _: None,
    net: Any = None,
) -> Any:
    """Train a segmenter on pictures with label maps; equal arguments give equal nets on one machine.

    Args:
        pictures: groups of pictures; within one all have one size. A batch comes from one group.
        classes: number of classes.
        schedule: how long and how hard.
        ignore: the id that the loss leaves out.
        report: called after each step.
        net: maps pictures in [-1, 1] to logits; None is a SceneNet that starts from the schedule's seed.

    Returns:
        The net in eval mode, norms not yet folded.

    Raises:
        Refusal: when there are too few pictures, or the loss is no longer finite.
    """
    if min((len(p) for p in pictures), default=0) < 2:
        raise Refusal("a segmenter needs at least two pictures to learn from; give more of them")
    generator = torch.Generator().manual_seed(schedule.seed)
    with torch.random.fork_rng(devices=[]):  # the layers' own init draws from the global generator
        torch.manual_seed(schedule.seed)
        net = SceneNet(classes=classes) if net is None else net
    net = net.to(schedule.device, memory_format=torch.channels_last).train()  # pyright: ignore[reportCallIssue]
    optimizer = torch.optim.AdamW(net.parameters(), lr=schedule.lr, weight_decay=schedule.weight_decay)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=schedule.lr, total_steps=schedule.steps, pct_start=min(0.3, 2 / schedule.steps + 0.15)
    )
    weight = class_weights(pictures, classes=classes, ignore=ignore, power=schedule.balance).to(schedule.device)
    source = _endless(pictures, batch=schedule.batch_size, generator=generator)
    loss_mean, accuracy_mean, began = 0.0, 0.0, time.perf_counter()
    for step in range(1, schedule.steps + 1):
        image, label = distort(*next(source), generator=generator)
        image = image.to(schedule.device, memory_format=torch.channels_last)
        label = label.to(schedule.device)
        # Half of the rows: the softmax over all of them took a quarter of the step, and neighbours teach the same.
        rows = slice(step % 2, None, 2)
        with torch.autocast(image.device.type, torch.bfloat16, enabled=schedule.bf16):
            logits = net(image)
        logits = logits[..., rows, :].float().contiguous()
        loss, accuracy = _update(net, optimizer, logits, label[:, rows], weight=weight, ignore=ignore)
        cycle.step()
        if not loss < 1e4:
            raise Refusal(f"the loss is {loss} at step {step}; lower lr={schedule.lr}")
        share = max(0.02, 1 / step)
        loss_mean += share * (loss - loss_mean)
        accuracy_mean += share * (accuracy - accuracy_mean)
        speed = step * schedule.batch_size / (time.perf_counter() - began)
        report(Step(number=step, loss=loss_mean, accuracy=accuracy_mean, images_per_second=speed))
    return net.eval()


def class_weights(pictures: Sequence[Pictures], *, classes: int, ignore: int | None, power: float) -> Tensor:
    """(classes,) weights p**-power of the classes by their share p of the pixels, 1 for the average pixel."""
    counts = sum(torch.bincount(p.label.flatten().int(), minlength=classes) for p in pictures)
    assert isinstance(counts, Tensor)
    counts = counts.double()
    if ignore is not None:
        counts[ignore] = 0
    share = counts / counts.sum().clamp(min=1)
    weight = share.clamp(min=1e-4) ** -power  # the floor keeps a class of three pixels from ruling the loss
    return (weight / (weight * share).sum().clamp(min=1e-8)).float()


def _update(
    net: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    logits: Tensor,
    label: Tensor,
    *,
    weight: Tensor,
    ignore: int | None,
) -> tuple[float, float]:
    loss = F.cross_entropy(logits, label, weight=weight, ignore_index=-100 if ignore is None else ignore)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
    optimizer.step()
    counted = label != (-1 if ignore is None else ignore)
    hits = (logits.detach().argmax(dim=1) == label) & counted
    return loss.item(), (hits.sum() / counted.sum().clamp(min=1)).item()


def _endless(
    pictures: Sequence[Pictures], *, batch: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches without end: each group in an order drawn anew when it is used up, groups by their weight."""
    queues: list[list[int]] = [[] for _ in pictures]
    share = torch.tensor([float(len(p)) for p in pictures])
    while True:
        which = int(torch.multinomial(share, 1, generator=generator))
        group, queue = pictures[which], queues[which]
        if len(queue) < batch:
            queue += torch.randperm(len(group), generator=generator).tolist()
        chosen, queue[:] = torch.tensor(queue[:batch]), queue[batch:]
        yield group.image[chosen].float() / 127.5 - 1, group.label[chosen].long()


@dataclass(frozen=True)
class HeldOut:
    """Figures on pictures that the net has not seen.

    Attributes:
        count: number of pictures.
        accuracy: share of right pixels, pooled over all pictures, without the ignored id.
        iou: per class intersection over union; NaN for a class that is neither there nor predicted.
    """

    count: int
    accuracy: float
    iou: tuple[float, ...]

    @property
    def mean_iou(self) -> float:
        known = [x for x in self.iou if x == x]
        return sum(known) / max(1, len(known))


@torch.no_grad()
def evaluate(net: torch.nn.Module, pictures: Pictures, *, ignore: int | None = None, batch: int = 16) -> HeldOut:
    """Pixel accuracy and per-class IoU of a net, in fp32.

    Args:
        net: in eval mode.
        pictures: held-out pictures.
        ignore: the id that does not count.
        batch: pictures per forward pass.
    """
    device = next(net.parameters()).device
    classes, tables = 0, []
    for image, label in pictures.batches(batch):
        logits = net(image.to(device))
        classes, guess = logits.shape[1], logits.argmax(dim=1).cpu()
        counted = label != (-1 if ignore is None else ignore)
        tables.append(torch.bincount(label[counted] * classes + guess[counted], minlength=classes * classes))
    confusion = torch.stack(tables).sum(0).view(classes, classes).double()
    hit = confusion.diagonal()
    union = confusion.sum(0) + confusion.sum(1) - hit
    if ignore is not None:
        union[ignore] = 0
    iou = torch.where(union > 0, hit / union.clamp(min=1), torch.nan)
    accuracy = (hit.sum() / confusion.sum().clamp(min=1)).item()
    return HeldOut(count=len(pictures), accuracy=accuracy, iou=tuple(iou.tolist()))


@torch.no_grad()
def feature_scale(net: SceneNet, pictures: Pictures, *, batch: int = 16) -> list[float]:
    """Per feature layer the factor that gives its pooled features a total variance of 50 over the pictures."""
    rows = []
    for image, _ in pictures.batches(batch):
        stages = net.stages(image.to(net.head.weight.device))
        rows.append([stages[i].mean(dim=(2, 3)).cpu() for i in FEATURE_LAYERS])
    totals = [torch.cat(layer).var(dim=0).sum() for layer in zip(*rows, strict=True)]
    return [round((50 / total.clamp(min=1e-8)).sqrt().item(), 4) for total in totals]
