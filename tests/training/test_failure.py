"""What a user reads of a failed job."""

import pytest

from sagemaker_runtime.errors import DataError, ExitCode, HyperparameterError
from sagemaker_runtime.training.failure import FAILURE_LIMIT, printable, report


class Speechless(Exception):
    def __str__(self):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("error", "code", "start", "end"),
    [
        (DataError("the cause. Fix it."), ExitCode.BAD_DATA, "the cause.", "Fix it."),
        (DataError("x" * 5_000_000 + ". Fix it."), ExitCode.BAD_DATA, "xxx", "x. Fix it."),
        (DataError("é" * 2000 + "\ud800" * 2000 + "Fix."), ExitCode.BAD_DATA, "ééé", "Fix."),
        (DataError("two\nlines\x1b[31m\r"), ExitCode.BAD_DATA, r"two lines\x1b[31m", ""),
        (HyperparameterError("no."), ExitCode.BAD_HYPERPARAMETER, "no.", ""),
        (
            ValueError("y" * 5000),
            ExitCode.UNEXPECTED,
            "ValueError: yy",
            "the log has the traceback)",
        ),
        (Speechless(), ExitCode.UNEXPECTED, "Speechless: its message cannot be read", ""),
        (SystemExit(3), ExitCode.UNEXPECTED, "train called sys.exit(3); return", ""),
        (MemoryError("x"), ExitCode.UNEXPECTED, "out of memory (x); choose an instance", ""),
        (OSError(28, "No space left"), ExitCode.UNEXPECTED, "[Errno 28] No space left; give", ""),
    ],
    ids=lambda each: type(each).__name__,
)
def test_the_failure_file_holds_cause_and_remedy(tmp_path, capsys, error, code, start, end):
    """One printable line within SageMaker's limit, shortened in the middle."""
    path = tmp_path / "output/failure"
    assert report(path, error) == code
    reason = path.read_text(encoding="utf-8")
    assert reason.startswith(start)
    assert reason.endswith(end)
    assert len(reason) <= FAILURE_LIMIT
    assert reason.isprintable()
    log = capsys.readouterr().err
    assert log.splitlines()[-1] == f"training failed: {reason}"
    assert len(log) < 100_000


def test_a_message_cannot_forge_a_line_of_the_log(tmp_path, capsys):
    """Further lines of a message are marked in the traceback, its frames are not touched."""
    try:
        raise DataError("bad\nvalidation:rmse=0;\r\nmodel written\x0bthere")
    except DataError as error:
        report(tmp_path / "failure", error)
    lines = capsys.readouterr().err.splitlines()
    assert not [line for line in lines if line.startswith(("validation", "model", "there"))]
    assert "  | validation:rmse=0;" in lines
    assert any(line.startswith('  File "') for line in lines)


def test_a_failure_file_that_cannot_be_written_is_told(tmp_path, capsys):
    """The exit code and the log's line stay."""
    (tmp_path / "failure").mkdir()
    assert report(tmp_path / "failure", DataError("no.")) == ExitCode.BAD_DATA
    assert "could not be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain.csv", "plain.csv"),
        ("a\nb.csv", r"a\nb.csv"),
        ("caf\udce9.csv", r"caf\udce9.csv"),
        ("x" * 50 + "y" * 100_000_000 + "z" * 50, "x" * 35 + " ... " + "z" * 40),
    ],
    ids=["plain", "line feed", "not UTF-8", "long"],
)
def test_names_are_printable_and_short(text, shown):
    """Whatever a file or hyperparameter is called, a message can show it."""
    assert printable(text) == shown
