"""Check generated pictures and pack them for a contest: python -m scenegen.submit generated=samples labels=FOLDER"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from scenegen.base.refusal import Refusal
from scenegen.cli.entry import command


@dataclass(frozen=True)
class Settings:
    """The values of conf/submit.yaml, documented there."""

    generated: str
    labels: str
    count: int | None
    folder: str
    out: str


@command("submit")
def main(cfg: DictConfig) -> None:
    from scenegen.base.console import bar, printable
    from scenegen.base.files import own_file
    from scenegen.base.outputs import require_own
    from scenegen.config.groups import Size
    from scenegen.config.plan import plan, read_settings
    from scenegen.runs.names import require_plain
    from scenegen.scoring.generated import take
    from scenegen.scoring.submission import check, is_submission, write_zip

    config = plan(cfg, settings=Settings).config
    settings, size = read_settings(Settings, config), read_settings(Size, config["size"])
    folder = Path(settings.generated)
    if settings.folder:
        require_plain(settings.folder, option="folder")
    names = sorted(path.stem for path in Path(settings.labels).glob("*.png"))
    if not names:
        raise Refusal(f"labels={settings.labels} holds no label map (*.png); give the contest's folder of test maps")
    if settings.count not in (None, len(names)):
        raise Refusal(f"labels={settings.labels} holds {len(names)} label maps, but count={settings.count} are wanted")
    reads = {"generated": folder, "labels": Path(settings.labels)}
    require_own(Path(settings.out), option="out", reads=reads, recognise=is_submission)
    pictures = take(folder, names, size=size.pixels, track=bar)
    for path in pictures.files.values():
        own_file(path, folder)
    for warning in check(pictures, track=bar):
        print(f"warning: {printable(warning)}")
    digest = write_zip(pictures, Path(settings.out), folder=settings.folder)
    print(f"{printable(settings.out)}: {len(names)} PNG of {size.pixels[1]}x{size.pixels[0]}, sha256 {digest[:16]}")


if __name__ == "__main__":
    main()
