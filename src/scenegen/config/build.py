"""Objects of a checked config: the only place that calls hydra.utils.instantiate."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate

from scenegen.base.listing import listed
from scenegen.base.refusal import Refusal, causes
from scenegen.config.flat import filled
from scenegen.config.groups import GROUPS, LAYER_SLOTS, Size
from scenegen.config.kinds import kind_of
from scenegen.config.targets import mappings, require_offered

if TYPE_CHECKING:
    from scenegen.base.records import SceneModel

Config = Mapping[str, Any]

WIDE = 128
"""Greatest base width at which no network of conf/ takes more than a few GiB, so that nothing is counted."""

READS = {
    "label": "use data with label maps, such as data=folder",
    "image": "use data with pictures, such as data=folder",
    "instance": "use data with instance maps, or model.edges=false",
    "source": "use data=unpaired, or degrade=smaller, or for denoisers data=phantoms or slices",
    "hole": "use degrade=holes",
    "exemplar": "use exemplar=retrieved",
    "exemplar_label": "use exemplar=retrieved",
}
"""Field of Batch that a model reads -> the option that offers it."""


GIVEN = (
    "scenegen.data.unpaired.unpaired",
    "scenegen.data.phantoms.phantoms",
    "scenegen.data.slice_files.slices",
)
"""Targets of the data that come with a source of their own, and without label maps."""


def make(node: Config, /, offered: Config | None = None, **supplied: Any) -> Any:
    """One object of a node with a `_target_`; a Refusal from inside keeps its own sentence.

    Hydra resolves the target and the config's own arguments. The arguments of build.py are objects that no config
    can hold, so the call itself passes them: `supplied` always, `offered` where the signature asks for it.
    """
    whole = filled(named(node), node, given={*supplied, *(offered or {})})
    # Hydra 1.4 takes the names that it may import; 1.3 has no such argument, and every name was looked at before.
    takes = "_execution_whitelist_" in inspect.signature(instantiate).parameters
    names = {
        "_execution_whitelist_": sorted({node["_target_"] for _, node in mappings(whole, "") if "_target_" in node})
    }
    try:
        construct = instantiate({**whole, "_partial_": True}, _convert_="all", **(names if takes else {}))
    except InstantiationException as error:
        raise next((cause for cause in causes(error) if isinstance(cause, Refusal)), error) from error
    asked = inspect.signature(construct).parameters
    return construct(**supplied, **{name: value for name, value in (offered or {}).items() if name in asked})


def named(node: Config) -> Any:
    """The class or function that a node names, imported only where conf/ or extensions= offer it.

    Raises:
        Refusal: a name that is not offered, in the node or below it, or none at all.
    """
    require_offered(node)
    if "_target_" not in node:
        keys = ", ".join(map(str, node)) or "no keys at all"
        raise Refusal(f"no _target_ stands among {keys}; choose an option of the group")
    return get_object(node["_target_"])


def dataset(config: Config, *, split: str) -> Any:
    """The pictures and labels of one split ("train" or "test"), with exemplars where the config asks for them."""
    height, width = Size(**config["size"]).pixels
    given = {"height": height, "width": width, "seed": config["seed"]}
    node = {key: value for key, value in config["data"].items() if key not in GROUPS["data"].kept}
    data = make(node, split=split, **given)
    if config.get("degrade"):
        data = data.degraded(make(config["degrade"]))
    if not config.get("exemplar"):
        return data
    gallery = data if split == "train" else make(node, split="train", **given)
    return make(config["exemplar"], data=data, gallery=gallery)


def scored_datasets(config: Config) -> tuple[Any, Any]:
    """Training photographs and test maps at the size at which pictures are scored, where it is not the model's.

    Raises:
        Refusal: another shape, of data that cut what does not fit: their maps would show another part of the scene.
    """
    from scenegen.data.transforms import keeps_shape

    height, width = config["evaluate_size"]
    own = Size(**config["size"]).pixels
    if not keeps_shape((height, width), own) and config["data"].get("fit", "crop") != "squash":
        raise Refusal(f"evaluate_size=[{height},{width}] has another shape than the pictures of {own[0]}x{own[1]}, "
                      "whose data are cut, not stretched; give a size of that shape, or data.fit=squash")  # fmt: skip
    sized = {**config, "size": {"height": height, "width": width}, "exemplar": None, "degrade": None}
    train, test = (dataset(sized, split=split) for split in ("train", "test"))
    return train, test


def model(config: Config, data: Any) -> Any:
    """The generator side, fitted to a dataset's classes, its layers changed as the tricks say."""
    planes = [make(node, {"num_classes": len(data.classes)}) for node in (config.get("planes") or {}).values()]
    if planes and "planes" not in inspect.signature(named(config["model"])).parameters:
        raise Refusal("planes= stand beside the labels of a SPADE generator, and this model has no place for them; use "
                      "model=gaugan or sasame, or planes=none")  # fmt: skip
    offered = {"edges": data.has_instances, "planes": planes}
    made = make(config["model"], num_classes=len(data.classes), offered=offered)
    tricks = config.get("trick") or {}
    for slot in LAYER_SLOTS:
        if slot in tricks:
            make(tricks[slot], model=made)
    if config.get("attention"):
        make(config["attention"]).into_generator(made)
    if config.get("encoder"):
        make(config["encoder"]).into_model(made)
    return made


def discriminator(config: Config, generator: SceneModel) -> Any:
    """The discriminator for a model's condition, or None where the objective has no adversarial term."""
    if not adversarial(config):
        return None
    offered = {"num_classes": generator.num_classes}
    judge = make(config["discriminator"], semantic_channels=generator.condition_channels, offered=offered)
    if judge.domains != generator.domains:
        cure = "picnet or two_way" if generator.domains == 2 else "patch, sesame or picture_patch"
        raise Refusal(f"the model shows {generator.domains} picture(s) of three channels side by side, but this "
                      f"discriminator judges {judge.domains}; use discriminator={cure}")  # fmt: skip
    if generator.smaller:
        judge.take_smaller(generator.smaller)
    if config.get("attention"):
        make(config["attention"]).into_discriminator(judge)
    return judge


def adversarial(config: Config) -> bool:
    """True where a term of the objective trains a discriminator."""
    from scenegen.losses.objective import AdversarialTerm

    targets = (named(node) for node in config["loss"].values() if node["weight"] > 0)
    return any(issubclass(target, AdversarialTerm) for target in targets)


def offered_by_data(config: Config) -> frozenset[str]:
    """Fields of Batch that a config's data will fill, read off the config only."""
    exemplars = ("exemplar", "exemplar_label", "self_reference") if config.get("exemplar") else ()
    target = config["data"]["_target_"]
    given = ("source",) if target in GIVEN else named(config["degrade"]).offers if config.get("degrade") else ()
    labels = () if target in (*GIVEN, "scenegen.data.photos.pictures") else ("label", "instance")
    return frozenset({"image", *labels, *given, *exemplars})


def objective(config: Config, generator: SceneModel, data: Any = None) -> Any:
    """The weighted loss terms, with the extractors that they read and no others.

    Checked against the model and the data: a model's reads within the data's offers, a term's needs within both.
    """
    from scenegen.losses.objective import Objective, extractors_read

    nodes = {name: dict(node) for name, node in config["loss"].items() if node["weight"] > 0}
    weights = {name: float(node.pop("weight")) for name, node in nodes.items()}
    schedules = {name: make(plan) for name, node in nodes.items() if (plan := node.pop("schedule", None))}
    terms = {name: make(node) for name, node in nodes.items()}
    wanted = extractors_read(terms, weights)
    nets = {name: make(node) for name, node in config["extractor"]["nets"].items() if name in wanted}
    given = offered_by_data(config) if data is None else data.offers
    offers = generator.offers | given
    if adversarial(config):
        offers |= named(config["discriminator"]).offers
    if "average" in (config.get("trick") or {}):
        offers |= {"average"}
    classes = None if data is None else data.classes
    return Objective(terms=terms, weights=weights, extractors=nets, offers=offers, schedules=schedules, classes=classes)


def rounds(config: Config, data: Any) -> Any:
    """Model, discriminator, objective and optimizers in the one LightningModule.

    Raises:
        Refusal: where the data lack a field that the model reads, or model and data one that a term needs.
    """
    import torch

    from scenegen.base.records import require_offered
    from scenegen.base.seeding import hash_seed
    from scenegen.training.rounds import Rounds

    machine = make(config["trainer"])
    _require_memory(config, data, machine)
    torch.manual_seed(hash_seed(config["seed"], "weights"))
    generator = model(config, data)
    require_offered("the model reads", generator.reads, data.offers, by="the data does", cures=READS)
    if generator.channels != data.channels:
        wanted, given = (f"{count} channel{'s' * (count > 1)}" for count in (generator.channels, data.channels))
        raise Refusal(f"the model reads pictures of {wanted}, but the data has {given}; use {CHANNELS[data.channels]}, "
                      f"or {DATA[generator.channels]}")  # fmt: skip
    judge = discriminator(config, generator)
    _prepare(generator, judge, config, machine)
    terms = objective(config, generator, data)
    height, width = Size(**config["size"]).pixels
    offered = {"model": generator, "objective": terms, "samples": config["batch_size"] // machine.world}
    offered |= {"height": height, "width": width, "domains": judge.domains if judge else 1}
    nodes: Config = {slot: node for slot, node in (config.get("trick") or {}).items() if slot not in LAYER_SLOTS}
    tricks = {slot: make(node, offered=offered) for slot, node in nodes.items()}
    if judge is not None and "grow" in tricks:
        tricks["grow"].require(judge, height=height, width=width)
    return Rounds(
        model=generator,
        discriminator=judge,
        objective=terms,
        optim=make(config["optim"]),
        seed=config["seed"],
        reuse_fake=config["reuse_fake"],
        generator_every=config["generator_every"],
        log_grads_every=config["log_grads_every"],
        **{slot: trick for slot, trick in tricks.items() if trick is not None},
    )


def _prepare(generator: Any, judge: Any, config: Config, machine: Any) -> None:
    """Initial weights of new networks, and the ways of computing that trainer= asks for.

    Raises:
        Refusal: activations are to be computed again of a generator that has no blocks for it.
    """
    from scenegen.networks.layers.init import initialise
    from scenegen.networks.layers.lookup import tabulate

    for network in (generator, judge):
        if network is not None:
            if not network.keeps_start:
                initialise(network, gain=config["init_gain"])
            machine.prepare(network)
    if config.get("encoder"):
        generator.pretrained = make(config["encoder"]).start(generator, seed=config["seed"])
    if machine.lookup:
        tabulate(generator)
    if machine.checkpoint_activations:
        from scenegen.training.recompute import recompute

        if not recompute(generator):
            raise Refusal(
                "trainer.checkpoint_activations=true forgets what blocks hold, and "
                f"{type(generator).__name__} has none of those that docs/speed.md names; leave it out"
            )
        if judge is not None:
            recompute(judge)


CHANNELS = {1: "model=cncl, cncl_unet or restormer", 3: "a model of colour pictures, such as gaugan or cut"}
DATA = {1: "data=phantoms or data=slices", 3: "data of colour pictures, such as data=folder or data=unpaired"}
"""Channels -> the options of model= and of data= that have them."""


def _require_memory(config: Config, data: Any, machine: Any) -> None:
    """Refuse what the machine cannot hold, before it is asked for; wide networks are counted on the meta device."""
    import torch

    from scenegen.training.memory import require_memory

    parameters = 0
    if max(config["width"].values()) > WIDE and config.get("task") != "segmentation":  # whose nets have no width
        with torch.device("meta"):
            generator = model(config, data)
            judge = discriminator(config, generator)
        nets = [net for net in (generator, judge) if net is not None]
        parameters = sum(number.numel() for net in nets for number in net.parameters())
    height, width = Size(**config["size"]).pixels
    require_memory(
        parameters=parameters,
        samples=-(-config["batch_size"] // machine.nodes),
        height=height,
        width=width,
        classes=len(data.classes) if adversarial(config) else 0,
        processes=machine.devices,
        on_gpu=machine.accelerator != "cpu" and torch.cuda.is_available(),
    )


def loggers(config: Config, folder: Path) -> list[Any]:
    """The loggers on request."""
    return [make(node, folder=folder, config=config) for node in (config.get("logger") or {}).values()]


JUDGES = {"mask_acc": "segmenter", "aesthetic": "aesthetic", "fid": "fid"}
"""Part of a contest's total -> the group of the judge that it reads."""


def scorer(config: Config, data: Any) -> Any:
    """The chosen measures and the contest's total, checked against the data; only judges that are read are made.

    Classes of the user's own, which the shipped segmenter does not read, leave out what it would have measured, unless
    the measure was asked for by name; `left_out` says so.
    """
    from scenegen.scoring.judges.scenenet import OtherClasses
    from scenegen.scoring.measures import of_contest
    from scenegen.scoring.scorer import Scorer

    nodes: Config = config.get("measure") or {}
    total = make(config["scorer"]) if config.get("scorer") else None
    wanted = {JUDGES[role] for role in JUDGES if total is not None and role in total.parts}
    asked = {group for role, node in nodes.items() for group in _judges_of(config, role, node)}
    wanted |= asked
    given = {"classes": data.classes}
    judges, left_out = {}, ""
    for group in JUDGES.values():
        if group in wanted and config.get(group):
            try:
                judges[group] = make(config[group], given)
            except OtherClasses:
                if group in asked or total is None or not _shipped(config[group]):
                    raise
                left_out = (
                    f"mask_acc and the total of {total.name} (no segmenter reads these {len(data.classes)} classes)"
                )
    measures = of_contest(total, **given, **judges) if total is not None else {}
    for role, node in nodes.items():
        measure = make(node, judges | given)
        if total is not None and role in measures and measures[role].stamp != measure.stamp:
            raise Refusal(
                f"measure={role} ({measure.stamp}) is not the part of scorer={total.name} of that name "
                f"({measures[role].stamp}); leave it out of measure=, or choose scorer=none"
            )
        measures[role] = measure
    found = Scorer(measures=measures, classes=data.classes, total=total, left_out=left_out, kind=kind_of(config))
    found.require(data)
    return found


def left_out(config: Config, scorer: Any) -> str | None:
    """Sentence about the numbers that the scorer leaves out and the way to get them; None where it gives all."""
    if not scorer.left_out:
        return None
    node = config["data"]
    data = f"data={node['_target_'].rpartition('.')[2]}" + (f" data.root={node['root']}" if node.get("root") else "")
    scenenet = config["segmenter"]["_target_"] == _SCENENET
    model, file = ("scenenet model.role=scorer", "scenenet") if scenenet else ("lite_reader", "lite_reader")
    return (
        f"left out: {scorer.left_out}; the shipped one reads the landscape contest's classes alone. To get them: "
        f"python -m scenegen.train model={model} {data} name=reader; then "
        f"segmenter.name=runs/reader/{file}.safetensors"
    )


_SCENENET = "scenegen.scoring.judges.scenenet.SceneNetSegmenter"
_SHIPPED = {
    _SCENENET: {"scorer"},
    "scenegen.scoring.judges.lite_reader.LiteReaderSegmenter": {"landscapes", "landscapes_320"},
}
"""Target of a segmenter that comes as a default -> names of its nets."""


def _shipped(node: Config) -> bool:
    """True for the segmenters that come as defaults, which nobody has to choose."""
    return set(listed(node.get("name") or "")) <= _SHIPPED.get(node["_target_"], set())


def _judges_of(config: Config, role: str, node: Config) -> set[str]:
    """Groups of the judges that a measure asks for, refused where one of them is none."""
    asked = set(inspect.signature(named(node)).parameters) & set(JUDGES.values())
    if absent := sorted(group for group in asked if not config.get(group)):
        raise Refusal(
            f"measure={role} reads the {absent[0]} and {absent[0]}=none; choose {absent[0]}=scenenet or another, or "
            f"leave {role} out of measure="
        )
    return asked


def interim(config: Config, scorer: Any, data: Any) -> list[Any]:
    """The callback that scores a few maps on the way, where one is asked for."""
    from scenegen.data.samples import collate
    from scenegen.sampling.sheets import spread
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
