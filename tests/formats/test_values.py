"""
The rules of values, one kind after the other, as Python and as Arrow follow them.
"""

from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest

from sagemaker_runtime.algorithm import Column
from sagemaker_runtime.errors import InvalidValue
from sagemaker_runtime.formats import arrow
from sagemaker_runtime.formats.schema import Kind
from sagemaker_runtime.formats.values import MISSING, convert

LAWFUL: dict[Kind, dict[str, object]] = {
    "number": {"1": 1.0, " +.5\t": 0.5, "1e5": 1e5, "-0": -0.0, "1.": 1.0, "-1e-400": -0.0},
    "boolean": {
        **dict.fromkeys(("true", "True", "TRUE", "1", "1.0", " true "), True),
        **dict.fromkeys(("false", "False", "FALSE", "0", "0.0"), False),
    },
    "timestamp": {
        "2014-02-25": "2014-02-25T00:00:00",
        "2014-02-25T12:17:09.9+05:30": "2014-02-25T12:17:09",
        " 2014-02-25 12:17 UTC": "2014-02-25T12:17:00",
        "0001-01-01": "0001-01-01T00:00:00",
    },
    "text": {"NA": "NA", " x ": " x ", "01067": "01067"},
    "numbers": {"[]": [], "[1, 2.5]": [1.0, 2.5], "[null, NaN]": [np.nan, np.nan]},
}
UNLAWFUL: dict[Kind, list[object]] = {
    "number": ["x", "1_0", "0x1", "inf", "-inf", "Infinity", "1e999", "\u0661", "\xa01", "-nan",
               "1,5", True, [1], {}, 10**400],
    "boolean": ["yes", "2", "tRUE", 2, 0.5, [1]],
    "timestamp": ["now", "NaT", "2014-02-30", "2014-02-25Z", "2014-02-25.5", "1393330620", 1, True],
    "text": [True, [1], {}],
    "numbers": ["1", "[1", '["1"]', "[[1]]", "[Infinity]", "{}", 1, [True], ["1"], [[1]]],
}  # fmt: skip


@pytest.mark.parametrize("optional", [True, False])
@pytest.mark.parametrize("kind", LAWFUL)
def test_lawful_values_are_read_alike(kind: Kind, optional: bool) -> None:
    """Each spelling has one meaning, in every format, in optional columns and in others."""
    column = Column("a", kind, "1", optional=optional)
    for text, value in LAWFUL[kind].items():
        wanted = np.datetime64(str(value)) if kind == "timestamp" else value
        found = convert(column, [text])
        np.testing.assert_array_equal(found[0], wanted)
        try:
            by_arrow = arrow.from_arrow(column, pa.array([text]))
        except arrow.Unsure:
            continue
        np.testing.assert_array_equal(by_arrow[0], wanted)
        assert by_arrow.dtype == found.dtype


@pytest.mark.parametrize("optional", [True, False])
@pytest.mark.parametrize("kind", LAWFUL)
def test_a_value_alone_is_read_as_beside_another(kind: Kind, optional: bool) -> None:
    """The short way that one value takes says what the long one says, to the bit, of any value."""
    column = Column("a", kind, "1", optional=optional)

    def read(values: list[object]) -> object:
        try:
            found = convert(column, values)
        except InvalidValue as error:
            return str(error)
        return found.dtype, found[0].tobytes() if kind != "text" else found[0]

    for value in (*LAWFUL[kind], *UNLAWFUL[kind], *MISSING, None, 1.5, -0.0, float("nan"), 10**20):
        assert read([value]) == read([value, value]), value


@pytest.mark.parametrize("kind", UNLAWFUL)
def test_other_values_are_refused(kind: Kind) -> None:
    """What is not lawful is named with its row, and Arrow does not take it either."""
    for optional in (True, False):
        column = Column("a", kind, "EXAMPLE", optional=optional)
        good = next(iter(LAWFUL[kind]))
        for value in UNLAWFUL[kind]:
            with pytest.raises(InvalidValue, match=r"a is .* in row 12; expected .* as EXAMPLE"):
                convert(column, [good, value], 11)
            if isinstance(value, str):
                with pytest.raises(arrow.Unsure):
                    arrow.from_arrow(column, pa.array([good, value]))


@pytest.mark.parametrize("kind", LAWFUL)
def test_missing_words_are_missing(kind: Kind) -> None:
    """Null and every word for it pass in an optional column only; of texts the empty one."""
    column = Column("a", kind, "1", optional=True)
    words = [""] if kind == "text" else [*MISSING, " NA ", None, float("nan")]
    assert {"", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "Null", "None", "<NA>", "#N/A"} <= MISSING
    for word in words:
        value = convert(column, [word])[0]
        assert len(value) == 0 if kind in ("text", "numbers") else np.isnan(value)
        with pytest.raises(InvalidValue, match="a is missing in row 1; expected"):
            convert(Column("a", kind, "1"), [word])
        if isinstance(word, str) and kind != "numbers":
            by_arrow = arrow.from_arrow(column, pa.array([word]))[0]
            assert by_arrow == "" if kind == "text" else np.isnan(by_arrow)
            with pytest.raises(arrow.Unsure):
                arrow.from_arrow(Column("a", kind, "1"), pa.array([word]))


@pytest.mark.parametrize("rows", [40, 400, 600, 20_000])
def test_one_of_many_timestamps_may_be_impossible(rows: int) -> None:
    """An impossible date is refused with its row, in any number of rows; no process ends."""
    column = Column("a", "timestamp", "1")
    texts = ["2014-02-25 12:17:09 UTC"] * rows
    assert convert(column, texts).tolist() == [datetime(2014, 2, 25, 12, 17, 9)] * rows
    for wrong in ("2014-02-30 12:17:09 UTC", "2014-02-25 12:61:09 UTC", "0000-00-00 00:00:00 UTC"):
        with pytest.raises(InvalidValue, match=f"in row {rows - 1}"):
            convert(column, [*texts[:-2], wrong, texts[0]])


@pytest.mark.parametrize("value", [1393330629999, "1393330629999", "2014-02-25 12:17:09"])
def test_milliseconds_are_read_where_declared(value: object) -> None:
    """A number is a time since 1970 with unit="ms" only; text is read as ever."""
    column = Column("a", "timestamp", "1", unit="ms")
    assert convert(column, [value])[0] == np.datetime64("2014-02-25T12:17:09")
    assert convert(column, [-1])[0] == np.datetime64("1969-12-31T23:59:59")
    found = arrow.from_arrow(column, pa.array(["1393330629999", "-1"]))
    assert found.tolist() == convert(column, ["1393330629999", "-1"]).tolist()
    with pytest.raises(InvalidValue, match="in row 1"):
        convert(column, [10**18])
    with pytest.raises(arrow.Unsure):
        arrow.from_arrow(column, pa.array([10**18]))


def test_columns_are_checked_when_they_are_declared() -> None:
    """A unit is for timestamps, and a column that may be left out may be missing."""
    with pytest.raises(ValueError, match="unit; expected one for timestamps"):
        Column("a", "number", "1", unit="ms")
    with pytest.raises(ValueError, match="expected optional=True"):
        Column("a", "number", "1", omittable=True)
