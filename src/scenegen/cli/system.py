"""Sentences about what the machine refused: files, folders, handles, memory."""

from __future__ import annotations

import errno
import os
import sys

from scenegen.config.documented import known_at_root

OS_CURES = {
    errno.EACCES: "{where} may not be read or written by this user; give a place that may be, or change its rights",
    errno.EPERM: "{where} may not be read or written by this user; give a place that may be, or change its rights",
    errno.EROFS: "{where} is on a read-only file system; give a place that may be written, or start in one",
    errno.ENOENT: "{where} is not there (a wrong name, a link to nothing, or deleted meanwhile); check the path",
    errno.EEXIST: "{where} is there already, and is no folder; move it away or give another place",
    errno.ENOTDIR: "a part of the path {where} is a file, and must be a folder; move it away or give another place",
    errno.EISDIR: "{where} is a folder, and must be a file; give a file's name",
    errno.ENOTEMPTY: "the folder {where} is not empty; give another place",
    errno.ENAMETOOLONG: "the name {where} is longer than the file system takes; give a shorter one",
    errno.ELOOP: "{where} is a link that leads to itself; mend it or give another path",
    errno.EXDEV: "{where} lies on two file systems; give a place on one",
    errno.EMFILE: "too many files are open{at}; raise the limit (ulimit -n 4096){workers}",
    errno.ENFILE: "too many files are open on this machine{at}; end other programs{workers}",
    errno.EAGAIN: "the machine starts no more processes{at}; raise the limit (ulimit -u){workers}",
    errno.ENOMEM: "memory ran out{at}; {smaller}",
    errno.EFBIG: "the disk took no more{at} ({said}); what was saved before is whole; free space and {again}",
    errno.ENOSPC: "the disk took no more{at} ({said}); what was saved before is whole; free space and {again}",
    errno.EDQUOT: "the disk took no more{at} ({said}); what was saved before is whole; free space and {again}",
    errno.EIO: "the disk failed{at} ({said}); check it, or give another place",
    errno.ESTALE: "the network file system lost {where} ({said}); mount it anew and {again}",
    errno.EBUSY: "{where} is in use by another program; end that, or give another place",
    errno.ETXTBSY: "{where} is in use by another program; end that, or give another place",
    errno.EINVAL: "{where} takes no such name or operation ({said}); give another path",
}
"""errno -> sentence with its cure; cures name options that the command has."""

_NO_MEMORY = ("not enough memory", "out of memory", "can't allocate memory", "Unable to allocate")


def system_sentence(error: BaseException, verb: str) -> str | None:
    """Sentence about an error of the machine that the user can mend; None for any other.

    Args:
        error: the error.
        verb: the command.
    """
    if isinstance(error, OSError) and error.errno in OS_CURES:
        path = next((os.fspath(p) for p in (error.filename2, error.filename) if isinstance(p, str | os.PathLike)), None)
        at = f" at {path}" if path else ""
        said = error.strerror or type(error).__name__
        return OS_CURES[error.errno].format(where=path or f"a file ({said})", at=at, said=said, **_cures(verb))
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _speaks_of_memory(error)):
        asked = (str(error).splitlines() or [""])[0][:200]
        return f"memory ran out ({asked or 'no more could be had'}); {_cures(verb)['smaller']}"
    if isinstance(error, RuntimeError) and "home directory" in str(error):  # pathlib's words about ~NAME
        return f"a path begins with ~ and the name of no user of this machine; write it whole, as {os.getcwd()}/~NAME"
    return None


def _cures(verb: str) -> dict[str, str]:
    """Parts of the sentences that depend on the options which a command has."""
    try:
        known = known_at_root(verb)
    except OSError:  # too many open files, of which the sentence speaks
        known = set()
    sizes = [f"{key}=" for key in ("batch_size", "size", "width") if key in known]
    return {
        "workers": ", or use trainer.workers=0" if "trainer" in known else "",
        "smaller": f"choose a smaller {' or '.join(sizes)}" if sizes else "end other programs, or use a larger machine",
        "again": "resume" if "resume" in known else "start again",
    }


def safe_streams() -> None:
    """Streams that take any letter, and that are there: a closed one leads nowhere instead of into the next file."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif callable(reconfigure := getattr(stream, "reconfigure", None)):
            reconfigure(errors="backslashreplace")


def _speaks_of_memory(error: RuntimeError) -> bool:
    return type(error).__name__ == "OutOfMemoryError" or any(words in str(error) for words in _NO_MEMORY)
