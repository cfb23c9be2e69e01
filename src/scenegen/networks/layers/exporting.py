"""Graphs that are passed on: the time at which a model is written as one."""

from __future__ import annotations

import torch


def exporting() -> bool:
    """True while a model is written as a graph: of fixed length, for batches of any size, without a gradient."""
    return torch.compiler.is_exporting() or torch.jit.is_tracing()
