"""Old spellings of configs and the new ones: one table, which opens runs made before and answers old command lines.

A release that moves a target, a key or a group adds a row here. Folders of old runs stay as they are: their configs
are brought up to date as they are read.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scenegen.config import old_defaults


@dataclass(frozen=True)
class Moves:
    """Everything that one release moved.

    Attributes:
        release: the release.
        dropped: the release that reads the old spellings no more; its maker deletes this entry.
        targets: old `_target_` -> new one.
        keys: old path of a value in the config -> new one.
        gone: paths of values that nothing reads any more.
        groups: old key or group of a command line -> new one; no stored config has it.
        commands: old command -> words that stand for it now.
        root: key that configs now have at their root -> value that stands for its absence.
        arguments: new `_target_` -> old argument -> new one, below that target ("h" -> "options.h").
        added: new `_target_` -> argument that every config gives now -> the constructor's former default.
    """

    release: str
    dropped: str
    targets: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    commands: Mapping[str, str] = field(default_factory=dict)
    root: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    added: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


WHOLE = re.compile(r"\$\{([\w.]+)\}")
"""An interpolation that is the whole value."""

_EXTRACTORS = "scenegen.networks.frozen"
_GENERATORS = "scenegen.networks.generators"
_JUDGES = "scenegen.scoring.judges"
_CRITICS = "scenegen.networks.discriminators"
_EXEMPLARS = "scenegen.data.exemplars"

MOVES = (
    Moves(
        release="0.2",
        dropped="0.4",
        commands={
            "train_scenenet": "train task=segmentation model=scenenet",
            "train_segmenter": "train task=segmentation model=smp",
        },
        groups={"height": "size.height"},
        root={"task": "scene", "post": {}, "measure": {}, "evaluate_size": None, "beside": None},
        keys={
            "size.ngf": "width.ngf",
            "size.ndf": "width.ndf",
            "size.hidden": "width.hidden",
            "trick.ema": "trick.average",
            "model.adaptor_kernel": "model.adaptor.kernel",
            "model.adaptor_attention": "model.adaptor.attention",
            "model.adaptor_squeeze": "model.adaptor.squeeze",
            "model.adaptor_deeper": "model.adaptor.deeper",
            "model.adaptor_dilated": "model.adaptor.dilated",
            "model.mask_features": "model.adaptor.mask_features",
            "model.coordinate_features": "model.adaptor.coordinate_features",
            "model.label_noise": "model.adaptor.label_noise",
            "model.exemplar_noise": "model.adaptor.exemplar_noise",
        },
        gone=("ledger.unbuilt",),
        targets={
            "scenegen.data.exemplars.at_random": f"{_EXEMPLARS}.choose.at_random",
            "scenegen.data.exemplars.retrieved": f"{_EXEMPLARS}.choose.retrieved",
            "scenegen.data.measures.Color": f"{_EXEMPLARS}.measures.Color",
            "scenegen.data.measures.LabelHist": f"{_EXEMPLARS}.measures.LabelHist",
            "scenegen.data.measures.MaskIou": f"{_EXEMPLARS}.measures.MaskIou",
            "scenegen.data.measures.PixelAcc": f"{_EXEMPLARS}.measures.PixelAcc",
            "scenegen.data.measures.Vgg": f"{_EXEMPLARS}.measures.Vgg",
            "scenegen.metrics.aesthetic.Nima": f"{_JUDGES}.nima.Nima",
            "scenegen.metrics.aesthetic.StandIn": f"{_JUDGES}.standin.StandIn",
            "scenegen.metrics.inception.CleanInceptionFeatures": f"{_JUDGES}.inception.CleanInceptionFeatures",
            "scenegen.metrics.inception.InceptionFeatures": f"{_JUDGES}.inception.InceptionFeatures",
            "scenegen.metrics.laion.Laion": f"{_JUDGES}.laion.Laion",
            "scenegen.networks.cocosnet.CoCosNet": f"{_GENERATORS}.cocosnetv1.CoCosNet",
            "scenegen.networks.cocosnet2.CoCosNet2": f"{_GENERATORS}.cocosnetv2.CoCosNet2",
            "scenegen.networks.extractors.DistsVgg16": f"{_EXTRACTORS}.vgg.DistsVgg16",
            "scenegen.networks.extractors.Vgg19": f"{_EXTRACTORS}.vgg.Vgg19",
            "scenegen.networks.gaugan.GauGAN": f"{_GENERATORS}.gaugan.GauGAN",
            "scenegen.networks.gradnorm.GradNormPatchDiscriminator": (
                f"{_CRITICS}.patch_gradnorm.GradNormPatchDiscriminator"
            ),
            "scenegen.networks.lpips_trunks.LpipsTrunk": f"{_EXTRACTORS}.lpips_trunks.LpipsTrunk",
            "scenegen.networks.oasis.Oasis": f"{_GENERATORS}.oasis.Oasis",
            "scenegen.networks.oasis_discriminator.OasisDiscriminator": f"{_CRITICS}.oasis.OasisDiscriminator",
            "scenegen.networks.patch.PatchDiscriminator": f"{_CRITICS}.patch.PatchDiscriminator",
            "scenegen.networks.projected.ProjectedDiscriminator": f"{_CRITICS}.projected.ProjectedDiscriminator",
            "scenegen.networks.scenenet.SceneNetTrunk": f"{_EXTRACTORS}.scenenet.SceneNetTrunk",
            "scenegen.networks.segmenter.SceneNetLogits": f"{_EXTRACTORS}.scenenet_logits.SceneNetLogits",
            "scenegen.networks.sesame.SesameDiscriminator": f"{_CRITICS}.sesame.SesameDiscriminator",
            "scenegen.networks.unite.UNITE": f"{_GENERATORS}.unite.UNITE",
            "scenegen.scoring.judges.SceneNetFeatures": f"{_JUDGES}.scenenet.SceneNetFeatures",
            "scenegen.scoring.judges.SceneNetSegmenter": f"{_JUDGES}.scenenet.SceneNetSegmenter",
            "scenegen.scoring.segmenters.SegformerSegmenter": f"{_JUDGES}.segformer.SegformerSegmenter",
            "scenegen.scoring.segmenters.SmpSegmenter": f"{_JUDGES}.smp.SmpSegmenter",
            "scenegen.training.ema.Ema": "scenegen.training.tricks.average.Ema",
            "scenegen.training.loggers.tensorboard": "scenegen.tracking.tensorboard.tensorboard",
            "scenegen.training.loggers.wandb": "scenegen.tracking.wandb.wandb",
        },
        added=old_defaults.GIVEN,
    ),
)
"""Oldest release first; each is applied to what the one before it made."""


def upgrade(config: Mapping[str, Any]) -> dict[str, Any]:
    """A stored config, resolved or not, in today's spelling; today's own configs come back as they are."""
    tree: dict[str, Any] = copy.deepcopy(dict(config))
    for moves in MOVES:
        for old, new in moves.keys.items():
            _move(tree, old, new)
        for path in moves.gone:
            _drop(tree, path)
        tree = _mapped(tree, moves, root=tree)
        tree = {**copy.deepcopy(dict(moves.root)), **tree}
    return tree


def new_command(command: str) -> str | None:
    """Words that stand for a command that is no more, e.g. "train task=segmentation model=scenenet"."""
    return next((moves.commands[command] for moves in reversed(MOVES) if command in moves.commands), None)


def new_spelling(key: str) -> str | None:
    """Today's path of a key or group that moved, e.g. "width.ngf" for "size.ngf"; None where it did not."""
    place = key
    for moves in MOVES:
        table = {**moves.keys, **moves.groups}
        head = next((old for old in table if place == old or place.startswith(f"{old}.")), None)
        place = place if head is None else table[head] + place.removeprefix(head)
    return place if place != key else None


def new_target(target: str) -> str | None:
    """Today's name of a `_target_` that moved; None where it did not."""
    name = target
    for moves in MOVES:
        name = moves.targets.get(name, name)
    return name if name != target else None


def moved_sentence(key: str) -> str | None:
    """Answer to an old key or group; None where it did not move."""
    new = new_spelling(key)
    return None if new is None else f"{key} is {new} now; write {new}=..."


def _mapped(node: Any, moves: Moves, *, root: Mapping[str, Any]) -> Any:
    """The node with its targets, their arguments, and every interpolation of a moved key."""
    if isinstance(node, list):
        return [_mapped(value, moves, root=root) for value in node]
    if isinstance(node, str):
        for old, new in moves.keys.items():
            node = re.sub(rf"\$\{{{re.escape(old)}(?=[.}}])", lambda _, new=new: f"${{{new}", node)
        return node
    if not isinstance(node, dict):
        return node
    node = {key: _mapped(value, moves, root=root) for key, value in node.items()}
    if isinstance(target := node.get("_target_"), str):
        if another := WHOLE.fullmatch(target):  # written as another node's
            target = str(_select(root, another[1]))
            target = moves.targets.get(target, target)
        else:
            target = node["_target_"] = moves.targets.get(target, target)
        for old, new in moves.arguments.get(target, {}).items():
            _move(node, old, new)
        for path, value in moves.added.get(target, {}).items():
            _put(node, path, value)
    return node


def _select(tree: Any, path: str) -> Any:
    for step in path.split("."):
        tree = tree.get(step) if isinstance(tree, dict) else None
    return tree


def _move(tree: dict[str, Any], old: str, new: str) -> None:
    """Move one value, where there is one."""
    place, _, key = old.rpartition(".")
    holder = _select(tree, place) if place else tree
    if isinstance(holder, dict) and key in holder:
        _put(tree, new, holder.pop(key))


def _drop(tree: dict[str, Any], path: str) -> None:
    """Take a value out, where there is one."""
    place, _, key = path.rpartition(".")
    holder = _select(tree, place) if place else tree
    if isinstance(holder, dict):
        holder.pop(key, None)


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
    """Set a value that is not set yet, with the mappings above it."""
    *way, key = path.split(".")
    for step in way:
        tree = tree.setdefault(step, {})
    tree.setdefault(key, copy.deepcopy(value))
