"""
Training: the end of a job, good or bad.
"""

from typing import TYPE_CHECKING

from conformance.endpoint import Endpoint
from conformance.jobs import Job
from conformance.verdicts import Area, Failed, NotOffered, NotTried

if TYPE_CHECKING:
    from conformance.lab import Lab

area = Area("training")

REASON_CHARACTERS = 1024


@area.check(
    "train-starts",
    "`docker run IMAGE train` finds something to execute.",
    consequence='Every training job fails at once, with exec: "train": executable file not found.',
    remedy="Put an executable file named train on PATH (chmod +x, Unix line endings), or an "
    "ENTRYPOINT that takes the word.",
)
def train_starts(lab: "Lab") -> str:
    job = lab.jobs.trained if lab.given.training else lab.jobs.failing
    if job.not_executed:
        raise Failed(job.not_executed)
    return f"started, {job}"


@area.check(
    "train-completes",
    "A job ends with exit code 0, files in /opt/ml/model and no failure file.",
    consequence="The job is Failed, or Completed with an empty model.tar.gz.",
    remedy="Read data from /opt/ml/input/data/CHANNEL, which is read-only, write the model to "
    "/opt/ml/model, exit with 0 and only then.",
    alone=True,
)
def train_completes(lab: "Lab") -> str:
    lab.jobs.data  # noqa: B018 - raises where none were given
    job = lab.jobs.trained
    if job.not_executed:
        raise NotTried("it cannot be started: see train-starts")
    if not job.succeeded:
        raise Failed(str(job))
    return f"{job.seconds:.1f} s, {', '.join(job.files[:4])}"


@area.check(
    "train-offline",
    "A job needs no network.",
    consequence="Jobs with network isolation or in a private subnet fail.",
    remedy="Install packages and download models when the image is built.",
)
def train_offline(lab: "Lab") -> str:
    lab.jobs.need_trained()
    if lab.jobs.trained.network != "none":
        raise Failed("it ends with 0 where there is a network, without one it fails")
    return "trained with --network none"


@area.check(
    "failure-exit-code",
    "A job that cannot succeed ends with an exit code other than 0.",
    consequence="The job is Completed although it failed, and its empty model is deployed.",
    remedy="Let exceptions reach the end of the program, or sys.exit(1) after handling them.",
)
def failure_exit_code(lab: "Lab") -> str:
    job = lab.jobs.failing
    if job.exit_code is None or job.exit_code == 0:
        raise Failed(str(job))
    return f"exit code {job.exit_code}"


@area.check(
    "failure-file",
    "A job that fails says why in /opt/ml/output/failure.",
    consequence='The FailureReason says "ExitCode 1" and no more; the cause is in the log.',
    remedy="Catch what ends the program and write its message to /opt/ml/output/failure.",
)
def failure_file(lab: "Lab") -> str:
    job = lab.jobs.failing
    if not (job.tree.failure() or "").strip():
        raise Failed(str(job))
    return repr((job.tree.failure() or "").strip()[:120])


@area.check(
    "failure-cause",
    "The first 1,024 characters of the failure file hold the cause.",
    consequence="SageMaker shows the first 1,024 characters: the head of a traceback, not its end.",
    remedy="Write one sentence with the cause first, and the traceback to the log.",
)
def failure_cause(lab: "Lab") -> str:
    failure = (lab.jobs.failing.tree.failure() or "").strip()
    if not failure:
        raise NotTried("there is no failure file: see failure-file")
    cause = failure.splitlines()[-1].strip() if "Traceback (most recent" in failure else ""
    if cause and cause[:80] not in failure[:REASON_CHARACTERS]:
        raise Failed(f"{cause[:100]!r} stands after character {REASON_CHARACTERS}")
    return f"{min(len(failure), REASON_CHARACTERS)} of {len(failure)} characters are shown"


@area.check(
    "failure-no-model",
    "A job that fails leaves nothing in /opt/ml/model.",
    consequence="A model that is half written, or of the wrong data, is kept as model.tar.gz.",
    remedy="Write to another folder and rename the files into /opt/ml/model at the very end.",
)
def failure_no_model(lab: "Lab") -> str:
    job = lab.jobs.failing
    if job.exit_code == 0:
        raise NotTried("a job that cannot succeed ends with 0: see failure-exit-code")
    if job.files:
        raise Failed(f"{job}: {', '.join(job.files[:4])}")
    return "model/ is empty"


@area.check(
    "train-sigterm",
    "At SIGTERM a job ends within 120 s, and what it leaves in model/ can be served.",
    consequence="Stopped jobs, MaxRuntime and spot interruptions end in SIGKILL; a half-written "
    "model is kept.",
    remedy="Handle SIGTERM (the first process has no default for it; a shell does not pass it on: "
    "use exec), save what is done, exit.",
)
def train_sigterm(lab: "Lab") -> str:
    lab.jobs.need_trained()
    job = _stopped(lab)
    if job.exit_code is None:
        raise Failed(f"{lab.limits.stop_training:g} s after SIGTERM: {job}")
    if not job.files:
        return f"ended {job.seconds:.1f} s after SIGTERM, without a model"
    lab.servers.need_healthy()
    with lab.servers.serving(job.tree.model) as endpoint:
        _serve(endpoint, lab.servers.patience, str(job))
    return f"ended {job.seconds:.1f} s after SIGTERM with a model that can be served"


def _stopped(lab: "Lab") -> Job:
    """
    Return a job that was sent SIGTERM on its way; raises NotTried when it always is over before.
    """
    plain = lab.jobs.trained
    for part in (2, 4, 8):  # the first job may have been held up by others
        tree = lab.jobs.tree("sigterm")
        with lab.jobs.running(tree, plain.network) as container:
            if container.wait(plain.seconds / part) is None and container.signal("TERM"):
                limit = lab.limits.stop_training
                return lab.jobs.finish(container, tree, plain.network, limit)
    raise NotTried("the job is over before a signal can be sent; give more data")


def _serve(endpoint: Endpoint, seconds: float, job: str) -> None:
    try:
        endpoint.wait(seconds)
    except Failed as error:
        raise Failed(f"{job}; what it left cannot be served: {error}") from None


@area.check(
    "checkpoints",
    "A job that finds checkpoints in /opt/ml/checkpoints, whole or damaged, ends with a model.",
    consequence="A spot job that was interrupted fails when it is started again.",
    remedy="Write checkpoints under another name and rename them; when one cannot be read, say so "
    "and begin anew.",
)
def checkpoints(lab: "Lab") -> str:
    lab.jobs.need_trained()
    first = _checkpoints(lab)
    for what in ("restored", "damaged"):
        tree = lab.jobs.tree(what)
        tree.write(
            "checkpointconfig.json",
            {"S3Uri": "s3://bucket/checkpoints", "LocalPath": "/opt/ml/checkpoints"},
        )
        for name, content in first.items():
            path = tree.checkpoints / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if what == "restored" else b"damaged" + content[:100])
        job = lab.jobs.train_again(tree)
        if not job.succeeded:
            raise Failed(f"with {what} checkpoints ({', '.join(list(first)[:3])}): {job}")
    return f"goes on from {', '.join(list(first)[:3])}, whole and damaged"


def _checkpoints(lab: "Lab") -> dict[str, bytes]:
    """
    Return the checkpoints of a job that was stopped, by name; of one that ran to its end otherwise.
    """
    plain = lab.jobs.trained
    # A job writes some only while it fits, between reading its data and testing its model; the
    # first job may have been held up by others.
    for part in (0.7, 0.5, 0.35, 0.25, 0.18, 0.12, None):
        tree = lab.jobs.tree("interrupted")
        tree.write(
            "checkpointconfig.json",
            {"S3Uri": "s3://bucket/checkpoints", "LocalPath": "/opt/ml/checkpoints"},
        )
        with lab.jobs.running(tree, plain.network) as container:
            if part and container.wait(plain.seconds * part) is None:
                container.signal("TERM")
            lab.jobs.finish(container, tree, plain.network, lab.jobs.patience)
        if names := tree.files(tree.checkpoints):
            return {name: (tree.checkpoints / name).read_bytes() for name in names}
    raise NotOffered("nothing is written to /opt/ml/checkpoints, also at SIGTERM")
