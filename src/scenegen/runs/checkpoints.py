"""Checkpoints of a run, read without running any code that they may carry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from scenegen.base.files import whole
from scenegen.base.refusal import Refusal
from scenegen.runs.folder import CHECKPOINTS, checkpoint_path, checkpoints_of


def write_weights(run: Path, networks: Mapping[str, nn.Module]) -> Path:
    """Write networks that were not trained here as a run's checkpoint of step 0.

    Args:
        run: the run's folder.
        networks: "model", and "discriminator" where there is one.
    """
    state = {f"{name}.{key}": value for name, net in networks.items() for key, value in net.state_dict().items()}
    path = checkpoint_path(run, 0)
    with whole(path) as part:
        torch.save({"state_dict": {"clock": torch.zeros((), dtype=torch.long), **state}}, part)
    return path


def newest(run: Path) -> Path:
    """Newest checkpoint of a run folder; a Refusal where there is none."""
    found = checkpoints_of(run)
    if not found:
        raise Refusal(
            f"{run} holds no checkpoint (looked for {CHECKPOINTS}/step_*.ckpt); train it first, or name another run"
        )
    return found[-1]


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint without running any code that it may carry."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise Refusal(f"there is no checkpoint {path}; give an existing file") from error
    except Exception as error:
        raise Refusal(
            f"{path} is not a checkpoint that can be read safely ({first_line(error)}); it is damaged, or a pickle "
            "that would run code: use a file written by scenegen.train"
        ) from error


def model_state(checkpoint: dict[str, Any], *, path: Path) -> dict[str, torch.Tensor]:
    """Weights to sample with: the average where the run kept one, else the trained model."""
    state = checkpoint.get("state_dict")
    if not isinstance(state, dict) or not any(key.startswith("model.") for key in state):
        raise Refusal(
            f"{path} holds no scenegen model (no state_dict with model.* in it); give a checkpoint of scenegen.train"
        )
    prefix = "ema.average." if any(key.startswith("ema.average.") for key in state) else "model."
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def first_line(error: BaseException) -> str:
    """First line of an error's text, its kind where it has none."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
