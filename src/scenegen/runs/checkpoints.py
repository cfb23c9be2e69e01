"""Checkpoints that are whole or not there, and finding the newest of a run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import nn

from scenegen.base.records import Refusal
from scenegen.training.rounds import Rounds


class Checkpoints(pl.Callback):
    """Saves checkpoints/step_<n>.ckpt every N steps and at the last step, and keeps the newest few.

    Each is written beside its place and moved there when complete, so a full disk or a kill leaves the older
    ones untouched and no half file under a checkpoint's name.
    """

    def __init__(self, *, folder: Path, every: int, keep: int) -> None:
        self.folder, self.every, self.keep = folder, every, keep

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        step = cast(Rounds, pl_module).step
        if step % self.every == 0 or step == trainer.max_steps:
            self.save(trainer, step)

    def save(self, trainer: pl.Trainer, step: int) -> None:
        """Write one checkpoint and drop those beyond the newest `keep`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step_{step:07d}.ckpt"
        part = self.folder / f".step_{step:07d}.part"
        try:
            trainer.save_checkpoint(part)
            if trainer.is_global_zero:
                os.replace(part, path)
        except (OSError, RuntimeError) as error:
            # torch's writer reports a full disk as a RuntimeError that quotes no errno.
            raise Refusal(
                f"could not save {path}: {_first_line(error)}; earlier checkpoints are whole: "
                f"free space and go on with resume={self.folder.parent.name}"
            ) from error
        finally:
            if trainer.is_global_zero:
                part.unlink(missing_ok=True)
        if trainer.is_global_zero:
            for old in _by_step(self.folder)[: -self.keep]:
                old.unlink()


def write_weights(run: Path, networks: Mapping[str, nn.Module]) -> Path:
    """Write networks that were not trained here as a run's checkpoint of step 0.

    Args:
        run: the run's folder.
        networks: "model", and "discriminator" where there is one.
    """
    state = {f"{name}.{key}": value for name, net in networks.items() for key, value in net.state_dict().items()}
    path = run / "checkpoints" / "step_0000000.ckpt"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        torch.save({"state_dict": {"clock": torch.zeros((), dtype=torch.long), **state}}, part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def newest(run: Path) -> Path:
    """The newest checkpoint of a run folder; a Refusal where there is none."""
    found = _by_step(run / "checkpoints")
    if not found:
        raise Refusal(
            f"{run} holds no checkpoint (looked for checkpoints/step_*.ckpt); train it first, or name another run"
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
            f"{path} is not a checkpoint that can be read safely ({_first_line(error)}); it is damaged, or a pickle "
            "that would run code: use a file written by scenegen.train"
        ) from error


def model_state(checkpoint: dict[str, Any], *, path: Path) -> dict[str, torch.Tensor]:
    """The weights to sample with: the average where the run kept one, else the trained model."""
    state = checkpoint.get("state_dict")
    if not isinstance(state, dict) or not any(key.startswith("model.") for key in state):
        raise Refusal(
            f"{path} holds no scenegen model (no state_dict with model.* in it); give a checkpoint of scenegen.train"
        )
    prefix = "ema.average." if any(key.startswith("ema.average.") for key in state) else "model."
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _by_step(folder: Path) -> list[Path]:
    return sorted(folder.glob("step_*.ckpt"))


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
