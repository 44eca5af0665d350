"""The channels of a job and the files in them."""

import json

import pytest

from sagemaker_runtime.errors import ConfigurationError, DataError
from sagemaker_runtime.training.channels import Channels, data_files, find

SUFFIXES = (".csv", ".csv.gz", ".parquet")


@pytest.fixture
def channel(tmp_path):
    """The folder of the channel ``training``."""
    folder = tmp_path / "training"
    folder.mkdir()
    return folder


def put(channel, name, content=b"1,2\n"):
    path = channel / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def find_in(tmp_path, config):
    path = tmp_path / "inputdataconfig.json"
    path.write_text(json.dumps(config))
    return find(tmp_path, path)


def test_channels_are_folders(tmp_path, channel):
    """Manifests beside them are not channels; the file may be absent."""
    (tmp_path / "training-manifest").touch()
    assert dict(find(tmp_path, tmp_path / "absent.json")) == {"training": channel}
    config = {"training": {"TrainingInputMode": "FastFile"}, "other": {}}
    assert dict(find_in(tmp_path, config)) == {"training": channel}


@pytest.mark.parametrize("mode", ["Pipe", "pipe"])
def test_a_pipe_is_refused(tmp_path, mode):
    """The message names the modes that work."""
    with pytest.raises(DataError, match=r"'training' has the input mode Pipe.*FastFile"):
        find_in(tmp_path, {"training": {"TrainingInputMode": mode}})


@pytest.mark.parametrize(
    "config",
    [["training"], {"training": "File"}, {"training": None}, {"t": {"TrainingInputMode": 1}}],
)
def test_another_form_is_refused(tmp_path, config):
    """The message names the file and shows what it should hold."""
    with pytest.raises(ConfigurationError, match=r'^inputdataconfig\.json .*"TrainingInputMode"'):
        find_in(tmp_path, config)


@pytest.mark.parametrize(
    ("ask", "line"),
    [
        (lambda c: c["a"], "channel b was not read: train looks for a"),
        (lambda c: (c.get("a"), "c" in c), "channel b was not read: train looks for a, c"),
        (lambda c: "a" in c, "channels a, b were not read: train looks for a"),
        (lambda c: None, "channels a, b were not read: train looks for no channel"),
        (lambda c: dict(c), None),
        (lambda c: list(c.values()), None),
        (lambda c: [c["a"], c.get("b")], None),
    ],
)
def test_channels_remember_who_was_asked_for(tmp_path, ask, line):
    """Only a folder that was handed out counts as read."""
    channels = Channels({"a": tmp_path, "b": tmp_path})
    ask(channels)
    assert channels.unread() == line


def test_files_are_found_below_the_channel_in_order(channel):
    """Files in sub-directories and with upper-case suffixes count, sorted by path."""
    for name in ("b/2.csv", "a.CSV", "b/1.csv.gz"):
        put(channel, name)
    found = [str(path.relative_to(channel)) for path in data_files(channel, SUFFIXES)]
    assert found == ["a.CSV", "b/1.csv.gz", "b/2.csv"]


def test_markers_and_manifests_are_not_data(channel):
    """Hidden files and folders, manifests and empty markers are passed over."""
    for name in ("_SUCCESS", ".DS_Store", "_temporary/x.csv", "training-manifest", "part.csv"):
        put(channel, name)
    (channel / "folder_$folder$").touch()
    assert data_files(channel, SUFFIXES) == [channel / "part.csv"]


@pytest.mark.parametrize(
    ("name", "content", "remedy"),
    [
        ("trips_000", b"1,2\n", "If trips_000 holds rows give it a name that ends in .csv. "),
        ("rows.txt", b"1,2\n", "If rows.txt holds rows give it a name that ends in .csv. "),
        ("part.snappy", b"PAR1\x15", "a name that ends in .parquet. "),
        ("rows.gz", b"\x1f\x8b\x08", "a name that ends in .csv.gz. "),
        ("cat.jpg", b"\xff\xd8\x00", ".parquet. Take other files"),
    ],
)
def test_another_file_is_refused_with_the_ending_it_should_have(channel, name, content, remedy):
    """The file is named, with the suffixes that are allowed and the one that would fit."""
    put(channel, "good.csv")
    put(channel, f"docs/{name}", content)
    with pytest.raises(DataError) as caught:
        data_files(channel, SUFFIXES)
    assert f"holds docs/{name}; expected only files that end in .csv, .csv.gz" in str(caught.value)
    assert remedy in str(caught.value)
    assert str(caught.value).endswith("Take other files out of the channel's S3 prefix.")


def test_odd_names_are_shown_in_printable_words(channel):
    """Neither a line feed nor bytes that are not UTF-8 reach a message."""
    put(channel, "a\nb.txt")
    put(channel, "\udcff.txt")
    with pytest.raises(DataError) as caught:
        data_files(channel, SUFFIXES)
    assert str(caught.value).isprintable()
    assert r"a\nb.txt, \udcff.txt" in str(caught.value)


def test_a_channel_without_data_says_what_is_there(channel):
    """An empty channel and one with markers only are told apart."""
    with pytest.raises(DataError, match="Channel training holds no file; expected at least one"):
        data_files(channel, SUFFIXES)
    put(channel, "_SUCCESS")
    with pytest.raises(DataError, match="holds only _SUCCESS"):
        data_files(channel, SUFFIXES)
