"""Labels find the rows to which they belong, and those that do not are counted."""

import base64
import json

import numpy as np
import pytest
from monitoring import captured, truth
from monitoring.truth import Truth

from captures import TABLE, event, side
from sagemaker_runtime.errors import RequestError

LABEL = TABLE.label
assert LABEL is not None


def line(name: str, data: str, encoding: str = "CSV") -> bytes:
    data = base64.b64encode(data.encode()).decode() if encoding == "BASE64" else data
    content = {
        "groundTruthData": {"data": data, "encoding": encoding},
        "eventMetadata": {"eventId": name},
        "eventVersion": "0",
    }
    return json.dumps(content).encode() + b"\n"


CSV = [b"\xef\xbb\xbfinference_id,row,price\n", b"a,0,11\n", b"a,1,22\n", b"b,,33\n", b"\n"]


AWS = [("a", "11\n22"), ("b", "33")]


@pytest.mark.parametrize(
    "lines",
    [CSV, [line(*each) for each in AWS], [line(*each, "BASE64") for each in AWS]],
    ids=["csv", "aws", "base64"],
)
def test_labels_by_id_and_row(lines: list[bytes]) -> None:
    """All forms name a request's rows."""
    assert truth.read(lines, LABEL).labels == {("a", 0): "11", ("a", 1): "22", ("b", 0): "33"}


def test_of_repeated_labels_the_last_counts() -> None:
    """A correction takes the place of what it corrects, in a later file too."""
    found = truth.read([b"inference_id,price\n", b"a,1\n", b"a,2\n"], LABEL)
    truth.read([line("a", "3")], LABEL, found, is_late=True)
    assert found.labels == {("a", 0): "3"}
    assert found.counts == {"labels": 3, "repeated labels": 2, "late labels": 1}


@pytest.mark.parametrize(
    "lines",
    [
        [b"inference_id,row,price\n", b"a,0,much\n", b"a,x,1\n", b"a\n", b"b,0,\n"],
        [line("a", "much"), b"{\n", b'{"groundTruthData": 1}\n', line("b", "")[:-5]],
        [line("a", "1").replace(b'"CSV"', b'"BASE64"')] * 4,
    ],
)
def test_unreadable_labels_are_counted(lines: list[bytes]) -> None:
    """Each line that holds no label counts, and the others are read."""
    found = truth.read([*lines, lines[0] if lines[0][:1] == b"i" else line("c", "5")], LABEL)
    assert found.counts["unreadable labels"] >= 4
    assert set(found.labels) <= {("c", 0)}


def test_a_file_without_names_is_refused() -> None:
    """A table whose columns are not named cannot be guessed at; the message says what to write."""
    with pytest.raises(RequestError, match=r"expected a header such as inference_id,row,price"):
        truth.read([b"a,0,1\n"], LABEL)


def test_rows_meet_their_labels() -> None:
    """
    1. three rows were captured, one of them without a prediction 2. labels come for two of them,
    for a row that a request does not have, and for a request that nobody captured.

    Result: one row can be judged; the others are counted.
    """
    rows = captured.read(
        [
            event(side("1,a\n2,a"), side("10\n20"), "a", at=1),
            event(side("3,a"), None, "b", at=2),
        ],
        TABLE,
    )
    found, labels = truth.joined(
        rows, Truth({("a", 1): "22", ("b", 0): "3", ("a", 7): "1", ("z", 0): "1"}), LABEL
    )
    assert labels.tolist() == [22]
    assert found.predicted.tolist() == [20]
    assert found.columns["size"].tolist() == [2]
    counts = rows.counts
    assert counts["rows without label"] == 1
    assert counts["labels without row"] == 1
    assert counts["labels without request"] == 1


def test_nothing_met() -> None:
    """Without labels there is nothing to judge, and no error."""
    rows = captured.read([event(side("1,a"), side("10"), "a")], TABLE)
    found, labels = truth.joined(rows, Truth(), LABEL)
    assert len(found) == len(labels) == 0
    assert labels.dtype == np.float64
