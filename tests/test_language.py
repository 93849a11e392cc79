"""Words that readers of torchvision's and Lightning's documentation would have to guess at are not used."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

IDIOMS = {
    r"go(es|ing)? on with": "resume, continue",
    r"(not|can't|cannot) (to )?be had": "not available",
    r"(?<!\")mend(s|ed|ing)?": "fix",
    r"whence": "from where, source",
    r"(is|are|was|were) told": "prints, reports",
}
"""Idiom as a regular expression, and what to write instead."""

# the key "mend" of the doctor's JSON is an interface
PATTERN = re.compile(r"\b(" + "|".join(IDIOMS) + r")\b", re.IGNORECASE)
PLACES = (
    "seglight",
    "tests",
    "configs",
    "docs",
    "notebooks",
    "benchmarks",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
)
KINDS = (".py", ".pyi", ".md", ".yaml", ".ipynb", ".sh")


def pages() -> Iterator[Path]:
    for place in PLACES:
        path = ROOT / place
        yield from [path] if path.is_file() else (p for p in sorted(path.rglob("*")) if p.suffix in KINDS)


@pytest.mark.parametrize("place", PLACES)
def test_no_old_idioms(place: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {found[0]}"
        for path in pages()
        if path.relative_to(ROOT).parts[0] == place and path != Path(__file__)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if (found := PATTERN.search(line))
    ]
    assert not wrong


def test_the_idioms_are_found() -> None:
    for line in ("It goes on with the next epoch.", "Weights are not to be had.", "how to mend it", "he was told so"):
        assert PATTERN.search(line)
    assert not PATTERN.search("recommended, amendment, hold, toldot")


def test_one_attribute_a_line() -> None:
    wrong = []
    for path in sorted((ROOT / "seglight").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            targets = node.targets if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple) else []
            several = [target for target in targets if isinstance(target, ast.Tuple)]
            if any(sum(isinstance(part, ast.Attribute) for part in target.elts) > 1 for target in several):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not wrong
