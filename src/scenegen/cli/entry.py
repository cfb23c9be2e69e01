"""Commands from functions of a config: Hydra around them, one clear sentence per error, an exit status.

Torch is not imported here, so that --help and --cfg job answer before it is loaded.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import gc
import json
import logging
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import (
    ConfigCompositionException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
    SearchPathException,
)
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from scenegen.base.console import printable
from scenegen.base.refusal import Refusal, causes
from scenegen.cli.completion import FLAGS
from scenegen.cli.help import register_help
from scenegen.cli.multirun import refuse_search_in_one_run, with_search_mode
from scenegen.cli.resume import MULTIRUN, with_values_of_the_run
from scenegen.cli.system import safe_streams, system_sentence
from scenegen.config.compose import compose, register_resolvers
from scenegen.config.documented import known_at_root, options_of
from scenegen.config.moved import moved_sentence
from scenegen.config.places import conf_folder, require_weights_folder
from scenegen.config.quoting import TEXT, readable
from scenegen.config.synonyms import key_hint, nearest
from scenegen.config.targets import extend
from scenegen.sweeps.program import RETURN_VARIABLE, program

NUMBER = re.compile(r"[-+]?([\d._]+(e[-+]?\d+)?|inf|nan)", re.IGNORECASE)

NO_GROUP = re.compile(r"Could not override '([^'@]+)")
"""Hydra's words for a group that is not in the defaults list."""

BLOCKED = re.compile("Target '(.+?)' is blocklisted")
"""Hydra's words for a target that it never makes."""

NO_NAME = "Config group override"
"""Start of Hydra's words for an option of a group that is a number."""

UNKNOWN_KEY = (ConfigAttributeError, ConfigKeyError)

EMPTY = ("", "''", '""')

MAY_BE_EMPTY = frozenset({"folder"})
"""Keys of a text that mean something when empty: the root of submit's zip."""

OURS = "SCENEGEN_SENTENCES"
"""Set where HYDRA_FULL_ERROR is ours: jobs of a sweep and DDP's processes inherit both and print sentences too."""


def command(config_name: str) -> Callable[[Callable[[DictConfig], object]], Callable[[], None]]:
    """Decorator that makes a function of a composed config a command.

    The function's return value: an int is the exit status, a float the value a sweep optimises. Input that
    cannot be used (a Refusal, a config that does not compose, a full disk) ends in one sentence and status 1.
    """

    def decorate(task: Callable[[DictConfig], object]) -> Callable[[], None]:
        # The variable is the user's wish unless a command that started this process set it for itself.
        wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1" and OURS not in os.environ
        started_with = program()

        @functools.wraps(task)
        def guarded(cfg: DictConfig) -> object:
            gc.enable()
            if _under_foreign_launcher():
                from scenegen.sweeps.foreign_launcher import run_in_own_process

                return run_in_own_process(cfg, program=started_with)
            try:
                if path := OmegaConf.select(cfg, "extensions"):
                    extend(path)
                require_weights_folder(OmegaConf.select(cfg, "weights.dir"))
                if RETURN_VARIABLE not in os.environ:  # a job of the search itself has the search's config
                    refuse_search_in_one_run(cfg)
                result = task(cfg)
            except Exception as error:  # any error of a command ends in its one sentence
                _leave_no_empty_folder()
                if wants_traceback:
                    raise
                _stop(error, config_name)
            if isinstance(result, int) and not isinstance(result, bool) and result:
                raise SystemExit(result)
            if where := os.environ.get(RETURN_VARIABLE):
                Path(where).write_text(json.dumps(result))
            return result

        @functools.wraps(task)
        @_uncollected()
        def main() -> None:
            safe_streams()
            quiet()
            register_resolvers()
            register_help()
            words = sorted(sys.argv[1:], key=lambda word: word not in MULTIRUN)  # Hydra takes overrides in one piece
            sys.argv = [sys.argv[0], *readable(with_values_of_the_run(with_search_mode(words)))]
            if not wants_traceback:
                os.environ[OURS] = "1"
            os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises, and the sentence below is the one printed.
            try:
                refuse_words(sys.argv[1:])
                hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name=config_name)(guarded)()
            except KeyboardInterrupt:
                sys.exit(130)
            except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                sys.exit(141)
            except Exception as error:  # Hydra's too; what has no sentence is printed whole
                if wants_traceback:
                    raise
                _stop(no_option(sys.argv[1:]) or error, config_name)

        return main

    return decorate


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage is looked for until a task begins, which turns that on: a composition makes much and leaves none.

    What the first command of a process finds there, and what it composed for no task, is never looked at; a program
    that calls commands again and again keeps none of theirs.
    """
    first = not gc.get_freeze_count()
    gc.disable()
    if first:
        gc.freeze()
    try:
        yield
    finally:
        if not gc.isenabled():
            if first:
                gc.freeze()
            gc.enable()


def _under_foreign_launcher() -> bool:
    """True where a multirun calls us in a process that is not the job's own (SLURM, Ray, joblib, Hydra's basic one)."""
    return HydraConfig.initialized() and not OmegaConf.is_missing(HydraConfig.get().job, "num")


def quiet() -> None:
    """Silence the libraries' reports about themselves; the commands and warnings inform the user."""
    # The parent's level is set anew when Lightning is imported, so these are named one by one.
    for name in ("utilities.rank_zero", "trainer.connectors.checkpoint_connector"):
        logging.getLogger(f"pytorch_lightning.{name}").setLevel(logging.WARNING)
    # One Lightning epoch is the whole run, the frozen networks are meant to be in eval mode, and a loader without
    # workers is right for pictures that are in memory.
    # Hydra 1.4 names what 1.5 drops, which 1.3 needs.
    for message in (
        ".*in eval mode at the start of training.*",
        ".*does not have many workers.*",
        ".*LeafSpec.*",
        "The version_base parameter is deprecated",
        r"register_new_resolver\(\) is deprecated",
    ):
        warnings.filterwarnings("ignore", message=message)


def _leave_no_empty_folder() -> None:
    """Remove the empty folders that Hydra made before the run was refused; a folder with files stays."""
    folder, here = Path(HydraConfig.get().runtime.output_dir).resolve(), Path.cwd().resolve()
    with contextlib.suppress(OSError):
        while folder != here:
            folder.rmdir()
            folder = folder.parent
            if here not in folder.parents:
                return


def composed(verb: str, words: Sequence[str]) -> DictConfig:
    """The config of a verb without its command line around it, for programs.

    Args:
        verb: such as "train".
        words: of its command line.

    Raises:
        Refusal: words that do not compose, with the sentence that the command would print.
    """
    spelt = readable(words)
    refuse_words(spelt)
    try:
        return compose(verb, list(spelt))
    except Exception as error:  # Hydra and OmegaConf raise kinds of their own
        sentence = no_option(spelt) or explain(error, verb=verb)
        if sentence is None:
            raise
        raise Refusal(str(sentence)) from error


def _stop(error: Exception, verb: str) -> None:
    """Print the error's sentence and leave with status 1."""
    sentence = explain(error, verb=verb)
    if sentence is None:
        traceback.print_exception(error)
        sentence = (
            f"{type(error).__name__}: {error} (this is a defect of scenegen, not of your input; "
            "please report it with the lines above)"
        )
    # Lightning's DDP processes would each print the same sentence.
    if os.environ.get("LOCAL_RANK", "0") == "0":
        sys.stdout.flush()
        print(f"error: {printable(sentence)}", file=sys.stderr)
    raise SystemExit(1)


def explain(error: BaseException, *, verb: str = "train") -> str | None:
    """One sentence about an error that the user can mend, or None for a defect of ours.

    Args:
        error: the error.
        verb: the command; a cure names an option that it has.
    """
    if refusal := next((cause for cause in causes(error, _resolved) if isinstance(cause, Refusal)), None):
        return str(refusal)
    said = (_sentence(cause, verb) for cause in causes(error, _wrapped))
    return next((sentence for sentence in said if sentence is not None), None)


def _sentence(error: BaseException, verb: str) -> str | None:
    if (said := system_sentence(error, verb)) is not None:
        return said
    if isinstance(error, MissingConfigException) and error.options is not None and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        options = list(error.options)
        near = nearest(name, options, group=group.rpartition("/")[2])
        return f"{group}={name}: there is no {name!r}.{near} Options of {group}: {', '.join(options)}"
    if isinstance(error, SearchPathException):
        return f"{' '.join(str(error).split())}; give the folder of your own conf/ files, or leave --config-dir out"
    if isinstance(error, OverrideParseException):
        return f"cannot read {error.override!r}: an override is key=value or group=option, {_bare(error.override)}"
    if isinstance(error, ValueError) and str(error).startswith(NO_NAME):
        named = " ".join(word for word in sys.argv[1:] if word.startswith("~") or "@" in word.partition("=")[0])
        return f"{named or 'an override'} chooses an option by a value that is no name; write group=OPTION, or ~group"
    if isinstance(error, UNKNOWN_KEY):
        return _unknown_key(error, verb)
    if isinstance(error, InstantiationException) and (target := BLOCKED.search(str(error))):
        return f"_target_={target[1]} is refused by Hydra, because it can run any program; leave it out"
    if isinstance(error, ConfigCompositionException) and isinstance(error.__cause__, UNKNOWN_KEY):
        return None  # its cause says it
    if isinstance(error, ConfigCompositionException | OmegaConfBaseException):
        text = " ".join(str(error).split())
        if isinstance(error, OmegaConfBaseException) and text.startswith("Recursive interpolation"):
            named = ", ".join(word for word in sys.argv[1:] if "${" in word)
            return f"an interpolation leads back to itself ({named or error.full_key}); write a value in its place"
        group = NO_GROUP.search(text)
        return (_other_word(group[1], verb) if group else None) or text
    return None


def _wrapped(error: BaseException) -> BaseException | None:
    """The error that Hydra wrapped in one of its own."""
    return error.__cause__ if isinstance(error, InstantiationException | ConfigCompositionException) else None


def _resolved(error: BaseException) -> BaseException | None:
    """The error behind one, also behind one of OmegaConf: raised by a function of ours that the config names."""
    return error.__cause__ or (error.__context__ if isinstance(error, OmegaConfBaseException) else None)


def _bare(word: str) -> str:
    bare = word.strip("+~")
    return f"such as {bare}=..." if bare.replace(".", "").replace("/", "").isidentifier() else "such as steps=500"


def _other_word(key: str, verb: str) -> str | None:
    """Sentence about a key that moved, or that another tool has; None for any other."""
    if moved := moved_sentence(key):
        return moved
    return f"{key} is unknown; here it is {here}" if (here := key_hint(key, known_at_root(verb))) else None


def no_option(words: Sequence[str]) -> Refusal | None:
    """Refusal of a group that is given a number or null in place of an option, which Hydra answers with a traceback."""
    for word in words:
        key, _, value = word.lstrip("+").partition("=")
        group = key.partition("@")[0]
        options = options_of(group)
        if options and (NUMBER.fullmatch(value) or value in ("null", "true", "false") or value[:1] in ("{", "[")):
            size = "; the size of the pictures is size.height=... and size.width=..." if group == "width" else ""
            return Refusal(f"{word}: {group} takes one of {', '.join(options)}, and {value} is none of them{size}")
    return None


def refuse_words(words: Sequence[str]) -> None:
    """Refuse overrides that name no key, that are empty where a name stands, or that take a needed group away.

    Raises:
        Refusal: with the way to write it.
    """
    for word in words:
        flag = word.partition("=")[0]
        if word.startswith("--") and not any(known.startswith(flag) for known in FLAGS):
            bare = flag.lstrip("-").replace("-", "_")
            near = difflib.get_close_matches(flag, FLAGS, 1, cutoff=0.7)
            cure = f"did you mean {near[0]}?" if near else f"values are given without dashes, as {bare}=..."
            raise Refusal(f"there is no flag {flag}; {cure} Flags: {', '.join(FLAGS)}")
        if word.startswith("=") or re.fullmatch(r"[+~]+(=.*)?", word):
            raise Refusal(f"{word!r} names no key; an override is key=value or group=option, such as steps=500")
        key, sign, value = word.lstrip("+").partition("=")
        if sign and value.strip() in EMPTY and key.rpartition(".")[2] in TEXT - MAY_BE_EMPTY:
            raise Refusal(f"{key}= is empty; write {key}=... with a name or path, or leave it out")
        if key == "hydra.verbose" and NUMBER.fullmatch(value):
            raise Refusal(f"hydra.verbose={value} is no logger; write hydra.verbose=true, or a logger's name")
        if value in ("{}", "[]") and (refusal := no_option([f"{key}={value}"])):
            raise refusal
        group = re.split("[=@]", word.removeprefix("~"), maxsplit=1)[0]
        if word.startswith("~") and (options := options_of(group)):
            cure = f"{group}=none" if "none" in options else f"{group}= with one of {', '.join(options)}"
            raise Refusal(f"{word} takes away the whole group {group}, which the command reads; write {cure}")


def _unknown_key(error: OmegaConfBaseException, verb: str) -> str:
    parent = error.parent_node
    known = [str(key) for key in parent] if isinstance(parent, DictConfig) else []
    key = str(error.key)
    path = error.full_key or key
    if other := _other_word(path, verb):
        return other
    place = path.rpartition(".")[0]
    return (
        f"unknown config key {path!r}.{nearest(key, known)} "
        f"{'Keys of ' + place if place else 'Keys at the top'}: {', '.join(known)}"
    )
