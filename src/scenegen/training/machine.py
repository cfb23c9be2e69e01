"""Machine of a run: device, precision, memory format, compilation, processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ProgressBar
from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch import nn

from scenegen.base.records import Refusal
from scenegen.training.instance_norms import order_slopes


@dataclass(frozen=True)
class Machine:
    """The options of the group `trainer`.

    Attributes:
        accelerator: "cpu", "gpu" or "auto".
        devices: processes of one machine; each takes batch_size / (devices * nodes) samples.
        nodes: machines.
        precision: "32-true" or "bf16-mixed" (weights stay float32; losses always compute in float32).
        strategy: Lightning's strategy; several processes need "ddp_find_unused_parameters_true", because each
            half of a step leaves the other half's parameters alone.
        channels_last: memory format of the convolutions.
        compile: torch.compile for generator and discriminator (on 2 CPU cores it made training slower).
        lookup: compute SPADE's modulations once per distinct window of labels, forward and backward.
        checkpoint_activations: keep what the steps of the generator's blocks are given, compute the rest again.
        workers: processes that load pictures.
    """

    accelerator: Literal["cpu", "gpu", "auto"]
    devices: int
    nodes: int
    precision: Literal["32-true", "bf16-mixed"]
    strategy: str
    channels_last: bool
    compile: bool
    lookup: bool
    checkpoint_activations: bool
    workers: int

    def __post_init__(self) -> None:
        if self.accelerator == "gpu" and not torch.cuda.is_available():
            raise Refusal("trainer.accelerator=gpu, but torch sees no GPU here; use trainer=cpu or a machine with one")
        if self.devices < 1 or self.nodes < 1 or self.workers < 0:
            raise Refusal(
                f"trainer.devices and trainer.nodes must be 1 or more and trainer.workers 0 or more, "
                f"got {self.devices}, {self.nodes}, {self.workers}"
            )
        if self.compile and self.lookup:
            raise Refusal("trainer.compile=true wants shapes that do not change, but the tables of trainer.lookup=true "
                          "are as large as a batch has windows; set one of them to false")  # fmt: skip
        if any(word in self.strategy for word in ("spawn", "fork", "notebook")):
            raise Refusal(
                f"trainer.strategy={self.strategy} starts copies of this process, which a run with its lock and its "
                "signals is not made for; use trainer=ddp"
            )
        if self.devices * self.nodes > 1 and self.strategy == "auto":
            raise Refusal(f"trainer.devices={self.devices} needs processes that talk to each other; use trainer=ddp")

    @property
    def world(self) -> int:
        """Processes in all."""
        return self.devices * self.nodes

    def prepare(self, network: nn.Module) -> nn.Module:
        """Memory format and compilation of one network, in place; its instance norms are made safe for a CPU."""
        if self.channels_last:
            network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        if self.compile:
            network.compile()  # in whose own code gradients are read as they lie
        elif self.accelerator != "gpu":
            order_slopes(network)
        return network

    def trainer(
        self, *, steps: int, log_every: int, folder: Path, callbacks: Sequence[pl.Callback], loggers: Sequence[Logger]
    ) -> pl.Trainer:
        """A Lightning trainer that counts only steps; its one epoch is the whole run (see data.stream)."""
        settings: dict[str, Any] = {"accelerator": self.accelerator, "devices": self.devices, "num_nodes": self.nodes}
        try:
            return self._made(
                settings, steps=steps, log_every=log_every, folder=folder, callbacks=callbacks, loggers=loggers
            )
        except (ValueError, MisconfigurationException) as error:
            raise Refusal(
                f"trainer.accelerator={self.accelerator}, {self.devices} devices and trainer.strategy={self.strategy} "
                f"cannot be had here ({str(error).splitlines()[0]}); use trainer=cpu, or trainer.strategy=auto"
            ) from error

    def _made(
        self,
        settings: dict[str, Any],
        *,
        steps: int,
        log_every: int,
        folder: Path,
        callbacks: Sequence[pl.Callback],
        loggers: Sequence[Logger],
    ) -> pl.Trainer:
        return pl.Trainer(
            **settings,
            precision=self.precision,
            strategy=self.strategy,
            max_steps=steps,
            max_epochs=-1,  # steps alone end a run; see data.stream
            log_every_n_steps=log_every,
            default_root_dir=folder,
            callbacks=list(callbacks),
            logger=list(loggers),
            enable_checkpointing=False,
            enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
            enable_model_summary=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
        )
