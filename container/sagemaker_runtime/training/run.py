"""
Runs a training job: hyperparameters in, the algorithm's ``train``, model files out at once.
"""

import errno
import io
import json
import math
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sagemaker_runtime.algorithm import Algorithm, find_algorithm
from sagemaker_runtime.errors import DataError, ExitCode, JobError
from sagemaker_runtime.paths import Paths
from sagemaker_runtime.training import hyperparameters, metric_lines
from sagemaker_runtime.training.job import TrainingJob

# SageMaker shows this many characters of the failure file as the job's FailureReason.
FAILURE_LIMIT = 1024
CAUSE_LIMIT = 900  # some libraries put whole arrays into their messages


def main(paths: Paths) -> ExitCode:
    """
    Train the algorithm found in the program folder and return how it went.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a killed job must not lose its last lines
    # OpenMP's threads spin a thousand turns, some microseconds, before they sleep. Those that sleep
    # at once doubled the time of a training, those that spin on as by default made it seven times
    # as long where another one ran beside it. Read when the library is loaded, inside ``train``.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "passive"
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    paths.failure.unlink(missing_ok=True)  # of an earlier run in the same folder
    try:
        with _sigterm_recorded() as signals:
            run(find_algorithm(), paths, signals)
    except JobError as error:
        _report(paths, str(error))
        return error.exit_code
    except SystemExit as error:
        _report(paths, f"train called sys.exit({error.code!r}); return, or raise an error instead.")
        return ExitCode.UNEXPECTED
    except OSError as error:
        remedy = "; give the job a larger volume_size" if error.errno == errno.ENOSPC else ""
        _report(paths, f"{error}{remedy} (the log has the traceback)")
        return ExitCode.UNEXPECTED
    except Exception as error:  # noqa: BLE001 - the last resort must say something of any defect
        cause = f"{type(error).__name__}: {error}"
        _report(paths, f"{cause[:CAUSE_LIMIT]} (a defect: the log has the traceback)")
        return ExitCode.UNEXPECTED
    return ExitCode.OK


def run(algorithm: Algorithm, paths: Paths, signals: list[int]) -> None:
    """
    Train in a private folder and publish the model only when ``train`` has returned.

    Raises JobError for what a user can mend.
    """
    values = hyperparameters.read(paths.hyperparameters, algorithm.hyperparameters)
    shown = ", ".join(f"{name}={value}" for name, value in values.items())
    print("hyperparameters:", shown or "none")
    with tempfile.TemporaryDirectory(prefix="model-") as staging:
        paths.output_data.mkdir(parents=True, exist_ok=True)
        _check_hosts(paths)
        job = TrainingJob(
            hyperparameters=values,
            channels=_channels(paths),
            model_dir=Path(staging),
            output_dir=paths.output_data,
            metric=_print_metric,
            stopping=lambda: bool(signals),
            input=algorithm.input,
        )
        algorithm.train(job)
        _publish(job.model_dir, paths.model)
    print(f"model written to {paths.model}")


def _check_hosts(paths: Paths) -> None:
    """
    Raise DataError on a job of several hosts: each would write the same names into one archive.
    """
    config = paths.resource_config
    text = config.read_text(encoding="utf-8") if config.exists() else ""
    hosts = json.loads(text).get("hosts", []) if text.strip() else []
    if len(hosts) > 1:
        raise DataError(
            f"the job runs on {len(hosts)} hosts ({', '.join(hosts[:4])}), training on one only; "
            "set instance_count=1 and choose a larger instance if it takes too long."
        )


def _print_metric(name: str, value: float) -> None:
    if math.isfinite(value):
        print(metric_lines.line(name, value))
    else:  # SageMaker takes numbers only; a model is not thrown away for it
        print(f"metric {name} is {value}, no number: not reported", file=sys.stderr)


def _channels(paths: Paths) -> dict[str, Path]:
    """
    Return the folder of each channel; raises DataError for one that is no folder but a pipe.
    """
    config = paths.input_data_config
    text = config.read_text(encoding="utf-8") if config.exists() else ""
    for name, channel in (json.loads(text) if text.strip() else {}).items():
        if channel.get("TrainingInputMode") == "Pipe":
            raise DataError(
                f"channel {name!r} has the input mode Pipe, which is not read; expected File or "
                f'FastFile: Estimator(..., input_mode="FastFile").'
            )
    # A "<channel>-manifest" file may stand beside a channel's folder.
    return {p.name: p for p in sorted(paths.channels.glob("*")) if p.is_dir()}


def _publish(staging: Path, model: Path) -> None:
    """
    Put every file of ``staging`` into ``model``: copied under a hidden name, then renamed, so
    that a kill leaves whole files only; SIGTERM is merely recorded meanwhile.
    """
    partial = model / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        shutil.copytree(staging, partial)  # what a link leads to is copied: archives hold none
        files = sorted(path.relative_to(partial) for path in partial.rglob("*") if path.is_file())
        if not files:
            raise JobError("train wrote no file into job.model_dir; save the model there.")
        for file in files:
            # Archives are unpacked under other user ids: the files must be readable for all.
            (partial / file).chmod(0o644)
            target = model / file
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(partial / file, target)
    except OSError as error:
        raise JobError(
            f"the model could not be written to {model}: {error}. "
            "If the disk is full give the job a larger volume_size."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _sigterm_recorded() -> Iterator[list[int]]:
    signals: list[int] = []
    previous = signal.signal(signal.SIGTERM, lambda number, frame: signals.append(number))
    try:
        yield signals
    finally:
        signal.signal(signal.SIGTERM, previous)


def _report(paths: Paths, reason: str) -> None:
    """
    Put the traceback into the log and the reason into the failure file.
    """
    traceback.print_exc()
    print(f"training failed: {reason}", file=sys.stderr, flush=True)
    try:
        paths.failure.parent.mkdir(parents=True, exist_ok=True)
        paths.failure.write_text(reason[:FAILURE_LIMIT], encoding="utf-8")
    except OSError as error:
        print(f"{paths.failure} could not be written: {error}", file=sys.stderr, flush=True)
