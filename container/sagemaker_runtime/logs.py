"""
Log lines as JSON, one object per line: what CloudWatch Logs Insights can query by field.

Everything below WARNING goes to stdout, the rest to stderr. A record's own fields are given as
``logger.info("invocation", extra={"fields": {"rows": 3}})``. Request bodies are never logged.

The lines of requests are written in batches, everything else at once and behind those before it.
"""

import json
import logging
import mmap
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

# What JsonFormatter does not write need not be gathered for each record: a third of its cost
# (https://docs.python.org/3/howto/logging.html#optimization).
logging.logThreads = False
logging.logProcesses = False
logging.logMultiprocessing = False
logging._srcfile = None

# As much as a pipe takes at once.
BATCH_BYTES = 64 * 1024
# Of these, the number of bytes that wait.
HEAD = 4

_encode = json.JSONEncoder(default=str).encode


class Batch:
    """
    Lines of a worker that are written to stdout together. They wait in memory that it shares with
    its parent: when it is killed, the parent writes them.

    Make it before the fork; until ``begin`` and in other threads lines are written at once.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, HEAD + BATCH_BYTES)
        self._later: Callable[[], None] | None = None
        self._thread = 0

    def begin(self, later: Callable[[], None]) -> None:
        """
        Collect from now on, in this thread; ``later`` is called with the first line of a batch and
        has ``flush`` called soon.
        """
        self._later, self._thread = later, threading.get_native_id()

    def write(self, line: bytes) -> None:
        """
        Add a line.
        """
        is_own = self._later and self._thread == threading.get_native_id()
        if is_own and self._size() + len(line) > BATCH_BYTES:
            self.flush()
        if not is_own or len(line) > BATCH_BYTES:
            _write(line)
            return
        size = self._size()
        self._memory[HEAD + size : HEAD + size + len(line)] = line
        self._resize(size + len(line))
        if not size and self._later:
            self._later()

    def flush(self) -> None:
        """
        Write what waits.
        """
        if size := self._size():
            try:
                _write(self._memory[HEAD : HEAD + size])
            finally:
                self._resize(0)

    def go_first(self) -> None:
        """
        Write what waits before a line that is written at once, unless that is another thread's.
        """
        if self._later and self._thread == threading.get_native_id():
            self.flush()

    def _size(self) -> int:
        return int.from_bytes(self._memory[:HEAD], "little")

    def _resize(self, size: int) -> None:
        self._memory[:HEAD] = size.to_bytes(HEAD, "little")


class Lines:
    """
    Where this process's lines of requests go.
    """

    batch: Batch | None = None


def write_line(name: str, level: int, message: str, fields: Mapping[str, object]) -> None:
    """
    Write to stdout, maybe a moment later, the line that a logger of this name would, at a fifth of
    its cost: one for each request that is answered. Texts among ``fields`` must be encodable as
    UTF-8.
    """
    line = _line(datetime.now(UTC), name, level, message)
    content = orjson.dumps({**line, **fields}, option=orjson.OPT_APPEND_NEWLINE)
    if Lines.batch is None:
        _write(content)
    else:
        Lines.batch.write(content)


def _write(content: bytes) -> None:
    sys.stdout.write(content.decode())
    sys.stdout.flush()


class Handler(logging.StreamHandler):
    """
    Writes a record at once, behind the lines that wait.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """
        Write a record.
        """
        if Lines.batch is not None:
            Lines.batch.go_first()
        super().emit(record)


def _line(moment: object, name: str, level: int, message: str) -> dict[str, object]:
    return {
        "time": moment,
        "level": logging.getLevelName(level).lower(),
        "logger": name,
        "message": message,
    }


class JsonFormatter(logging.Formatter):
    """
    Writes time, level, logger and message, then the record's fields, then the traceback if any.
    """

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat()
        line = _line(moment, record.name, record.levelno, record.getMessage())
        line.update(getattr(record, "fields", ()))
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return _encode(line)


def is_ordinary(record: logging.LogRecord) -> bool:
    """
    Tell whether a record belongs on stdout.
    """
    return record.levelno < logging.WARNING


def logging_config(level: str) -> dict[str, Any]:
    """
    Return the ``dictConfig`` that gives all loggers, gunicorn's included, this form.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter}},
        "filters": {"ordinary": {"()": lambda: is_ordinary}},
        "handlers": {
            "stdout": {
                "()": Handler,
                "stream": "ext://sys.stdout",
                "formatter": "json",
                "filters": ["ordinary"],
            },
            "stderr": {
                "()": Handler,
                "stream": "ext://sys.stderr",
                "formatter": "json",
                "level": "WARNING",
            },
        },
        "root": {"level": level.upper(), "handlers": ["stdout", "stderr"]},
        "loggers": {
            # Named so that gunicorn's own plain-text handlers are taken off.
            "gunicorn.error": {"level": level.upper(), "handlers": [], "propagate": True},
            "gunicorn.access": {"level": level.upper(), "handlers": [], "propagate": True},
        },
    }
