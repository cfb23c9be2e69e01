"""The page of options is what the YAML files say, and every file says what it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from options_page import document, split_head

from scenegen.config.places import conf_folder

FILES = [p for p in sorted(conf_folder().rglob("*.yaml")) if "hydra" not in p.parts]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(conf_folder())))
def test_every_option_opens_with_what_it_is_and_one_command(path: Path) -> None:
    title, command, _ = split_head(path)
    assert title.endswith(".")
    assert command.startswith("python -m scenegen.")


def test_the_page_is_up_to_date() -> None:
    page = Path(__file__).resolve().parents[1] / "docs" / "options.md"
    assert page.read_text() == document(conf_folder()), "run make docs"
