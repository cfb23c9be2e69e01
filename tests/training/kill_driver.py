"""scenegen.train that sends itself a signal at a named moment: `python kill_driver.py MOMENT STEP SIGNAL overrides...`

Moments: "step" (a step has begun), "row" (the step's row is in the journal), "unsaved" (its checkpoint is about to be
written), "half" (half of it is), "saved" (it has its name), "sampled" (the test maps are painted, nothing is scored).
"""

from __future__ import annotations

import contextlib
import os
import runpy
import signal
import sys

MOMENT, STEP, SIGNAL = sys.argv[1], int(sys.argv[2]), getattr(signal, sys.argv[3])


def end() -> None:
    os.kill(os.getpid(), SIGNAL)


def install() -> None:
    from scenegen.reporting import evaluate
    from scenegen.runs.journal import Journal
    from scenegen.training.callbacks import checkpoints
    from scenegen.training.rounds import Rounds

    make, write, save, whole = (
        Rounds.training_step,
        Journal.log_metrics,
        checkpoints.Checkpoints.save,
        checkpoints.whole,
    )
    draw = evaluate.draw_sheet

    def training_step(self, *arguments):
        if MOMENT == "step" and self.step == STEP:
            end()
        return make(self, *arguments)

    def log_metrics(self, metrics, step=None):
        write(self, metrics, step)
        if MOMENT == "row" and step == STEP:
            end()

    def save_it(self, trainer, step):
        if MOMENT == "unsaved" and step == STEP:
            end()
        save(self, trainer, step)
        if MOMENT == "saved" and step == STEP:
            end()

    @contextlib.contextmanager
    def half(path, **options):
        with whole(path, **options) as part:
            yield part
            if MOMENT == "half" and path.name == f"step_{STEP:07d}.ckpt":
                os.truncate(part, part.stat().st_size // 2)
                end()

    def draw_sheet(*arguments, **options):
        if MOMENT == "sampled":
            end()
        return draw(*arguments, **options)

    setattr(Rounds, "training_step", training_step)  # noqa: B010  # the checker knows its signature
    Journal.log_metrics, checkpoints.Checkpoints.save = log_metrics, save_it
    checkpoints.whole, evaluate.draw_sheet = half, draw_sheet


if __name__ == "__main__":
    sys.argv = ["scenegen.train", *sys.argv[4:]]
    install()
    runpy.run_module("scenegen.train", run_name="__main__", alter_sys=True)
