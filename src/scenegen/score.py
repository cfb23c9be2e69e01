"""Score generated pictures, or check a table of scores: python -m scenegen.score generated=out data=procedural"""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from scenegen.base.refusal import Refusal
from scenegen.cli.entry import command
from scenegen.config.scored import Settings


@command("score")
def main(cfg: DictConfig) -> int:
    from scenegen.base.console import bar, console, say
    from scenegen.config import build
    from scenegen.config.plan import plan, read_settings
    from scenegen.config.scored import score

    chosen = plan(cfg, settings=Settings)
    settings: Settings = read_settings(Settings, chosen.config)
    if settings.rows is not None:
        from scenegen.scoring.contest import recompute
        from scenegen.scoring.table import show_rows

        if chosen.config["scorer"] is None:
            raise Refusal("rows= recomputes a contest's totals and scorer=none has none; choose scorer=jittor2022")
        contest = build.make(chosen.config["scorer"])
        rows = recompute(Path(settings.rows), contest)
        show_rows(rows, contest, console())
        return int(not all(row.agrees for row in rows))
    from scenegen.base.outputs import require_own
    from scenegen.scoring.table import is_score, line, show, write_json

    if settings.json:
        reads = {
            "generated": Path(str(settings.generated)),
            **({"styles": Path(settings.styles)} if settings.styles else {}),
        }
        require_own(Path(settings.json), option="json", reads=reads, recognise=is_score)
    found = score(chosen, track=bar, notice=say, warn=print)
    show(found, console())
    print(line(found))
    if settings.json:
        write_json(found, Path(settings.json))
    return 0


if __name__ == "__main__":
    main()
