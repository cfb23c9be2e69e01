"""Files of the nets that come with the package, by name."""

from __future__ import annotations

from pathlib import Path

from scenegen.base.records import Refusal

SHIPPED = Path(__file__).parents[1] / "assets"


def find(name: str | Path, *, kind: str, what: str, folder: str | Path | None = None) -> Path:
    """The file of a net: a path as it is, a name in the folder if it is there, else among the shipped ones.

    Args:
        name: "landscapes", say, or the path of a .safetensors file.
        kind: beginning of the names of its files: `KIND_NAME.safetensors`.
        what: the net in a word, for the sentence.
        folder: where a name is looked for first.

    Raises:
        Refusal: a name that is not shipped, with those that are.
    """
    if Path(name).suffix:
        return Path(name).expanduser()
    own = f"{kind}_{name}.safetensors"
    if folder is not None and (Path(folder).expanduser() / own).is_file():
        return Path(folder).expanduser() / own
    if not (SHIPPED / own).is_file():
        shipped = ", ".join(sorted(p.stem.removeprefix(f"{kind}_") for p in SHIPPED.glob(f"{kind}_*.safetensors")))
        raise Refusal(f"there is no {what} {name}; shipped are {shipped}, or give the path of a .safetensors file")
    return SHIPPED / own


def is_shipped(name: str) -> bool:
    """Whether a name is that of a net that comes with the package: "landscapes", say; a path is none."""
    return not Path(name).suffix and any(file.stem.endswith(f"_{name}") for file in SHIPPED.glob("*.safetensors"))
