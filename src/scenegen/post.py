"""Process a folder of pictures, made by any project: python -m scenegen.post generated=out out=done post=bicubic"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from scenegen.base.refusal import Refusal
from scenegen.cli.entry import command


@dataclass(frozen=True)
class Settings:
    """The scalars at the root of conf/post.yaml, documented there."""

    generated: str
    out: str


@command("post")
def main(cfg: DictConfig) -> None:
    from scenegen.base.console import printable
    from scenegen.config.plan import plan, read_settings
    from scenegen.config.posts import posts as chosen_posts
    from scenegen.sampling.apply_posts import apply_to_folder

    config = plan(cfg, settings=Settings).config
    chosen: Settings = read_settings(Settings, config)
    posts = chosen_posts(config)
    if not posts:
        raise Refusal("no post was chosen; give post=bicubic, post=jpeg, or several in their order: post=bicubic+jpeg")
    files = apply_to_folder(Path(chosen.generated), Path(chosen.out), posts)
    print(f"{len(files)} pictures in {printable(chosen.out)} ({', then '.join(post.stamp for post in posts)})")


if __name__ == "__main__":
    main()
