"""The kind of a column is told by its values, with the rules by which they are read."""

import pytest

from sagemaker_runtime.formats.kinds import column_of
from sagemaker_runtime.formats.schema import Column


@pytest.mark.parametrize(
    ("values", "kind", "example", "optional"),
    [
        (["1.5", " 2 "], "number", "1.5", False),
        (["NA", "3", ""], "number", "3", True),
        (["0", "1"], "number", "0", False),
        (["01067", "10115"], "text", "01067", False),
        (["True", "False", ""], "boolean", "True", True),
        (["2024-02-25", "2024-02-25 12:00"], "timestamp", "2024-02-25", False),
        (["[1, 2]", "[]"], "numbers", "[1, 2]", False),
        (["Ann", "NA"], "text", "Ann", False),
        (["", ""], "text", "", True),
    ],
)
def test_a_column_has_the_kind_of_its_values(values, kind, example, optional):
    """Missing values make it optional, a code with a leading zero is a text, NA may be one."""
    assert column_of("a", values) == Column("a", kind, example, optional=optional)


def test_only_the_kinds_asked_for_are_tried():
    """What is of none of them is a text."""
    assert column_of("a", ["[1, 2]"], ("number",)).kind == "text"
