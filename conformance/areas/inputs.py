"""
Training: the shapes in which the platform hands over data and settings.
"""

import json
import os
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.engine import wait_for
from conformance.jobs import Job
from conformance.opt_ml import UNDOCUMENTED
from conformance.verdicts import Area, Failed, NotOffered, NotTried

if TYPE_CHECKING:
    from conformance.lab import Lab

area = Area("training inputs")


def _must_succeed(job: Job) -> str:
    if not job.succeeded:
        raise Failed(str(job))
    return f"trained in {job.seconds:.1f} s"


@area.check(
    "inputs-real-config",
    "What real jobs have beside the documented files, and keys of resourceconfig.json that local "
    "mode lacks, do no harm.",
    consequence="Training works in local mode and fails in the cloud.",
    remedy="Read the files and keys that you need, ignore all others.",
)
def real_config(lab: "Lab") -> str:
    lab.jobs.need_trained()
    tree = lab.jobs.tree("real-config")
    tree.real_hosts(["algo-1"], "algo-1")
    for name, content in UNDOCUMENTED.items():
        tree.write(name, content)
    for channel in tree.channels:
        manifest = tree.data / f"{channel}-manifest"
        manifest.write_text(json.dumps([{"prefix": "s3://bucket/data/"}, "part-1"]))
    return _must_succeed(lab.jobs.train_again(tree))


@area.check(
    "inputs-subdirectories",
    "Data in sub-directories of a channel are found.",
    consequence="S3 keys below the prefix keep their folders: the job finds no data, or a part.",
    remedy="Walk through the channel's folder, do not list it only.",
)
def subdirectories(lab: "Lab") -> str:
    lab.jobs.need_trained()
    tree = lab.jobs.tree("subdirectories")
    for channel in tree.channels:
        folder = tree.data / channel
        moved = tree.data / f"{channel}-moved"
        folder.rename(moved)
        (folder / "year=2024/month=01").mkdir(parents=True)
        moved.rename(folder / "year=2024/month=01/data")
    return _must_succeed(lab.jobs.train_again(tree))


@area.check(
    "inputs-strings-in-strings",
    "Hyperparameters that are JSON within strings are understood.",
    consequence='Jobs started by SDKs that encode twice fail, or take "5" in quotes for a text.',
    remedy="Decode a value as JSON when that works, else take it as it is.",
)
def strings_in_strings(lab: "Lab") -> str:
    lab.jobs.need_trained()
    tree = lab.jobs.tree("strings")
    given = lab.jobs.data.hyperparameters or {"sagemaker_region": "eu-west-1"}
    twice = {name: json.dumps(value) for name, value in given.items()}
    tree.hyperparameters(twice)
    name, value = next(iter(twice.items()))
    return f"{name} = {json.dumps(value)}: {_must_succeed(lab.jobs.train_again(tree))}"


@area.check(
    "inputs-platform-hyperparameters",
    "Hyperparameters that tuning jobs and SDKs add do no harm.",
    consequence="Tuning jobs, and estimators of SDKs, fail on a hyperparameter nobody wrote.",
    remedy="Ignore _tuning_objective_metric and names that begin with sagemaker_.",
)
def platform_hyperparameters(lab: "Lab") -> str:
    lab.jobs.need_trained()
    tree = lab.jobs.tree("platform")
    added = {
        "_tuning_objective_metric": "validation:rmse",
        "sagemaker_container_log_level": "20",
        "sagemaker_job_name": '"conformance"',
        "sagemaker_region": '"eu-west-1"',
    }
    tree.hyperparameters(lab.jobs.data.hyperparameters | added)
    return _must_succeed(lab.jobs.train_again(tree))


class Pipe:
    """
    A channel in Pipe mode: a FIFO for each epoch, made when the one before has been read.
    """

    def __init__(self, path: Path, content: bytes) -> None:
        self._path = path
        self._content = content
        self._ended = False
        self.read = 0  # epochs
        self.opened = 0
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self._thread.start()

    def _feed(self) -> None:
        for epoch in range(1000):
            fifo = self._path.with_name(f"{self._path.name}_{epoch}")
            os.mkfifo(fifo)
            fifo.chmod(0o666)
            try:
                with fifo.open("wb", buffering=0) as stream:  # waits for a reader
                    if self._ended:
                        return
                    self.opened += 1
                    stream.write(self._content)
                self.read += 1
            except OSError:
                pass  # the reader has had enough
            fifo.unlink(missing_ok=True)

    def close(self) -> None:
        """
        End the thread, which may wait for a reader.
        """
        self._ended = True
        for fifo in self._path.parent.glob(f"{self._path.name}_*"):
            try:
                os.close(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK))
            except OSError:
                continue
        self._thread.join(5)


@area.check(
    "inputs-pipe",
    "A job in Pipe mode reads its stream to the end, or is refused.",
    consequence='A job with input_mode="Pipe" trains on nothing, or never ends.',
    remedy="Read /opt/ml/input/data/CHANNEL_0 to its end, or fail and say that only "
    "File and FastFile are read.",
)
def pipe(lab: "Lab") -> str:
    lab.jobs.need_trained()
    if not lab.engine.direct:
        raise NotTried("FIFOs cannot be shared with containers here; run the kit on Linux")
    tree = lab.jobs.tree("pipe")
    tree.inputs(lab.jobs.data, TrainingInputMode="Pipe")
    pipes = []
    for channel, folder in lab.jobs.data.channels.items():
        shutil.rmtree(tree.data / channel)
        pipes.append(Pipe(tree.data / channel, _stream(folder)))
    try:
        job = lab.jobs.train_again(tree)
        wait_for(lambda: all(pipe.read == pipe.opened for pipe in pipes), 1)
    finally:
        for made in pipes:
            made.close()
    if job.exit_code is None:
        raise Failed(str(job))
    if not any(pipe.opened for pipe in pipes):
        if job.exit_code == 0 and lab.jobs.without_data.succeeded:
            raise NotOffered("it trains without data in File mode too")
        if job.exit_code == 0:
            raise Failed(f"no stream was opened: {job}")
        raise NotOffered(f"refused: {job}")
    if not job.succeeded or not any(pipe.read for pipe in pipes):
        raise Failed(str(job))
    return f"{sum(pipe.read for pipe in pipes)} streams read to their end; {_must_succeed(job)}"


def _stream(folder: Path) -> bytes:
    """
    Return what S3 would send: the channel's objects one after another, all of one kind.
    """
    kinds: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            kinds.setdefault(path.suffix, []).append(path)
    files = max(kinds.values(), key=lambda paths: sum(path.stat().st_size for path in paths))
    if ".csv" in kinds:  # plain text can be put together by any reader
        files = kinds[".csv"]
    return b"".join(path.read_bytes() for path in files)
