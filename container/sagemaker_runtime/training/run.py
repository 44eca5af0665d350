"""
Runs a training job: configuration in, the algorithm's ``train``, a model that can be served out.
"""

import io
import os
import sys
import traceback
from collections.abc import Mapping, MutableSequence, Sequence
from math import ceil

from sagemaker_runtime import openapi
from sagemaker_runtime.algorithm import Algorithm, find_algorithm
from sagemaker_runtime.baseline.seen import Seen
from sagemaker_runtime.errors import DataError, ExitCode, JobError, UsageError
from sagemaker_runtime.paths import PROGRAM, Paths
from sagemaker_runtime.resources import cpus
from sagemaker_runtime.settings import JOBLIB, THREAD_POOLS
from sagemaker_runtime.training import (
    channels,
    checkpoints,
    cluster,
    failure,
    hyperparameters,
    publish,
    stop,
    verification,
)
from sagemaker_runtime.training.job import TrainingJob
from sagemaker_runtime.training.metric_lines import Metrics
from sagemaker_runtime.training.partial import Partial
from sagemaker_runtime.training.pipes import Waiting
from sagemaker_runtime.training.resource_config import Resources

# Among the hyperparameters of a tuning job's trainings: the name of the metric that it looks at.
OBJECTIVE = "_tuning_objective_metric"

HELP = """Usage: train [--help]

Trains the model that serve serves. What to do stands in files, as SageMaker writes them, not in
arguments:

  {0.hyperparameters}
  {0.resource_config}
  {0.channels}

The model goes to {0.model}. When there is none, {0.failure} says why.
"""


def main(arguments: Sequence[str], paths: Paths) -> ExitCode:
    """
    Train the algorithm found in the program folder, or print what that means, and return how it
    went.
    """
    if "--help" in arguments or "-h" in arguments:
        print(HELP.format(paths), end="")
        return ExitCode.OK
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A killed job must not lose its last lines, a file's odd name must not end it.
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    environ = dict(os.environ)
    # OpenMP's threads spin a thousand turns, some microseconds, before they sleep. Those that sleep
    # at once doubled the time of a training, those that spin on as by default made it seven times
    # as long where another one ran beside it. Read when the library is loaded, inside ``train``.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "passive"
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    # OpenMP and joblib count the machine's processors, not those that the container is granted.
    for name in (*THREAD_POOLS, JOBLIB):
        os.environ.setdefault(name, str(ceil(cpus())))
    try:
        with stop.recorded() as stops:
            paths.failure.unlink(missing_ok=True)  # of an earlier run in the same folder
            _check(arguments)
            run(find_algorithm(), paths, stops, environ)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a reason must be said for any defect
        return failure.report(paths.failure, error)
    return ExitCode.OK


def _check(arguments: Sequence[str]) -> None:
    """
    Raise UsageError for any argument but ``train``, which the platform adds to an entry point.
    """
    if arguments and list(arguments) != ["train"]:
        raise UsageError(
            f"train was given the arguments {failure.listed(list(arguments))}; expected none, "
            "since a job's settings are hyperparameters and environment variables; see train --help"
        )


def run(
    algorithm: Algorithm, paths: Paths, stops: MutableSequence[float], environ: Mapping[str, str]
) -> None:
    """
    Train in a private folder and publish the model when ``train`` has returned and the model
    answers in a process that is given ``environ``.

    ``stops`` fills with the moments at which the platform asks the job to end. Raises JobError for
    what a user can fix.
    """
    given = hyperparameters.read(paths.hyperparameters)
    platform = hyperparameters.of_platform(given)
    if not algorithm.entry_point:
        hyperparameters.refuse_entry_point(platform, algorithm.name)
    values = hyperparameters.parse(given, algorithm.hyperparameters)
    print(hyperparameters.shown(values))
    resources = Resources.read(paths.resource_config)
    if len(resources.hosts) > 1 and not algorithm.distributed:
        raise _one_host_only(algorithm.name, resources.hosts)

    def stopping() -> bool:
        return bool(stops)

    facts = {
        "algorithm": algorithm.name,
        "code": checkpoints.digest_of_code(PROGRAM / algorithm.name),
        "hosts": len(resources.hosts),
        "hyperparameters": values,
    }
    kept = checkpoints.find(paths, environ, resources.current_host, facts, stopping)
    partial = Partial()
    folders = channels.find(paths.channels, paths.input_data_config, Waiting.of(environ, stopping))
    paths.output_data.mkdir(parents=True, exist_ok=True)
    with (
        cluster.met(resources, environ, stops, lambda lost: _end(paths, lost)) as hosts,
        publish.staging(paths.model) if hosts.is_leader else publish.unpublished() as folder,
    ):
        metrics = Metrics(hosts.is_leader)
        staged = Paths(folder)
        staged.model.mkdir()
        seen = Seen()
        algorithm.train(
            TrainingJob(
                hyperparameters=values,
                platform_hyperparameters=platform,
                channels=folders,
                model_dir=staged.model,
                output_dir=paths.output_data,
                metric=metrics,
                stopping=stopping,
                cluster=hosts,
                checkpoints=kept,
                partial=partial,
                input=algorithm.input,
                seen=seen,
            )
        )
        for line in (folders.unread(), metrics.unprinted(platform.get(OBJECTIVE, ""))):
            if line:
                print(line)
        hosts.await_all()
        if hosts.is_leader:
            partial.mark(staged.model, paths.model)
            if any(staged.model.iterdir()):  # a model without files is refused below
                seen.save(staged.model, algorithm.input, algorithm.segments)
            files = publish.collect(staged.model, folder / "copies")
            verification.verify(folder, environ, stops)
            if described := _described(algorithm):
                files += publish.unless_there(openapi.FILE, described, files, folder)
            publish.publish(files, paths.model)
        hosts.await_published()
    if hosts.is_leader:
        print(f"model written to {paths.model}")
    else:
        print(f"the model is that of the leader, {hosts.hosts[0]}")


def _described(algorithm: Algorithm) -> str | None:
    """
    Return the description of what is served, None when the algorithm's INPUT or OUTPUT make none: a
    trained model is not thrown away for it.
    """
    try:
        text = openapi.text(algorithm)
        text.encode()
    except Exception:  # noqa: BLE001 - whatever somebody's reader or writer raises
        traceback.print_exc()
        print(f"{openapi.FILE} was not written: INPUT and OUTPUT could not be described")
        return None
    return text


def _one_host_only(name: str, hosts: Sequence[str]) -> DataError:
    names = ", ".join(map(failure.printable, hosts[:4]))
    return DataError(
        f"the job runs on {len(hosts)} hosts ({names}), and {name} trains on one only: set "
        "instance_count=1 and choose a larger instance if it takes too long. An algorithm whose "
        "train makes one model with job.cluster says so by DISTRIBUTED = True."
    )


def _end(paths: Paths, error: JobError) -> None:
    """
    End the process with its reason, whatever the main thread is in: a library that waits for a host
    that is lost does not come back.
    """
    code = failure.report(paths.failure, error)
    sys.stdout.flush()
    os._exit(code)
