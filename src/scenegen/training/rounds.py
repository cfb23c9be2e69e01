"""The one LightningModule: a generator step, a discriminator step, the average, one tick of the clock."""

from __future__ import annotations

from typing import cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from scenegen.base.records import Batch, Judgement, Refusal, SceneModel, Synthesis
from scenegen.base.seeding import hash_seed
from scenegen.losses.objective import Objective
from scenegen.training.optim import TwoTimescaleAdam
from scenegen.training.tricks.average import Ema


class GanModule(pl.LightningModule):
    """Trains any model of the house against any discriminator with any objective.

    The clock counts rounds of one generator and one discriminator update. It is the only position of a run:
    data order, noise and learning rates are functions of (seed, clock), so a run that stops and goes on equals
    one that never stopped. Lightning's global_step equals the clock because only the discriminator's optimizer
    is stepped through Lightning.

    Args:
        model: the generator side (networks.gaugan.GauGAN and its siblings).
        discriminator: called as discriminator(semantics, image) -> Judgement; with `joint` False it judges generated
            and real pictures in passes of their own; with `per_sample` True a picture's judgement does not depend on
            the others of the pass, so that the generator's step needs no graph of the real ones.
        objective: the weighted terms of both sides.
        optim: builds both optimizers and tells their rates.
        seed: seed of the run's noise.
        reuse_fake: True lets the discriminator step judge the picture of the generator step; False makes a new
            one with the updated generator, as the published SPADE code does, for the price of a second forward.
        generator_every: a generator step on every n-th round only (the log's "DperG2" is 2).
        log_grads_every: rounds between two logs of each term's weight and gradient norm at the picture; 0 is none.
        ema: the model's average, or None.
    """

    def __init__(
        self,
        *,
        model: SceneModel,
        discriminator: nn.Module,
        objective: Objective,
        optim: TwoTimescaleAdam,
        seed: int = 0,
        reuse_fake: bool = True,
        generator_every: int = 1,
        log_grads_every: int = 0,
        ema: Ema | None = None,
    ) -> None:
        super().__init__()
        if generator_every > 1 and not objective.adversarial:
            raise Refusal(f"generator_every={generator_every} skips generator steps, but without a discriminator "
                          "(loss.gan.weight=0) a round would be empty; use generator_every=1")  # fmt: skip
        if objective.penalties and getattr(discriminator, "slope_bounded", False):
            named = " and ".join(f"loss.{name}.weight=0" for name in objective.penalties)
            raise Refusal("the discriminator normalises its gradient, so a penalty on that gradient has nothing left "
                          f"to do; use {named}, or discriminator=patch")  # fmt: skip
        self.automatic_optimization = False
        self.model = model
        self.discriminator = discriminator
        # what a discriminator froze for itself (a backbone, weights that files hold and nothing reads) stays frozen
        self._judges = [p for p in discriminator.parameters() if p.requires_grad]
        self.objective = objective
        self.ema = ema
        self.optim = optim
        self.seed = seed
        self.reuse_fake = reuse_fake
        self.generator_every = generator_every
        self.log_grads_every = log_grads_every
        self.step = 0
        self.register_buffer("clock", torch.zeros((), dtype=torch.long))

    @property
    def best_model(self) -> SceneModel:
        """The model to sample from: the average where there is one."""
        return cast(SceneModel, self.ema.average) if self.ema is not None else self.model

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        generator = [*self.model.parameters(), *self.objective.parameters()]
        return [
            self.optim.build((p for p in generator if p.requires_grad), side="generator"),
            self.optim.build(self._judges, side="discriminator"),
        ]

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        torch.manual_seed(hash_seed(self.seed, "step", self.step))
        generator, discriminator = cast(list[LightningOptimizer], self.optimizers())
        adversarial = self.objective.adversarial
        semantics = self.model.semantics(batch)
        values: dict[str, Tensor] = {}
        synthesis = None
        if self.step % self.generator_every == 0:
            synthesis = self._generate(batch, "generator")
            # One optimizer is stepped through Lightning, once per round: that keeps its global_step on the clock.
            optimizer = generator.optimizer if adversarial else generator
            values |= self._generator_step(batch, semantics, synthesis, optimizer)
        if adversarial and (synthesis is None or not self.reuse_fake):
            with torch.no_grad():
                synthesis = self._generate(batch, "discriminator")
        if adversarial and synthesis is not None:
            values |= self._discriminator_step(batch, semantics, synthesis.image.detach(), discriminator)
        if self.ema is not None:
            self.ema.update(cast(nn.Module, self.model), step=self.step)
        self.step += 1
        self.clock += 1
        shared = self.trainer.world_size > 1
        self.log_dict(values, prog_bar=True, batch_size=len(batch), sync_dist=shared)
        # Loggers take their axis from this key: the number of rounds that are done, as in a checkpoint's name.
        self.log("step", float(self.step), batch_size=len(batch))

    def _generator_step(
        self,
        batch: Batch,
        semantics: Tensor,
        synthesis: Synthesis,
        optimizer: torch.optim.Optimizer | LightningOptimizer,
    ) -> dict[str, Tensor]:
        fake = real = None
        self._freeze_judges(True)
        if self.objective.adversarial and self._per_sample:
            fake = self.discriminator(semantics, synthesis.image)
            real = self._look(semantics, batch.image) if "real_judgement" in self.objective.needs else None
        elif self.objective.adversarial:
            fake, real = self._judge(semantics, synthesis.image, batch.image)
        total, values = self.objective.generator(
            batch=batch,
            synthesis=synthesis,
            fake=fake,
            real=real,
            replicas=self.trainer.world_size,
            seed=hash_seed(self.seed, "objective", self.step),
            again=self._again(batch),
            encode=getattr(self.model, "encode", None),
            step=self.step,
            slopes=self.log_grads_every > 0 and self.step % self.log_grads_every == 0,
        )
        self._descend(optimizer, total, side="generator")
        optimizer.step()
        self._freeze_judges(False)
        return {**values, "G": total.detach()}

    def _discriminator_step(
        self, batch: Batch, semantics: Tensor, image: Tensor, optimizer: LightningOptimizer
    ) -> dict[str, Tensor]:
        fake, real = self._judge(semantics, image, batch.image)
        total, values = self.objective.discriminator(fake, real)
        penalty, penalties = self.objective.penalty(
            lambda picture: self.discriminator(semantics, picture),
            fake=image,
            real=batch.image,
            judged=(fake, real),
            seed=hash_seed(self.seed, "penalty", self.step),
            step=self.step,
        )
        self._descend(optimizer, total + penalty, side="discriminator")
        optimizer.step()
        return {**values, **penalties, "D": (total + penalty).detach()}

    def _descend(self, optimizer: torch.optim.Optimizer | LightningOptimizer, loss: Tensor, *, side: str) -> None:
        for group in optimizer.param_groups:
            group["lr"] = self.optim.rate(self.step, side=side)
        optimizer.zero_grad(set_to_none=True)
        self.manual_backward(loss)

    def _freeze_judges(self, frozen: bool) -> None:
        for parameter in self._judges:
            parameter.requires_grad_(not frozen)

    @property
    def _per_sample(self) -> bool:
        return getattr(self.discriminator, "per_sample", False)

    @torch.no_grad()
    def _look(self, semantics: Tensor, image: Tensor) -> Judgement:
        """Judge without a graph and without another power step of the spectral norms."""
        self.discriminator.eval()
        try:
            return self.discriminator(semantics, image)
        finally:
            self.discriminator.train()

    def _judge(self, semantics: Tensor, fake: Tensor, real: Tensor) -> tuple[Judgement, Judgement]:
        """The generated pictures, then the real ones; in one pass where the discriminator is `joint`."""
        if not getattr(self.discriminator, "joint", True):
            return self.discriminator(semantics, fake), self.discriminator(semantics, real)
        both = self.discriminator(semantics.repeat(2, 1, 1, 1), torch.cat([fake, real]))
        halves = both.split([len(fake), len(real)])
        return halves[0], halves[1]

    def _generate(self, batch: Batch, side: str) -> Synthesis:
        return self.model(batch, noise=self._noise(batch, side))

    def _again(self, batch: Batch) -> Synthesis | None:
        """The same labels from other noise, of the prior, when a term asks for it."""
        wanted = "again" in self.objective.needs
        return self.model.sample(batch, noise=self._noise(batch, "again")) if wanted else None

    def _noise(self, batch: Batch, side: str) -> Tensor | None:
        """This process's rows of the global batch's noise: the same numbers for any number of processes."""
        if self.model.noise_shape is None:
            return None
        world, rank, b = self.trainer.world_size, self.trainer.global_rank, len(batch)
        stream = torch.Generator().manual_seed(hash_seed(self.seed, "noise", side, self.step))
        rows = torch.randn(world * b, *self.model.noise_shape, generator=stream)
        return rows[rank * b : (rank + 1) * b].to(batch.image)

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        self.step = int(checkpoint["state_dict"]["clock"])

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        # Nothing reads it back: each step seeds itself. It is here so that two runs can be compared.
        checkpoint["rng"] = torch.get_rng_state()
