"""
How a command ends when it does not succeed, each way with its exit code.
"""

from enum import IntEnum
from typing import Any

import click


class ExitCode(IntEnum):
    """
    What ``./deploy.sh`` returns; scripts and CI jobs decide by it.
    """

    OK = 0
    UNEXPECTED = 1  # a defect: the traceback is printed
    REFUSED = 3  # AWS refused a call or could not be reached
    FAILED = 4  # a job, an endpoint or a request failed in AWS
    ROLLED_BACK = 5  # an update did not last; the old configuration serves
    TIMED_OUT = 6  # --timeout passed; the work goes on in AWS
    ALARM = 7  # monitor: requests, predictions or errors changed since training
    KEPT = 8  # a challenger is not better; the model in service stays
    USAGE = 64  # the command line, deploy.toml or what they name
    INTERRUPTED = 130  # Ctrl-C (128 + 2); the work goes on in AWS


class DeployError(click.ClickException):
    """
    Ends the command; the message states cause and remedy.
    """

    def show(self, file: Any = None) -> None:
        """
        Print the message.
        """
        click.echo(self.message, file, err=True)


class UsageError(DeployError):
    """
    Something was asked that cannot be.
    """

    exit_code = ExitCode.USAGE


class Failed(DeployError):
    """
    What was started has failed.
    """

    exit_code = ExitCode.FAILED


class RolledBack(DeployError):
    """
    The endpoint serves the configuration from before.
    """

    exit_code = ExitCode.ROLLED_BACK


class Kept(DeployError):
    """
    The challenger is not better, and nothing was changed.
    """

    exit_code = ExitCode.KEPT


class TimedOut(DeployError):
    """
    It takes longer than the caller wants to wait.
    """

    exit_code = ExitCode.TIMED_OUT


class Alarm(DeployError):
    """
    A model in service is not what training promised.
    """

    exit_code = ExitCode.ALARM


class Interrupted(DeployError):
    """
    The caller pressed Ctrl-C.
    """

    exit_code = ExitCode.INTERRUPTED
