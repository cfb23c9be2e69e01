"""Documentation of every option, read off the YAML files: python docs/options_page.py --out docs/options.md"""

from __future__ import annotations

import argparse
from pathlib import Path

from scenegen.config.documented import entries
from scenegen.config.places import conf_folder

HEAD = """# Every option

Made by `make docs` from the files under `conf/`; edit those, not this page. `group=option` chooses a file,
`key.path=value` changes one value of it, `+` adds options of `loss`, `trick`, `logger` and `measure`.
"""


def document(conf: Path) -> str:
    """All commands and groups as one Markdown page."""
    groups = sorted(path for path in conf.iterdir() if path.is_dir() and path.name != "hydra")
    parts = [HEAD, "## Commands\n", *(_command(path) for path in sorted(conf.glob("*.yaml")))]
    for group in groups:
        parts.append(f"## `{group.name}=`\n")
        parts += [_option(path) for path in sorted(group.glob("*.yaml"))]
    return "\n".join(parts)


def _command(path: Path) -> str:
    title, command, rest = split_head(path)
    body = rest.partition("\nhydra:\n")[0]
    return f"### `scenegen.{path.stem}`\n\n{title}\n\n```\n{command}\n```\n\n{_values(body)}"


def _option(path: Path) -> str:
    title, command, rest = split_head(path)
    return f"### `{path.parent.name}={path.stem}`\n\n{title}\n\n```\n{command}\n```\n\n{_values(rest)}"


def split_head(path: Path) -> tuple[str, str, str]:
    """(what it is, one command, the YAML below) of an option file.

    Raises:
        ValueError: where the file does not begin with one line that says what it is and one command.
    """
    lines = path.read_text().splitlines()
    comments = []
    while lines and lines[0].startswith("#"):
        line = lines.pop(0)[1:].strip()
        if not line.startswith("@package"):
            comments.append(line)
    if len(comments) < 2 or not comments[1].startswith("python -m scenegen."):
        raise ValueError(f"{path} must begin with a line that says what it is and one `python -m scenegen...` command")
    return comments[0], comments[1], "\n".join(lines)


def _values(body: str) -> str:
    rows = [f"| `{key}` | `{_cell(value)}` | {_cell(comment)} |" for key, value, comment in entries(body)]
    return "\n".join(["| key | default | |", "|---|---|---|", *rows, ""]) if rows else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def write_page(out: Path, page: str) -> None:
    """Write a page and say where it was stale."""
    if out.is_file() and out.read_text(encoding="utf-8") == page:
        return
    print(f"{out} was stale and is made anew; commit it")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the documentation of every option, read off conf/.")
    parser.add_argument("--out", type=Path, help="file to write; without it the page is printed")
    chosen = parser.parse_args()
    page = document(conf_folder())
    if chosen.out is None:
        print(page)
    else:
        write_page(chosen.out, page)


if __name__ == "__main__":
    main()
