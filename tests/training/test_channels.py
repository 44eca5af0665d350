"""The channels of a job and the files in them."""

import gzip
import json
import os

import pytest

from sagemaker_runtime.errors import ConfigurationError, DataError
from sagemaker_runtime.training import digests
from sagemaker_runtime.training.channel import Channel
from sagemaker_runtime.training.channels import Channels, find
from sagemaker_runtime.training.data_files import data_files
from sagemaker_runtime.training.pipes import Waiting

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
    return find(tmp_path, path, Waiting())


def told(channels):
    return {name: (each.path.name, each.mode) for name, each in channels.items()}


def test_channels_are_folders_and_pipes(tmp_path, channel):
    """Manifests beside them are not channels; the configuration may be absent."""
    (tmp_path / "training-manifest").touch()
    found = find(tmp_path, tmp_path / "absent.json", Waiting())
    assert told(found) == {"training": ("training", "File")}
    os.mkfifo(tmp_path / "more_0")
    os.mkfifo(tmp_path / "training_0")
    config = {
        "training": {"TrainingInputMode": "FastFile"},
        "late_0": {"TrainingInputMode": "pipe"},
        "absent": {"TrainingInputMode": "File"},
    }
    assert told(find_in(tmp_path, config)) == {
        "training": ("training", "FastFile"),
        "more": ("more", "Pipe"),
        "late_0": ("late_0", "Pipe"),
    }


def test_a_channel_knows_what_the_job_says_of_it(tmp_path, channel):
    """Content type and distribution come from the configuration, where it has them."""
    assert find_in(tmp_path, {})["training"].distribution == "FullyReplicated"
    keys = {"ContentType": "text/csv", "S3DistributionType": "ShardedByS3Key"}
    found = find_in(tmp_path, {"training": keys})["training"]
    assert (found.content_type, found.distribution) == ("text/csv", "ShardedByS3Key")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("TrainingInputMode", "Stream", "'Stream'.*the input mode File, FastFile or Pipe"),
        ("RecordWrapperType", "TFRecord", "'TFRecord'.*the record wrapper None or RecordIO"),
        ("ContentType", 7, "7.*a text as ContentType"),
    ],
)
def test_what_is_not_known_of_a_channel_is_refused(tmp_path, key, value, words):
    """The message names the value, the channel and what is known."""
    with pytest.raises(ConfigurationError, match=words):
        find_in(tmp_path, {"training": {key: value}})


def test_a_file_mode_channel_is_read_in_all_ways(channel):
    """files, open and records give the same data, unpacked by open, as often as one likes."""
    put(channel, "a/1.txt", b"one\n")
    packed = gzip.compress(b"two\n")
    put(channel, "b.gz", packed)
    put(channel, "_SUCCESS", b"")
    found = Channel(channel)
    assert [path.name for path in found.files()] == ["1.txt", "b.gz"]
    assert found.folder == channel
    for _ in range(2):
        with found.open() as stream:
            assert stream.read() == b"one\ntwo\n"
        assert list(found.records()) == [b"one\n", packed]
    with pytest.raises(DataError, match=r"holds b\.gz; expected only files that end in \.txt"):
        found.files(".txt")


def test_an_empty_channel_says_so(channel):
    """Whatever way it is asked for data."""
    for ask in (Channel.files, Channel.open, lambda c: list(c.records())):
        with pytest.raises(DataError, match="Channel training holds no file; expected at least"):
            ask(Channel(channel))


def test_a_missing_channel_says_which_there_are(channel):
    """The message gives the argument that would bring it."""
    with pytest.raises(DataError, match=r'^the job has no channel \'test\'; it has: a\. .*"test":'):
        Channels({"a": Channel(channel)})["test"]


@pytest.mark.parametrize("mode", ["File", "FastFile"])
def test_the_fingerprint_is_that_of_names_and_contents(tmp_path, mode):
    """A file may have any name, and another name or content is another set, in each mode alike."""
    found = []
    for name, content in ((b"a\xff.csv", b"1"), (b"a\xfe.csv", b"1"), (b"a\xfe.csv", b"2")):
        folder = tmp_path / str(len(found)) / "training"
        put(folder, os.fsdecode(name), content)
        channels = Channels({"training": Channel(folder, mode)})
        channels["training"].open().read()
        found.append(channels.fingerprint())
        channels = Channels({"training": Channel(folder)})
        assert channels["training"]
        assert channels.fingerprint() == found[-1]
    assert len(set(found)) == 3


def test_fastfile_is_read_once(channel, monkeypatch):
    """What was read from front to end is not read again for its digest."""
    put(channel, "a.csv")
    channels = Channels({"training": Channel(channel, "FastFile")})
    channels["training"].open().read()
    monkeypatch.setattr(digests, "file_digest", None)
    assert channels.fingerprint()


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
        (lambda c: (c["a"], "c" in c), "channel b was not read: train looks for a, c"),
        (lambda c: "a" in c, "channels a, b were not read: train looks for a"),
        (lambda c: None, "channels a, b were not read: train looks for no channel"),
        (lambda c: dict(c), None),
        (lambda c: list(c.values()), None),
        (lambda c: [c["a"], c.get("c"), c.get("b")], None),
    ],
)
def test_channels_remember_who_was_asked_for(tmp_path, ask, line):
    """Only a folder that was handed out counts as read."""
    channels = Channels({name: Channel(tmp_path) for name in "ab"})
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
