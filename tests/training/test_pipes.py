"""Pipe mode: what comes out of FIFOs is what the files hold, and a pipe that fails ends clearly."""

import gzip
import json
import os
import signal

import numpy as np
import pytest

from fifos import MAGIC, feed, wrapped
from harness import wait_until
from jobs import stopped, train, write_hyperparameters
from project import assemble
from sagemaker_runtime.algorithm import Column, Table
from sagemaker_runtime.errors import AlgorithmError, DataError, ExitCode
from sagemaker_runtime.formats.columns import join
from sagemaker_runtime.training import tables
from sagemaker_runtime.training.channel import Channel
from sagemaker_runtime.training.pipes import Waiting

SIZES = Table(
    Column("size", "number", "3.5"),
    Column("rooms", "number", "2"),
    label=Column("price", "number", "9"),
    ignored=(Column("key", "text", "k"),),
)
PLAIN = b"key,price,size,rooms\n"
OTHER = b"rooms,price,size,key\n"
MARK = b"\xef\xbb\xbf"


def channel(folder, *, is_wrapped=False):
    """The channel ``training`` as pipes in a folder."""
    return Channel(folder / "training", "Pipe", is_wrapped=is_wrapped, waiting=Waiting(10.0))


def piped(folder, content, **how):
    """The rows of one pipe."""
    feed(folder, "training", content)
    return join(list(tables.read(channel(folder, **how), SIZES)))


def refusal(folder, content, **how):
    with pytest.raises(DataError) as caught:
        piped(folder, content, **how)
    return str(caught.value)


SETS = {
    "a header in each": [PLAIN + b"a,1,2,3\n", PLAIN + b"b,4,5,6\nc,7,8,9\n"],
    "none": [b"a,1,2,3\n", b"b,4,5,6\n"],
    "the first states the order": [OTHER + b"3,1,2,a\n", b"6,4,5,b\n"],
    "headers of other orders": [PLAIN + b"a,1,2,3\n", OTHER + b"6,4,5,b\n", PLAIN + b"c,7,8,9\n"],
    "more columns in one": [PLAIN + b"a,1,2,3\n", b"tip," + OTHER + b"0,6,4,5,b\n"],
    "no line end before a header": [PLAIN + b"a,1,2,3", PLAIN + b"b,4,5,6"],
    "parts without rows": [PLAIN, PLAIN + b"a,1,2,3\n", b"", PLAIN, PLAIN + b"b,4,5,6\n\n"],
    "marks of byte order": [MARK + PLAIN + b"a,1,2,3\n", MARK + PLAIN + b"b,4,5,6\n"],
    "quotes": [b'"key","price","size","rooms"\n"a,\n",1,2,3\n', b'"key","price","size","rooms"\n'
               b'"price,size,rooms\nkey,price,size,rooms\n",4,5,6\n'],
    "blank lines and CRLF": [b"\r\n" + PLAIN.replace(b"\n", b"\r\n") + b"a,1,2,3\r\n\r\n"] * 2,
    "many blocks": [PLAIN + b"key number one,1,2,3\n" * 70_000] * 3,
}  # fmt: skip


@pytest.mark.parametrize("files", SETS.values(), ids=SETS.keys())
def test_the_rows_of_a_pipe_are_those_of_its_files(tmp_path, files):
    """Plain, gzipped, and each file in a record: the rows are those that File mode reads."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number, content in enumerate(files):
        (folder / f"{number}.csv").write_bytes(content)
    expected = join(list(tables.read(folder, SIZES)))
    assert len(expected["price"])
    for name, content, is_wrapped in (
        ("plain", b"".join(files), False),
        ("gzip", b"".join(map(gzip.compress, files)), False),
        ("records", wrapped(*files[:1], *map(gzip.compress, files[1:])), True),
    ):
        found = piped(tmp_path / name, content, is_wrapped=is_wrapped)
        assert found.keys() == expected.keys()
        for column, values in expected.items():
            np.testing.assert_array_equal(found[column], values, f"{name} {column}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (PLAIN + b"a,1,2,3\n" + PLAIN + b"b,1,?,3\n", "size is '?' in row 2; expected a number"),
        (b"a,1,2,3\nb,1,2,3" + b"c,4,5,6\n", "row 2 has 7 fields; expected 4"),
        (b"a,1,2,3\nb,1,2,3" + b"c,4,5,6\n", "in a pipe, each file must end in a line feed"),
        (b"a,1,2,3\n" + OTHER + b"6,4,5,b\n", "states the order rooms, price, size, key. Write a"),
        (b"PAR1abc", "training_0: is Parquet, whose index stands at its end"),
        (b"PAR1abc", 'input_mode="FastFile"'),
        (gzip.compress(PLAIN * 99)[:-9], "training_0: cannot be read"),
        (PLAIN + b'a,"1,2,3\n' + PLAIN, "line 2 is not CSV: a quote opens there"),
        (b"", "the pipe training_0 was closed before it sent anything; expected the channel's"),
        (PLAIN, "Channel training holds no rows in 1 part; expected at least one"),
    ],
)
def test_what_is_wrong_in_a_pipe_is_located(tmp_path, content, message):
    """Rows are counted through all files of a pipe; what cannot be read says what to do."""
    assert message in refusal(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (PLAIN, "training_0 record 1 is not RecordIO: it begins with 6b 65 79 2c; expected 0a 23"),
        (wrapped(PLAIN, PLAIN)[:-9], "training_0 record 2 breaks off: the pipe was closed inside"),
        (wrapped(b"a,1,2,3\n", b"b,1,?,3\n"), "training_0 record 2: size is '?' in row 1"),
        (wrapped(b"a,1,2,3\n", OTHER + b"6,4,5,b\n"), "record 2: has rows without a header before"),
        (wrapped(b"PAR1abc"), "training_0 record 1: is Parquet"),
    ],
)
def test_what_is_wrong_in_a_record_is_located(tmp_path, content, message):
    """The record is named by its number."""
    assert message in refusal(tmp_path, content, is_wrapped=True)


def test_a_pipe_that_ends_within_a_line_gets_a_word(tmp_path, capsys):
    """Nobody can tell a writer that died from one that is done: the log says what is odd."""
    assert len(piped(tmp_path, PLAIN + b"a,1,2,3\nb,1,2,33")["price"]) == 2
    assert "training_0 does not end in a line feed: did its writer" in capsys.readouterr().out


@pytest.mark.parametrize(
    "record", [b"", b"abc", MAGIC, b"abcd" + MAGIC + MAGIC + b"x", b"a" + MAGIC, bytes(100_000)]
)
def test_records_come_out_as_they_were(tmp_path, record):
    """Of any length, with RecordIO's own magic number in them, read in part or not at all."""
    feed(tmp_path, "training", *[wrapped(record, b"label", record)] * 2)
    found = channel(tmp_path, is_wrapped=True)
    assert list(found.records()) == [record, b"label", record]
    few = min(len(record), 2)
    assert [len(part.read(2)) for _, part in found.parts()] == [few, 2, few]


def test_a_pipe_has_no_files(tmp_path):
    """files and folder say what to do instead, and so do records where there are none."""
    found = channel(tmp_path)
    for ask in (found.files, lambda: found.folder):
        with pytest.raises(DataError, match=r"'training' comes as a pipe.* by open\(\), or give"):
            ask()
    with pytest.raises(DataError, match='record_wrapping="RecordIO"'):
        list(found.records())
    with pytest.raises(AlgorithmError, match="ask after the first pass"):
        found.fingerprint()


READER = """
import json, resource, sys
from sagemaker_runtime.algorithm import Column, Table
from sagemaker_runtime.formats.columns import count

INPUT = Table(Column("size", "number", "1"), label=Column("price", "number", "2"))
HYPERPARAMETERS = None


def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def train(job):
    print("reading", flush=True)
    told = {"passes": []}
    for _ in range(int(job.hyperparameters.get("passes", 1))):
        if job.hyperparameters.get("how") == "bytes":
            with job.channels["training"].open() as stream:
                stream.read(1)
                before = memory()
                pieces = iter(lambda: stream.read(65536), b"")
                told["passes"].append(1 + sum(map(len, pieces)))
        else:
            rows = job.rows("training")
            total = count(next(rows))
            before = memory()
            told["passes"].append(total + sum(map(count, rows)))
    told |= {"grown": memory() - before, "fingerprint": job.channels.fingerprint()}
    (job.model_dir / "told.json").write_text(json.dumps(told))


def load(model_dir): ...
def predict(model, columns): return columns["size"]
"""


@pytest.fixture
def reader(tmp_path):
    """A program folder with an algorithm that counts, and a job with a pipe."""
    root = tmp_path / "ml"
    write_hyperparameters(root)
    config = {"training": {"TrainingInputMode": "Pipe", "RecordWrapperType": "None"}}
    (root / "input/config/inputdataconfig.json").write_text(json.dumps(config))
    (root / "input/data").mkdir()
    return assemble(tmp_path / "program", READER), root


def told(root):
    return json.loads((root / "model/told.json").read_text())


def test_each_pass_takes_the_next_epoch(reader):
    """
    1. the job starts 2. its first FIFO appears late, the next when the first was read.

    Result: every pass has its own rows, and the fingerprint is that of the first.
    """
    program, root = reader
    prints = []
    for second in (b"3,4\n" * 5, b"3,4\n"):
        write_hyperparameters(root, passes=2)
        for path in (root / "input/data").iterdir():
            path.unlink()

        def late():
            wait_until((root / "output/data").is_dir, what="the job runs")
            yield b"size,price\n" + b"1,2\n" * 3

        feed(root / "input/data", "training", late(), second)
        done = train(program, root)
        assert done.returncode == ExitCode.OK, done.stderr
        assert told(root)["passes"] == [3, second.count(b"\n")]
        prints.append(told(root)["fingerprint"])
    assert prints[0] == prints[1]


@pytest.mark.parametrize(
    ("how", "piece", "pieces", "most"),
    [("bytes", bytes(1 << 20), 300, 20), ("rows", b"1.25,2.5\n" * 100_000, 100, 100)],
)
def test_memory_is_bounded_by_a_window(reader, how, piece, pieces, most):
    """A stream of hundreds of megabytes takes a few, whether as bytes or as rows."""
    program, root = reader
    write_hyperparameters(root, how=how)
    feed(root / "input/data", "training", (piece for _ in range(pieces)))
    done = train(program, root)
    assert done.returncode == ExitCode.OK, done.stderr
    unit = len(piece) if how == "bytes" else piece.count(b"\n")
    assert told(root)["passes"] == [pieces * unit]
    assert told(root)["grown"] < most


def test_many_small_files_are_read_in_little_memory(reader):
    """Of 10,000 files in a folder none is held: the job ends, within what a few take."""
    program, root = reader
    (root / "input/config/inputdataconfig.json").unlink()
    for number in range(10_000):
        folder = root / f"input/data/training/{number // 1000}"
        if number % 1000 == 0:
            folder.mkdir(parents=True)
        (folder / f"{number}.csv").write_text("1,2\n")
    done = train(program, root)
    assert done.returncode == ExitCode.OK, done.stderr
    assert told(root)["passes"] == [10_000]
    assert told(root)["grown"] < 60


@pytest.mark.parametrize(
    ("writer", "reason"),
    [
        ("none", "the pipe training_0 has not appeared for 0.5 s; expected the channel's data."),
        ("silent", "the pipe training_0 has not sent anything for 0.5 s; expected the channel's"),
        ("closing", "the pipe training_0 was closed before it sent anything"),
        ("stuck", "the pipe training_0 has not sent anything for 0.5 s"),
    ],
)
def test_a_pipe_that_sends_nothing_ends_the_job(reader, writer, reason):
    """No FIFO, one that nobody opens, one that is closed at once, one whose writer got stuck."""
    program, root = reader
    path = root / "input/data/training_0"
    if writer != "none":
        os.mkfifo(path)
    if writer == "closing":
        path.unlink()
        feed(root / "input/data", "training", b"")
    held = os.open(path, os.O_RDWR) if writer == "stuck" else None
    if held:
        os.write(held, b"size,price\n")
    done = train(program, root, PIPE_SECONDS="0.5")
    assert done.returncode == ExitCode.BAD_DATA
    assert (root / "output/failure").read_text().startswith(reason)
    if held:
        os.close(held)


def test_sigterm_ends_the_waiting(reader):
    """
    1. the job waits for a pipe 2. SIGTERM arrives.

    Result: it ends as stopped, and says what it waited for.
    """
    program, root = reader
    code, _ = stopped(program, root, at="reading", within_s=30, number=signal.SIGTERM)
    assert code == ExitCode.STOPPED
    assert "while it waited for training_0" in (root / "output/failure").read_text()


def test_a_patience_that_is_none_is_refused(reader):
    """The message says which variable, its value and a good one."""
    program, root = reader
    done = train(program, root, PIPE_SECONDS="0")
    assert done.returncode == ExitCode.BAD_SETTING
    assert "PIPE_SECONDS is '0'; expected seconds above 0, such as 600." in done.stderr
