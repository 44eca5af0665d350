"""
The command line: ``./local_test/check.sh``.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import NoReturn

from conformance import report
from conformance.areas import CHECKS
from conformance.engine import DockerError, Engine, docker
from conformance.lab import Given, Lab
from conformance.opt_ml import TrainingData
from conformance.runner import run
from conformance.sample import read_sample
from conformance.verdicts import Check, Outcome, Verdict


class ExitCode(IntEnum):
    """
    What the command ends with.
    """

    PASSED = 0  # or not offered
    FAILED = 1
    NO_DOCKER = 2  # or no such image
    NOT_TRIED = 3  # nothing failed, but some checks lacked what they need
    USAGE = 64


class Parser(argparse.ArgumentParser):
    """
    A parser that ends as the project's other scripts do.
    """

    def error(self, message: str) -> NoReturn:
        print(f"check.sh: {message}; see --help", file=sys.stderr)
        sys.exit(ExitCode.USAGE)


def _parser() -> Parser:
    parser = Parser(
        prog="check.sh",
        allow_abbrev=False,
        description="Judges from outside whether an image does what SageMaker expects.",
    )
    parser.add_argument("image", nargs="?", metavar="IMAGE")
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--sample", type=Path, metavar="FILE")
    parser.add_argument("--content-type", default="", metavar="TYPE")
    parser.add_argument("--training", type=Path, metavar="DIR")
    parser.add_argument("--model", type=Path, metavar="DIR")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--list", action="store_true")
    return parser


def chosen(names: Sequence[str]) -> list[Check]:
    """
    Return the checks of these names or areas, all when there is none; raises ValueError.
    """
    known = {check.name for check in CHECKS} | {check.area for check in CHECKS}
    for name in names:
        if name not in known:
            raise ValueError(f"there is no check '{name}'; --list names all of them")
    return [check for check in CHECKS if not names or check.name in names or check.area in names]


def judge(given: Given, checks: Sequence[Check], quiet: bool = False) -> list[Verdict]:
    """
    Make checks of an image and remove whatever they made.
    """
    made = 0

    def tell(verdict: Verdict) -> None:
        nonlocal made
        made += 1
        if not quiet:
            print(report.progress(verdict, made, len(checks)), file=sys.stderr, flush=True)

    lab = Lab(given, Engine())
    try:
        return run(checks, lab, tell)
    finally:
        lab.close()


def code(verdicts: Sequence[Verdict]) -> ExitCode:
    """
    Return what the command ends with.
    """
    outcomes = {verdict.outcome for verdict in verdicts}
    if Outcome.FAIL in outcomes:
        return ExitCode.FAILED
    return ExitCode.NOT_TRIED if Outcome.NOT_TRIED in outcomes else ExitCode.PASSED


def _given(options: argparse.Namespace) -> Given:
    """
    Read what the person said; raises ValueError or OSError.
    """
    environment = {}
    for pair in options.env:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise ValueError(f"--env is '{pair}'; expected NAME=VALUE, such as MODE=fast")
        environment[name] = value
    if options.model and not options.model.is_dir():
        raise ValueError(f"there is no folder '{options.model}' with a model")
    return Given(
        options.image,
        read_sample(options.sample, options.content_type) if options.sample else None,
        TrainingData.read(options.training.resolve()) if options.training else None,
        options.model.resolve() if options.model else None,
        environment,
    )


def _interrupt(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def main(arguments: Sequence[str]) -> int:
    """
    Judge an image and return the exit code.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.list:
        print(report.markdown(CHECKS), end="")
        return ExitCode.PASSED
    if not options.image:
        parser.error("which image? For example: check.sh taxi-fare")
    try:
        checks = chosen(options.only)
        given = _given(options)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    try:
        docker("info")
        docker("image", "inspect", options.image)
    except DockerError as error:
        print(f"check.sh: {error}", file=sys.stderr)
        print("Remedy: start Docker; build or pull the image.", file=sys.stderr)
        return ExitCode.NO_DOCKER
    signal.signal(signal.SIGTERM, _interrupt)
    verdicts = judge(given, checks)
    print(report.table(options.image, verdicts))
    if options.json:
        report.write_json(options.json, options.image, verdicts)
    return code(verdicts)
