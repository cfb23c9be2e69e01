"""One table of all jobs of a sweep: overview.csv, and a W&B run of the sweep's own where its jobs log there."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from scenegen.base.documents import read_yaml
from scenegen.base.files import read_json, write_text
from scenegen.runs.folder import CONFIG, RESULT
from scenegen.runs.record import overrides_of
from scenegen.sweeps.job import REPLACED, STOP, finished
from scenegen.sweeps.log import LOG, reason_of

FILE = "overview.csv"


def write_table(folder: Path) -> None:
    """Write overview.csv of a sweep's folder, and log it to W&B where the jobs were logged."""
    table = read(folder)
    if not table:
        return
    fields = list(dict.fromkeys(key for row in table for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, restval="")
    writer.writeheader()
    writer.writerows(table)
    write_text(folder / FILE, text.getvalue())
    print(f"overview: {folder / FILE}", flush=True)
    if board := next(map(_wandb, folder.glob(f"*/{CONFIG}")), None):
        from scenegen.tracking.wandb import sweep_overview

        sweep_overview(
            folder,
            project=board["project"],
            entity=board["entity"],
            fields=fields,
            rows=[[row.get(field) for field in fields] for row in table],
        )


def read(folder: Path) -> list[dict[str, Any]]:
    """One row per job: number, state, the overrides in which jobs differ, total, parts, folder, and why it failed."""
    jobs = [path for path in folder.iterdir() if (path / LOG).is_file() and path.name != REPLACED]
    jobs.sort(key=_number)
    overrides = {job: dict(_pair(o) for o in overrides_of(job)) for job in jobs}
    keys = list(dict.fromkeys(key for own in overrides.values() for key in own))
    apart = [key for key in keys if len({own.get(key) for own in overrides.values() if own}) > 1]
    return [_row(job, {key: overrides[job].get(key, "") for key in apart}) for job in jobs]


def _wandb(config: Path) -> dict[str, Any] | None:
    """Options of W&B in a job's config; None without it."""
    content = read_yaml(config, what="the job's config", cure="remove the job's folder and start the sweep again")
    return OmegaConf.select(OmegaConf.create(content), "logger.wandb")


def _row(job: Path, apart: dict[str, str]) -> dict[str, Any]:
    result = read_json(job / RESULT) or {}
    parts = {name: part["value"] for name, part in result.get("parts", {}).items()}
    reason = "" if finished(job) else reason_of(job / LOG)
    scores = {"total": result.get("total"), **parts}
    return {"job": _number(job), "state": _state(job, reason), **apart, **scores, "folder": job.name, "reason": reason}


def _state(job: Path, reason: str) -> str:
    """State of a job: done, stopped (by a pruner or a person), failed, or not done, as one that is running now."""
    if finished(job):
        return "done"
    if (job / STOP).is_file():
        return "stopped"
    return "failed" if reason else "not done"


def _pair(override: str) -> tuple[str, str]:
    key, _, value = override.partition("=")
    return key.lstrip("+"), value


def _number(job: Path) -> int:
    head = job.name.partition("_")[0]
    return int(head) if head.isdigit() else sys.maxsize
