"""Configuration files as people write them by hand."""

import os

import pytest

from sagemaker_runtime.errors import ConfigurationError
from sagemaker_runtime.training.configuration import SIZE_LIMIT, read

EXAMPLE = '{"a": 1}'


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"", {}), (b" \n", {}), (b'{"a": 1}', {"a": 1}), (b'\xef\xbb\xbf{"a": 1}', {"a": 1})],
)
def test_objects_in_utf_8_are_read(tmp_path, content, found):
    """An empty file is an empty object; a byte order mark does not matter."""
    path = tmp_path / "some.json"
    assert read(path, EXAMPLE) == {}
    path.write_bytes(content)
    assert read(path, EXAMPLE) == found


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (EXAMPLE.encode("utf-16"), "is not UTF-8 text (it begins with ff fe"),
        ('{"a": "é"}'.encode("latin-1"), "Save it as UTF-8"),
        (b"{'a': 1}", "is not JSON (Expecting property name enclosed in double quotes: line 1"),
        (b'{"a": 1,}', "is not JSON"),
        (b'["a"]', 'holds ["a"]'),
        (b'"a\\nb"', "holds"),
        (b"a: 1\n", "is not JSON"),
        (b"7" * 5000, "is not JSON"),
        (b'{"a": ' + b"[" * 300_000 + b"]" * 300_000 + b"}", "is nested too deeply"),
        (b"[" * 300_000, "is nested too deeply"),
        (b'{"' + b"a" * SIZE_LIMIT + b'": 1}', "has more than 4 MB"),
    ],
    ids=range(11),
)
def test_another_form_is_refused_with_the_one_expected(tmp_path, content, words):
    """The message begins with the file's name and shows what a good file holds."""
    path = tmp_path / "some.json"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        read(path, EXAMPLE)
    message = str(caught.value)
    assert message.startswith("some.json ")
    assert words in message
    assert f"expected an object such as {EXAMPLE}" in message
    assert len(message) < 400


def test_a_large_file_is_not_read_whole(tmp_path):
    """A file of a terabyte, all hole, ends as quickly as one of 5 MB."""
    path = tmp_path / "some.json"
    path.touch()
    os.truncate(path, 10**12)
    with pytest.raises(ConfigurationError, match="has more than 4 MB"):
        read(path, EXAMPLE)


def test_a_folder_in_the_files_place_is_told(tmp_path):
    """What a wrong mount makes of a file is named."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read(tmp_path, EXAMPLE)
