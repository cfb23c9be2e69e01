"""The documentation builds as a site; every link of README and docs leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.sources import ROOT

mkdocs = pytest.importorskip("mkdocs.config", reason="mkdocs is not installed; make setup brings it")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def test_it_builds_without_a_warning(tmp_path: Path) -> None:
    from mkdocs.commands.build import build

    build(mkdocs.load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(tmp_path)))
    pages = {page.stem for page in tmp_path.glob("*.html")}
    assert {"index", "tutorial", "library", *(page.stem for page in PAGES[1:])} <= pages
    assert "fonts.googleapis" not in (tmp_path / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if not link.startswith(("http://", "https://", "#")):
            assert (page.parent / link.partition("#")[0]).exists(), f"{page.name}: {link} leads nowhere"
