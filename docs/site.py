"""Hooks of mkdocs.yml: the README is the first page, and what pages show from outside docs/ comes along."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = re.compile(r"\]\(\.\./((?:experiments|LEADERBOARD)[^)#]*)")
"""A link of a page in docs/ to something beside it."""


def on_files(files: Files, *, config: Any) -> Files:
    """Add the README, the notebook as a page, and the files that pages link to outside docs/."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "index.md", content=re.sub(r"\]\(docs/", "](", readme)))
    if found := files.get_file_from_path("library.ipynb"):
        files.remove(found)
    files.append(File.generated(config, "library.md", content=notebook(ROOT / "docs" / "library.ipynb")))
    linked = {"LEADERBOARD.md"} if "](LEADERBOARD.md" in readme else set()
    for page in (ROOT / "docs").glob("*.md"):
        linked |= set(OUTSIDE.findall(page.read_text(encoding="utf-8")))
    for name in sorted(linked):
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links to what was outside docs/, and to the notebook."""
    return OUTSIDE.sub(r"](\1", markdown).replace("](library.ipynb)", "](library.md)")


def notebook(path: Path) -> str:
    """Cells of a notebook as Markdown."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = ("".join(cell["source"]) for cell in cells)
    return "\n\n".join(
        text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"
        for cell, text in zip(cells, texts, strict=True)
    )
