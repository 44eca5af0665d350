"""
Causes and remedies: the first table of docs/troubleshooting.md, read.
"""

import re
from dataclasses import dataclass

from deploy.settings import TOP

PAGE = TOP / "docs/troubleshooting.md"


@dataclass(frozen=True)
class Cause:
    """
    ``signs`` are parts of what AWS or the container says, any of which is enough.
    """

    signs: tuple[str, ...]
    meaning: str
    remedy: str


def table() -> list[Cause]:
    """
    Return the table's rows.
    """
    text = PAGE.read_text(encoding="utf-8")
    marked = text.partition("<!-- causes")[2].partition("<!-- /causes -->")[0]
    rows = re.findall(r"^\| (`.*) \| (.*) \| (.*) \|$", marked, re.MULTILINE)
    return [Cause(tuple(re.findall("`(.*?)`", signs)), *said) for signs, *said in rows]


def match(text: str) -> list[Cause]:
    """
    Return the causes whose signs are in a text.
    """
    return [each for each in table() if any(sign in text for sign in each.signs)]
