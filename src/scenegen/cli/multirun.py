"""Mode of a search: `sweep=` starts it without -m, and a single run refuses a config that has one."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from scenegen.base.refusal import Refusal

NO_SEARCH = ("", "none", "null")


def with_search_mode(words: Sequence[str]) -> list[str]:
    """Command line on which `sweep=<search>` stands beside the mode that starts it; a mode of the user's own stays.

    The mode is a word of the command line, since Hydra 1.4 takes it from there or from the root config, never from an
    option of a group. It is no flag, so that --cfg and --info go with it.
    """
    if any(word.startswith("hydra.mode=") for word in words):
        return list(words)
    # Beside the choice and not in front: argparse takes the overrides of one place only.
    return [new for word in words for new in (["hydra.mode=MULTIRUN", word] if _names_a_search(word) else [word])]


def refuse_search_in_one_run(cfg: DictConfig) -> None:
    """Refuse a config with a search (a recipe's, say) in a single run, which would leave the search out.

    Raises:
        Refusal: the config has a node `sweep`.
    """
    if OmegaConf.select(cfg, "sweep") is not None:
        raise Refusal(
            "the config chooses a search (its sweep.* values), and this is a single run; add -m to start the search, "
            "or sweep=none to run once"
        )


def _names_a_search(word: str) -> bool:
    key, _, value = word.partition("=")
    return key == "sweep" and value.strip("'\" ") not in NO_SEARCH
