"""From a checked config to objects: the only place that calls hydra.utils.instantiate."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate

from scenegen.base.refusal import Refusal

Config = Mapping[str, Any]


def make(node: Config, /, offered: Config | None = None, **supplied: Any) -> Any:
    """One object of a node with a `_target_`; a Refusal from inside keeps its own sentence.

    Hydra resolves the target and what the config says of it; what build.py supplies are objects that no config
    can hold, so they are given in the call itself: `supplied` always, `offered` where the signature asks for it.
    """
    try:
        construct = instantiate({**node, "_partial_": True}, _convert_="all")
    except InstantiationException as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, Refusal):
            cause = cause.__cause__
        raise cause or error from error
    asked = inspect.signature(construct).parameters
    return construct(**supplied, **{name: value for name, value in (offered or {}).items() if name in asked})


def dataset(config: Config, *, split: str) -> Any:
    """The pictures and labels of one split ("train" or "test"), with exemplars where the config asks for them."""
    size = config["size"]
    given = {"height": size["height"], "width": size["width"], "seed": config["seed"]}
    data = make(config["data"], split=split, **given)
    if not config.get("exemplar"):
        return data
    gallery = data if split == "train" else make(config["data"], split="train", **given)
    return make(config["exemplar"], data=data, gallery=gallery)


def model(config: Config, data: Any) -> Any:
    """The generator side, fitted to a dataset's classes."""
    return make(config["model"], num_classes=len(data.classes), edges=data.has_instances)


def discriminator(config: Config, generator: Any) -> Any:
    """The discriminator for a model's semantics."""
    offered = {"num_classes": generator.num_classes}
    return make(config["discriminator"], semantic_channels=generator.semantic_channels, offered=offered)


def objective(config: Config, generator: Any, data: Any = None) -> Any:
    """The weighted loss terms, with the extractors that they read and no others, checked against the data."""
    from scenegen.losses.objective import Objective, extractors_read

    nodes = {name: dict(node) for name, node in config["loss"].items() if node["weight"] > 0}
    weights = {name: float(node.pop("weight")) for name, node in nodes.items()}
    schedules = {name: make(plan) for name, node in nodes.items() if (plan := node.pop("schedule", None))}
    terms = {name: make(node) for name, node in nodes.items()}
    wanted = extractors_read(terms, weights)
    nets = {name: make(node) for name, node in config["extractor"]["nets"].items() if name in wanted}
    for term in terms.values():
        if data is not None and hasattr(term, "require"):
            term.require(nets, data.classes)
    offers = set(generator.offers)
    if "gan" in terms:
        offers |= getattr(get_class(config["discriminator"]["_target_"]), "offers", {"judgement"})
    offers |= {"exemplar"} if config.get("exemplar") else set()
    return Objective(terms=terms, weights=weights, extractors=nets, offers=offers, schedules=schedules)


def gan_module(config: Config, data: Any) -> Any:
    """Model, discriminator, objective and optimizers in the one LightningModule."""
    import torch

    from scenegen.base.seeding import hash_seed
    from scenegen.networks.layers.init import initialise
    from scenegen.training.rounds import GanModule

    torch.manual_seed(hash_seed(config["seed"], "weights"))
    machine = make(config["trainer"])
    generator = model(config, data)
    judge = discriminator(config, generator)
    for network in (generator, judge):
        initialise(network, gain=config["init_gain"])
        machine.prepare(network)
    average = (config.get("trick") or {}).get("ema")
    return GanModule(
        model=generator,
        discriminator=judge,
        objective=objective(config, generator, data),
        optim=make(config["optim"]),
        seed=config["seed"],
        reuse_fake=config["reuse_fake"],
        generator_every=config["generator_every"],
        log_grads_every=config["log_grads_every"],
        ema=make(average, model=generator) if average else None,
    )


def loggers(config: Config, folder: Path) -> list[Any]:
    """The loggers on request."""
    return [make(node, folder=folder, config=config) for node in (config.get("logger") or {}).values()]


def scorer(config: Config, data: Any) -> Any:
    """Segmenter, aesthetic model, FID features and contest total, checked against a dataset's classes."""
    from scenegen.scoring.scorer import Scorer

    return Scorer(
        total=make(config["scorer"]),
        segmenter=make(config["segmenter"], classes=data.classes) if config.get("segmenter") else None,
        aesthetic=make(config["aesthetic"]),
        fid=make(config["fid"]),
        classes=data.classes,
    )


def interim(config: Config, scorer: Any, data: Any) -> list[Any]:
    """The callback that scores a few maps on the way, where one is asked for."""
    from scenegen.data.samples import collate
    from scenegen.sampling.generate import spread
    from scenegen.training.callbacks.interim import Interim

    every, at_a_time = config["interim_every"], 8
    if not every:
        return []
    if scorer is None or scorer.judges.segmenter is None:
        raise Refusal(f"interim_every={every} needs a segmenter and evaluate=true; choose them, or interim_every=0")
    indices = spread(len(data), config["interim_count"])
    batches = [collate([data[(0, i)] for i in indices[k : k + at_a_time]]) for k in range(0, len(indices), at_a_time)]
    segmenter = scorer.judges.segmenter
    return [Interim(segmenter=segmenter, batches=batches, classes=data.classes, every=every, seed=config["seed"])]
