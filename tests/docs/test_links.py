"""Links of README and CONTRIBUTING, which the build of the manual does not check, and anchors on all pages."""

from pathlib import Path

import pytest

from tests.support.pages import PAGES, ROOT, anchor, anchors, links


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target in links(page):
        name, _, heading = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists() or file.with_suffix(".md") in PAGES, f"{page.name}: {target}: there is no such file"
        if heading and file.suffix == ".md":
            assert heading in anchors(file), f"{page.name}: {target}: there is no such heading"


def test_anchors_are_those_of_github() -> None:
    assert anchor("The `--safe_recipe` option, in short") == "the---safe_recipe-option-in-short"
    assert anchor("See [bands](concepts/bands.md)!") == "see-bands"
