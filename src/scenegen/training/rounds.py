"""The one LightningModule: a generator step, a discriminator step, the average, one tick of the clock."""

from __future__ import annotations

from functools import partial
from typing import cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from scenegen.base.devices import sent
from scenegen.base.records import Batch, Discriminator, Judgement, Refusal, SceneModel, Shown, Synthesis
from scenegen.base.seeding import hash_seed
from scenegen.losses.objective import Objective
from scenegen.networks.frozen.extractors import Extractor
from scenegen.training.optim import Optim
from scenegen.training.tricks.accumulate import Accumulate, Part, averaged, in_turn
from scenegen.training.tricks.augment import Augment
from scenegen.training.tricks.average import Ema
from scenegen.training.tricks.clip import Clip
from scenegen.training.tricks.grow import Grow
from scenegen.training.tricks.history import ImagePool
from scenegen.training.tricks.pace import Pace, Warmup


class Rounds(pl.LightningModule):
    """Trains any model of the house against any discriminator, or none, with any objective.

    The clock counts rounds of one generator and one discriminator update. It is the only position of a run:
    data order, noise and learning rates are functions of (seed, clock), so a run that stops and goes on equals
    one that never stopped. Lightning's global_step equals the clock because only one optimizer is stepped through
    Lightning.

    Args:
        model: the generator side.
        discriminator: None exactly where the objective has no adversarial term.
        objective: the weighted terms of both sides.
        optim: builds both optimizers and gives their rates.
        seed: seed of the run's noise.
        reuse_fake: True lets the discriminator step judge the picture of the generator step; False makes a new
            one with the updated generator, as the published SPADE code does, for the price of a second forward.
        generator_every: a generator step on every n-th round only (the log's "DperG2" is 2).
        log_grads_every: rounds between two logs of each term's weight and gradient norm at the picture; 0 is none.
        average: the slot of the model's average (trick=ema), which is then the one to sample from.
        augment: the slot of random changes of the batch and of the pictures that the discriminator sees.
        clip: the slot of a bound on the gradients.
        accumulate: the slot of batches in parts.
        pace: the slot of rounds without a discriminator step.
        grow: the slot of pictures that start small.
        history: the slot of a store of earlier pictures for the discriminator, which is in the checkpoint.

    Raises:
        Refusal: for rounds that would be empty, and for a penalty on a slope that is bounded by construction.
    """

    def __init__(
        self,
        *,
        model: SceneModel,
        discriminator: Discriminator | None,
        objective: Objective,
        optim: Optim,
        seed: int,
        reuse_fake: bool,
        generator_every: int,
        log_grads_every: int,
        average: Ema | None = None,
        augment: Augment | None = None,
        clip: Clip | None = None,
        accumulate: Accumulate | None = None,
        pace: Pace | Warmup | None = None,
        grow: Grow | None = None,
        history: ImagePool | None = None,
    ) -> None:
        super().__init__()
        if (discriminator is not None) != objective.adversarial:
            raise Refusal("a discriminator and an adversarial term come together: give both (loss=hinge) or neither")
        if generator_every > 1 and discriminator is None:
            raise Refusal(f"generator_every={generator_every} skips generator steps, but without a discriminator "
                          "(loss.gan.weight=0) a round would be empty; use generator_every=1")  # fmt: skip
        if pace is not None and (discriminator is None or (generator_every > 1 and pace.skips)):
            raise Refusal(f"{pace.said} leaves rounds empty without a "
                          f"discriminator or beside generator_every={generator_every}; use trick=none, or "
                          "generator_every=1 and an adversarial term such as loss=hinge")  # fmt: skip
        if objective.penalties and discriminator is None:
            named = " and ".join(f"loss.{name}.weight=0" for name in objective.penalties)
            raise Refusal("a penalty joins the discriminator's loss, but without an adversarial term there is none; "
                          f"add one, e.g. loss=hinge, or use {named}")  # fmt: skip
        if objective.penalties and discriminator is not None and discriminator.slope_bounded:
            named = " and ".join(f"loss.{name}.weight=0" for name in objective.penalties)
            raise Refusal("the discriminator normalises its gradient, so a penalty on that gradient has nothing left "
                          f"to do; use {named}, or discriminator=patch")  # fmt: skip
        if augment is not None and augment.judges and discriminator is None:
            raise Refusal("trick.augment changes what a discriminator sees, but without an adversarial term there is "
                          "none; add one, e.g. loss=hinge, or use trick=none")  # fmt: skip
        if history is not None and (discriminator is None or discriminator.condition_channels):
            why = "no adversarial term trains one" if discriminator is None else "this one judges under a condition"
            raise Refusal(f"trick=image_pool shows earlier pictures to a discriminator of pictures alone, but {why}; "
                          "leave it out of trick=, or use model=cyclegan")  # fmt: skip
        self.automatic_optimization = False
        self.model = model
        self.discriminator = discriminator
        # the weights that a discriminator froze for itself (a backbone, unused ones of a file) stay frozen
        self._judges = [p for p in discriminator.parameters() if p.requires_grad] if discriminator else []
        self.objective = objective
        self.ema = average  # checkpoints know it by this name
        self.augment = augment
        self.clip = clip
        self.optim = optim
        self.seed = seed
        self.reuse_fake = reuse_fake
        self.accumulate = accumulate
        self.generator_every = generator_every
        self.pace = pace
        self.log_grads_every = log_grads_every
        self.step = 0
        self._part = Part(Batch())  # of the round's batch, that is at work
        self.history = history
        self.grow = grow
        self.register_buffer("clock", torch.zeros((), dtype=torch.long))

    @property
    def best_model(self) -> SceneModel:
        """The model to sample from: the average where there is one."""
        return cast(SceneModel, self.ema.average) if self.ema is not None else self.model

    @property
    def frozen_stamps(self) -> set[str]:
        """Stamps of the frozen networks that terms and discriminator read."""
        return {part.stamp for part in self.modules() if isinstance(part, Extractor)}

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        trained = [p for part in (self.model, self.objective) for p in part.parameters() if p.requires_grad]
        optimizers: list[torch.optim.Optimizer] = [self.optim.build(trained, side="generator")]
        if self.discriminator is not None:
            optimizers.append(self.optim.build(self._judges, side="discriminator"))
        return optimizers

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """The round's batch, changed by the slot `augment` where its draws are made: on the CPU."""
        if self.augment is None:
            return batch
        return self.augment.batch(batch, seed=hash_seed(self.seed, "augment batch", self.step))

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """The batch, on its way to a GPU while the CPU goes on; the loader has pinned it."""
        return batch.to(device, non_blocking=device.type == "cuda")

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        torch.manual_seed(hash_seed(self.seed, "step", self.step))
        found = self.optimizers()
        generator, *rest = cast(list[LightningOptimizer], found if isinstance(found, list) else [found])
        values: dict[str, Tensor] = {}
        if self.grow is not None:
            for model in (self.model, self.best_model):
                self.grow.set(model, step=self.step)
        parts = [Part(batch)] if self.accumulate is None else self.accumulate.split(batch)
        made: list[Synthesis] = []
        judge = self.discriminator if self.pace is None or self.pace.judges(self.step) else None
        # One optimizer is stepped through Lightning, once per round: that keeps its global_step on the clock.
        optimizer = generator.optimizer if judge is not None else generator
        generates, first = self.step % self.generator_every == 0, judge is not None and self.model.judged_first
        if generates and first:
            made = self._made(parts)
        elif generates:
            made, values = self._generator_step(parts, [], optimizer)
        if judge is not None:
            values |= self._discriminator_step(judge, parts, made if self.reuse_fake or first else [], rest[0])
        if generates and first:
            values |= self._generator_step(parts, made, optimizer)[1]
        if self.ema is not None:
            self.ema.update(self.model, step=self.step)
        self.step += 1
        self.clock += 1
        shared = self.trainer.world_size > 1
        self.log_dict(values, prog_bar=True, batch_size=len(batch), sync_dist=shared)
        # Loggers take their axis from this key: the number of rounds that are done, as in a checkpoint's name.
        # A number would be copied to the device, which waits; a tensor of the CPU stays there.
        self.log("step", torch.tensor(float(self.step)), batch_size=len(batch))

    def _made(self, parts: list[Part]) -> list[Synthesis]:
        """Every part's pictures with their graph, for models that are judged before they step."""
        made = []
        for part in in_turn(parts, (self.model,)):
            self._part = part
            made.append(self._generate(part.batch, "generator"))
        return made

    def _generator_step(
        self, parts: list[Part], ready: list[Synthesis], optimizer: torch.optim.Optimizer | LightningOptimizer
    ) -> tuple[list[Synthesis], dict[str, Tensor]]:
        """A step on pictures that are ready, or without any on new ones, which are returned."""
        made, reports = [], []
        self._freeze_judges(True)
        for part in in_turn(parts, (self.model, self.discriminator)):
            self._part, batch, fake, real = part, part.batch, None, None
            synthesis = ready[part.number] if ready else self._generate(batch, "generator")
            if self.discriminator is not None and self.objective.judges(self.step):
                fake, real = self._generator_judgements(self.discriminator, self._shown(batch, synthesis))
            total, values = self.objective.generator(
                batch=self._seen(batch),
                synthesis=synthesis,
                fake=fake,
                real=real,
                replicas=self.trainer.world_size * part.of,
                seed=hash_seed(self.seed, "objective", self.step),
                again=self._again(batch),
                encode=self.model.encode if "encode" in self.model.offers else None,
                average=self._averaged if self.ema is not None else None,
                step=self.step,
                slopes=self.log_grads_every > 0 and self.step % self.log_grads_every == 0,
            )
            self._descend(optimizer, total, side="generator")
            made.append(synthesis)
            reports.append({**values, "G": total.detach()})
        optimizer.step()
        self._freeze_judges(False)
        return made, averaged(reports)

    def _generator_judgements(self, judge: Discriminator, shown: Shown) -> tuple[Judgement, Judgement | None]:
        """The judgements that the generator's terms read; of the real pictures only where one needs it."""
        if not judge.per_sample:
            return judgements(judge, shown)
        fake = judge(shown.condition, shown.fake)  # first: its power step is in the norms that the look then reads
        return fake, look(judge, shown.condition, shown.real) if "real_judgement" in self.objective.needs else None

    def _discriminator_step(
        self, judge: Discriminator, parts: list[Part], made: list[Synthesis], optimizer: LightningOptimizer
    ) -> dict[str, Tensor]:
        """A step on the pictures of the generator step, or without any on new ones."""
        reports = []
        for part in in_turn(parts, (self.model, judge)):
            self._part, batch = part, part.batch
            if made:
                synthesis = made[part.number]
            else:
                with torch.no_grad():
                    synthesis = self._generate(batch, "discriminator")
            shown = self._shown(batch, synthesis, remember=True)
            shown = Shown(shown.condition, shown.fake.detach(), shown.real)
            fake, real = judgements(judge, shown)
            total, values = self.objective.discriminator(fake, real)
            penalty, penalties = self.objective.penalty(
                partial(judge, shown.condition),
                fake=shown.fake,
                real=shown.real,
                judged=(fake, real),
                seed=hash_seed(self.seed, "penalty", self.step),
                step=self.step,
            )
            self._descend(optimizer, total + penalty, side="discriminator")
            reports.append({**values, **penalties, "D": (total + penalty).detach()})
        optimizer.step()
        return averaged(reports)

    def _descend(self, optimizer: torch.optim.Optimizer | LightningOptimizer, loss: Tensor, *, side: str) -> None:
        """Add a part's gradients; with the last one they are whole and bounded."""
        if self._part.number == 0:
            for group in optimizer.param_groups:
                group["lr"] = self.optim.rate(self.step, side=side)
            optimizer.zero_grad(set_to_none=True)
        self.manual_backward(loss if self._part.of == 1 else loss / self._part.of)
        if self._part.last and self.clip is not None:
            self.clip(p for group in optimizer.param_groups for p in group["params"])

    def _freeze_judges(self, frozen: bool) -> None:
        for parameter in self._judges:
            parameter.requires_grad_(not frozen)

    def _shown(self, batch: Batch, synthesis: Synthesis, *, remember: bool = False) -> Shown:
        """The discriminator's input; with `remember` some pictures are exchanged for earlier ones (the history)."""
        shown = self.model.shown(self._seen(batch), synthesis)
        if remember and self.history is not None:
            shown = Shown(shown.condition, self._remembered(self.history, shown.fake.detach()), shown.real)
        if self.augment is None:
            return shown
        seed = hash_seed(self.seed, "augment shown", self.step)
        return self.augment.part(shown, seed=seed, first=self._part.rows(self.trainer.global_rank).start)

    def _seen(self, batch: Batch) -> Batch:
        """The batch at the size of the round's pictures."""
        return batch if self.grow is None else self.grow.seen(batch, step=self.step)

    def _remembered(self, history: ImagePool, fresh: Tensor) -> Tensor:
        """This process's rows of all processes' pictures, after the history has seen all of them."""
        world, b = self.trainer.world_size, len(fresh)
        every = cast(Tensor, self.all_gather(fresh)).flatten(0, 1) if world > 1 else fresh
        shown = history(every, seed=hash_seed(self.seed, "history", self.step, self._part.number))
        return shown[self.trainer.global_rank * b :][:b]

    def _generate(self, batch: Batch, side: str) -> Synthesis:
        return self.model(batch, noise=self._noise(batch, side))

    def _again(self, batch: Batch) -> Synthesis | None:
        """The same input painted from other noise, of the prior, when a term asks for it."""
        wanted = "again" in self.objective.needs
        return self.model.sample(batch, noise=self._noise(batch, "again")) if wanted else None

    @torch.no_grad()
    def _averaged(self, batch: Batch) -> Synthesis:
        """The average's pictures of the noise that the model had, when a term asks for them."""
        return self.best_model(batch, noise=self._noise(batch, "generator"))

    def _noise(self, batch: Batch, side: str) -> Tensor | None:
        """The present part's rows of the global batch's noise: equal for any number of processes and parts."""
        count = self.trainer.world_size * self._part.of * len(batch)
        noise = self.model.prior(count, seed=hash_seed(self.seed, "noise", side, self.step))
        rows = self._part.rows(self.trainer.global_rank)
        return None if noise is None else sent(noise[rows].to(batch.dtype), batch.device)

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        state = checkpoint["state_dict"]
        self.step = int(state["clock"])
        if self.discriminator is None:  # runs of release 0.1 kept one that nothing trained; read until 0.4
            for key in [key for key in state if key.startswith("discriminator.")]:
                del state[key]
            del checkpoint["optimizer_states"][1:]

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        # Nothing reads it back: each step seeds itself. It is here so that two runs can be compared.
        checkpoint["rng"] = torch.get_rng_state()


def judgements(judge: Discriminator, shown: Shown) -> tuple[Judgement, Judgement]:
    """Judgements of the generated and of the real pictures; in one pass where the discriminator is `joint`."""
    if not judge.joint:
        return judge(shown.condition, shown.fake), judge(shown.condition, shown.real)
    condition = None if shown.condition is None else shown.condition.repeat(2, 1, 1, 1)
    both = judge(condition, torch.cat([shown.fake, shown.real]))
    fake, real = both.split([len(shown.fake), len(shown.real)])
    return fake, real


@torch.no_grad()
def look(judge: nn.Module, condition: Tensor | None, image: Tensor) -> Judgement:
    """A judgement without a graph and without another power step of the spectral norms."""
    judge.eval()
    try:
        return judge(condition, image)
    finally:
        judge.train()
