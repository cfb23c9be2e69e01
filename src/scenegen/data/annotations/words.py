"""Word rules: free words of annotators to the classes of a list, from one YAML that a person edits."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from scenegen.base.documents import read_yaml
from scenegen.base.refusal import Refusal

SHIPPED = Path(__file__).with_name("landscape.yaml")
"""Word rules for the contest's 29 classes."""

NOTHING = frozenset({"", "unlabelled", "unlabeled", "__ignore__", "_background_"})
"""Words that say that nothing is labelled: LabelMe's own two, and the name of unlabelled pixels."""

CURE = "write one line per class, as in  tree: [tree, palm, forest]"


def read_rules(path: Path, *, classes: Collection[str]) -> dict[str, str]:
    """Word -> class, from a YAML file {class: [word, ...]}; a class' own name is one of its words.

    Raises:
        Refusal: another shape, a class that is not in the list, or one word under two classes.
    """
    listed: dict[str, list[str]] = read_yaml(path, what="words", cure=CURE, shape=dict[str, list[str]])
    if strange := [name for name in listed if name not in classes]:
        raise Refusal(f"words {path}: {', '.join(strange)} is no class; there are {', '.join(classes)}")
    rules: dict[str, str] = {plain(name): name for name in classes}
    for name, words in listed.items():
        for word in words:
            before = rules.setdefault(plain(word), name)
            if before != name:
                raise Refusal(f"words {path}: {word!r} stands under {before} and under {name}; keep one of them")
    return rules


def plain(word: str) -> str:
    """A word in lower case, without digits, marks and the plural: "Trees_02 (occluded)" is "tree".

    COCO's endings that name no thing go too: "sky-other-merged" is "sky".
    """
    text = re.sub(r"\(.*?\)|(?<=\w )(crop(ped)?|occluded)\b|-(other|stuff|merged)\b", " ", word.lower())
    return " ".join(_singular(part) for part in re.sub(r"[^a-z\u00c0-\uffff]+", " ", text).split())


def class_of(word: str, rules: Mapping[str, str]) -> str | None:
    """Class of an annotator's word: that of the whole phrase, of its last words, or None where no rule knows it.

    English puts the thing last, so "snowy mountain" is a mountain and "tree trunk" a trunk.
    """
    parts = plain(word).split()
    for first in range(len(parts)):
        if (found := rules.get(" ".join(parts[first:]))) is not None:
            return found
    return None


def _singular(word: str) -> str:
    if len(word) > 3 and word.endswith("ies"):
        return f"{word[:-3]}y"
    if re.search(r"(sh|ch|x|ss|^bus|^gas)es$", word):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def listed_classes(path: Path) -> list[str]:
    """Classes of a file of word rules, in its order."""
    return list(read_yaml(path, what="words", cure=CURE, shape=dict[str, list[str]]))
