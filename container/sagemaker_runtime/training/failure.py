"""
How a failed job ends: the reason in the failure file, the traceback in the log, an exit code.
"""

import errno
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from sagemaker_runtime.errors import ExitCode, JobError

# SageMaker shows this many characters of the failure file as the job's FailureReason.
FAILURE_LIMIT = 1024
# Characters of a name or value that a message repeats.
NAME_LIMIT = 80
# Names that a message repeats before it says how many more there are.
NAMED = 5
# Characters of one entry of a traceback: some libraries put whole arrays into their messages.
ENTRY_LIMIT = 20_000
# Begins the further lines of a message in the log, so that none looks like a line of the program.
CONTINUED = "  | "


def printable(text: str, limit: int = NAME_LIMIT) -> str:
    """
    Return ``text`` with escapes for what cannot be printed, line feeds too, at most ``limit``
    characters long: shortened in the middle, since messages end with the remedy.
    """
    text = _shortened(text, 2 * limit)  # which may be long; escapes make it longer again
    return _shortened(_escaped(text), limit)


def listed(names: list[str]) -> str:
    """
    Return the first NAMED names, printable, and how many more there are.
    """
    more = len(names) - NAMED
    return ", ".join(map(printable, names[:NAMED])) + (f" and {more} more" if more > 0 else "")


def _escaped(text: str) -> str:
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "surrogatepass").decode()
        for each in text
    )


def _shortened(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    end = limit // 2
    return f"{text[: limit - end - 5]} ... {text[-end:]}"


def report(path: Path, error: BaseException) -> ExitCode:
    """
    Put the traceback into the log and the reason into the failure file ``path``; return the exit
    code.
    """
    reason, code = explain(error)
    words = _shortened(reason, 4 * FAILURE_LIMIT).split()
    reason = printable(" ".join(words), FAILURE_LIMIT)
    print(*_traceback(error), sep="\n", file=sys.stderr)
    print(f"training failed: {reason}", file=sys.stderr, flush=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(reason, encoding="utf-8")
    except OSError as unwritten:
        print(f"{path} could not be written: {unwritten}", file=sys.stderr, flush=True)
    return code


def explain(error: BaseException) -> tuple[str, ExitCode]:
    """
    Return what a user should read about an error, cause and remedy, and the exit code.
    """
    if isinstance(error, SystemExit):
        reason = f"train called sys.exit({error.code!r}); return, or raise an error instead."
        return reason, ExitCode.UNEXPECTED
    cause = _message(error)
    if isinstance(error, JobError):
        return cause, error.exit_code
    if isinstance(error, MemoryError):
        cause = f"out of memory ({cause})" if cause else "out of memory"
        return f"{cause}; choose an instance with more memory", ExitCode.UNEXPECTED
    if isinstance(error, OSError):
        remedy = "; give the job a larger volume_size" if error.errno == errno.ENOSPC else ""
        return f"{cause}{remedy} (the log has the traceback)", ExitCode.UNEXPECTED
    cause = f"{type(error).__name__}: {cause}"
    return f"{cause} (a defect: the log has the traceback)", ExitCode.UNEXPECTED


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as failed:  # noqa: BLE001 - whatever somebody's __str__ raises
        return f"its message cannot be read: {type(failed).__name__}"


def _traceback(error: BaseException) -> Iterator[str]:
    """
    Yield the lines of a traceback; those that a message may have made up are marked.
    """
    for entry in traceback.format_exception(error):
        lines = _shortened(entry.rstrip("\n"), ENTRY_LIMIT).splitlines() or [""]
        lines = [_escaped(each) for each in lines]
        yield lines[0]
        yield from (each if each.startswith("  ") else CONTINUED + each for each in lines[1:])
