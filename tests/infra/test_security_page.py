"""docs/security.md: each claim names what holds it, and that is there."""

import ast
import re

import pytest
from infra.policies import markdown, template

from project import TOP

PAGE = (TOP / "docs/security.md").read_text(encoding="utf-8")
CLAIMS = [
    line.strip("| ").split(" | ")
    for table in re.findall(r"^\|.*\| held by \|\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE, re.M)
    for line in table.splitlines()
]


def holds(reference: str) -> bool:
    """Whether a resource of a template or a test is there."""
    if reference.startswith("tests/"):
        path, _, name = reference.partition("::")
        tree = ast.parse((TOP / path).read_text(encoding="utf-8"))
        return name in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}
    file, _, resource = reference.partition(".yaml: ")
    return resource in template(file)["Resources"]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda cells: cells[0])
def test_each_claim_is_held(claim):
    """By resources and tests that exist, and by one at least."""
    references = re.findall(r"`([^`]+)`", claim[-1])
    assert references
    assert [each for each in references if not holds(each)] == []


def test_every_section_has_claims():
    """No section is words alone."""
    sections = PAGE.split("\n## ")[1:]
    assert len(sections) == 6
    assert all("| held by |" in each for each in sections)


def test_the_policies_are_the_templates():
    """After an edit of the template: .venv/bin/python -m infra.policies writes the table."""
    assert f"<!-- policies -->\n{markdown()}\n<!-- /policies -->" in PAGE
