"""
The options that commands share, and the session that is made of them.
"""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import click

from deploy import rehearsal, settings
from deploy.errors import UsageError
from deploy.session import Session

NAME = click.option("--name", default="", help="The endpoint's name (default: the application's).")
MODEL = click.option(
    "--model",
    default="",
    help="A folder, a model.tar.gz (also in S3), a training job, or a model package's ARN "
    "(default: the last completed training job).",
)


def image_option(default: str) -> Callable[..., Any]:
    """
    Make the option --image, whose help says which image is taken without it.
    """
    told = f"Repository, repository:tag or address in ECR (default: {default})."
    return click.option("--image", default="", help=told)


IMAGE = image_option("the training job's; for an archive the one in deploy.toml")
COMMON = (
    click.option(
        "--file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Settings to use instead of deploy.toml.",
    ),
    click.option("--local", is_flag=True, help="Use the local cloud, see local_test/cloud.sh."),
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
)
CHANGING = (
    click.option("--dry-run", is_flag=True, help="Only read, and print the calls as JSON."),
    click.option("--no-wait", is_flag=True, help="Return as soon as everything is started."),
    click.option(
        "--timeout", "minutes", type=float, help="Most minutes to wait (default: until it ends)."
    ),
    click.option("--poll", default=15.0, show_default=True, help="Most seconds between two looks."),
)


def pairs(given: tuple[str, ...], example: str) -> dict[str, str]:
    """
    Return what was given by --set NAME=VALUE, once for each name; raises UsageError.
    """
    for each in given:
        if "=" not in each:
            raise UsageError(f"--set {each}: expected NAME=VALUE, such as --set {example}")
    return dict(each.split("=", 1) for each in given)


def command(name: str | None = None, changes: bool = True) -> Callable[..., click.Command]:
    """
    Make a command of a function that takes the session; ``changes`` adds --dry-run and waiting.
    """

    def decorate(function: Callable[..., None]) -> click.Command:
        @functools.wraps(function)
        def run(
            file: Path | None,
            local: bool,
            as_json: bool,
            dry_run: bool = False,
            no_wait: bool = False,
            minutes: float | None = None,
            poll: float = 15.0,
            **given: Any,
        ) -> None:
            read = settings.read(file)
            if local:
                read = rehearsal.prepare(read)
            session = Session(
                read,
                boto3.Session(region_name=os.environ.get("AWS_REGION")),
                dry_run,
                not no_wait,
                as_json,
                minutes,
                poll,
            )
            function(session, **given)

        for option in reversed(COMMON + (CHANGING if changes else ())):
            run = option(run)
        return click.command(name)(run)

    return decorate
