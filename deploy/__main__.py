"""
./deploy.sh: the group of commands, and how their errors are told.
"""

import sys

import click
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from deploy import causes
from deploy.autoscale import autoscale
from deploy.batches import batch
from deploy.doctor import doctor
from deploy.endpoints import asynchronous, realtime, serverless
from deploy.errors import ExitCode, Failed
from deploy.evaluation import evaluate
from deploy.infra import infra
from deploy.invocation import invoke
from deploy.logs import logs
from deploy.monitor import monitor
from deploy.retrain import retrain
from deploy.rollback import rollback_command
from deploy.status import status
from deploy.teardown import teardown
from deploy.training import train
from deploy.update import update_command
from deploy.variants import variants
from deploy.why import why

COMMANDS = (
    train,
    realtime,
    serverless,
    asynchronous,
    update_command,
    rollback_command,
    variants,
    autoscale,
    batch,
    evaluate,
    invoke,
    retrain,
    status,
    logs,
    why,
    monitor,
    teardown,
    doctor,
    infra,
)


class InOrder(click.Group):
    """
    A group whose help lists the commands in the order in which people need them.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """
        Return the names.
        """
        return list(self.commands)


@click.group(
    cls=InOrder,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: "
    + ", ".join(f"{code.value} {code.name.lower().replace('_', ' ')}" for code in ExitCode)
    + ".",
)
def deploy() -> None:
    """
    Train, deploy and operate this image on Amazon SageMaker.

    deploy.toml has the account's choices. Each command can be run again: what is there with the
    same content is used, what was interrupted goes on. --dry-run shows the calls, --local rehearses
    on this machine without an account.
    """


for each in COMMANDS:
    deploy.add_command(each)


def main(arguments: list[str] | None = None) -> int:
    """
    Run a command and return its exit code.
    """
    try:
        deploy.main(arguments, prog_name="./deploy.sh", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        if isinstance(error, Failed):
            _remedies(error.message)
        return ExitCode.USAGE if isinstance(error, click.UsageError) else error.exit_code
    except click.Abort:
        click.echo("stopped; the same command goes on where this one was", err=True)
        return ExitCode.INTERRUPTED
    except (ClientError, BotoCoreError, Boto3Error, ResponseParserError) as error:
        click.echo(f"AWS refused: {error}", err=True)
        _remedies(str(error))
        return ExitCode.REFUSED
    return ExitCode.OK


def _remedies(text: str) -> None:
    for cause in causes.match(text):
        click.echo(f"{cause.meaning}\n  remedy: {cause.remedy}", err=True)


if __name__ == "__main__":
    sys.exit(main())
