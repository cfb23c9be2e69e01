"""The device that a benchmark runs on: its clock, memory and peak, on a GPU or on the CPU."""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Callable
from pathlib import Path

import torch
from memory import resident

GIB = 1 << 30
DENSE_BF16 = {
    r"H200 NVL": 835e12,
    r"H200": 989e12,
    r"H100 PCIe": 756e12,
    r"H100 NVL": 835e12,
    r"H100": 989e12,
    r"A100": 312e12,
    r"L40S": 362e12,
    r"L40": 181e12,
    r"L4": 121e12,
    r"RTX 4090": 165e12,
}
"""Name of a card, the longer ones first -> FLOP/s of its data sheet, without sparsity."""


def dense_bf16(name: str) -> float | None:
    """FLOP/s of the card that torch calls so, such as "NVIDIA H100 80GB HBM3"; None of one that is not known."""
    return next((flops for card, flops in DENSE_BF16.items() if re.search(rf"\b{card}\b", name)), None)


class Card:
    """The device, its clock, memory and peak."""

    def __init__(self, device: str) -> None:
        self.cuda = device != "cpu"
        self.device = torch.device("cuda" if self.cuda else "cpu")
        self.name = (
            torch.cuda.get_device_name()
            if self.cuda
            else f"{platform.machine()}, {torch.get_num_threads()} CPU threads"
        )
        self.words = ["trainer=gpu" if self.cuda else "trainer=cpu", "trainer.workers=0"]
        self.words += [] if self.cuda else ["trainer.precision=bf16-mixed", "trainer.channels_last=true"]
        self.measured = self.product(8192 if self.cuda else 512)
        self.peak = dense_bf16(self.name) or self.measured

    def seconds(self, call: Callable[[], object], *, times: int) -> float:
        """Least seconds of a call after one that warms up."""
        found = []
        for _ in range(times + 1):
            self.wait()
            start = time.perf_counter()
            call()
            self.wait()
            found.append(time.perf_counter() - start)
        return min(found[1:])

    def product(self, side: int) -> float:
        """FLOP/s of a product of two square matrices in bf16."""
        a = torch.randn(side, side, device=self.device, dtype=torch.bfloat16)
        return 2 * side**3 / self.seconds(lambda: a @ a, times=5)

    def wait(self) -> None:
        if self.cuda:
            torch.cuda.synchronize()

    def forget(self) -> None:
        """Count the peak of memory from now on."""
        if self.cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        else:
            Path("/proc/self/clear_refs").write_text("5")

    def peak_gib(self) -> float:
        return torch.cuda.max_memory_allocated() / GIB if self.cuda else resident("VmHWM") / 2**10
