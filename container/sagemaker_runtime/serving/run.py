"""
What ``serve`` does first: check the settings, take folder and port, start gunicorn.

gunicorn needs most of the time to the first answer, so only what comes before it is imported here;
the supervisor with logging and all the rest is imported while gunicorn starts.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sagemaker_runtime.errors import AlgorithmError, ExitCode, SettingError, UsageError
from sagemaker_runtime.serving import gunicorn, listener
from sagemaker_runtime.serving.children import Children
from sagemaker_runtime.serving.folder import RunFolder
from sagemaker_runtime.serving.signals import Signals
from sagemaker_runtime.settings import Settings, refuse_foreign

# SageMaker kills the container 30 s after SIGTERM.
DRAIN_S = 25.0


def main(
    arguments: Sequence[str], environ: Mapping[str, str], drain_s: float = DRAIN_S
) -> ExitCode:
    """
    Serve until SIGTERM, or print what was asked for, and return how it went.
    """
    try:
        if arguments and _printed(arguments, environ):
            return ExitCode.OK
        refuse_foreign(environ)
        settings = Settings.from_environ(environ)
        return _serve(settings, environ, drain_s)
    except (SettingError, AlgorithmError, UsageError) as error:
        print(f"serve: {error}", file=sys.stderr)
        return error.exit_code


def _printed(arguments: Sequence[str], environ: Mapping[str, str]) -> bool:
    """
    Print what the arguments ask for and tell whether they asked for anything; raises UsageError.
    """
    import argparse

    from sagemaker_runtime.settings import show

    parser = argparse.ArgumentParser(
        prog="serve",
        allow_abbrev=False,
        description="Serve the model over HTTP: GET /ping and POST /invocations.",
        epilog="settings are environment variables, by default:\n\n" + show({}),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--show-settings", action="store_true", help="print each setting in force and end"
    )
    parser.add_argument(
        "--openapi", action="store_true", help="print an OpenAPI description of the routes and end"
    )
    options, others = parser.parse_known_args(arguments)
    if others and others != ["serve"]:  # which the platform adds to an entry point
        raise UsageError(
            f"the arguments {others} are not known; settings are environment variables, such "
            "as MODEL_SERVER_WORKERS=2; see serve --help"
        )
    if options.show_settings:
        refuse_foreign(environ)
        print(show(environ), end="")
    if options.openapi:
        from sagemaker_runtime import openapi
        from sagemaker_runtime.algorithm import find_algorithm

        settings = Settings.from_environ(environ)
        print(openapi.text(find_algorithm(), settings.multi_model == "true"), end="")
    return bool(options.show_settings or options.openapi)


def _serve(settings: Settings, environ: Mapping[str, str], drain_s: float) -> ExitCode:
    signals = Signals()
    with listener.take(settings.port) as listening, RunFolder(environ) as folder:
        children = Children(environ, folder)
        behind_nginx = children.find("nginx") is not None
        if behind_nginx:
            folder.check_sockets(settings.workers)
        elif settings.multi_model == "true":  # nobody leads requests to the worker with the model
            environ = {**environ, "MODEL_SERVER_WORKERS": "1"}
            settings = replace(settings, workers=1)
        children.start(  # first of all
            "gunicorn",
            gunicorn.command(settings, folder, None if behind_nginx else listening),
            gunicorn.environment(settings, environ, folder),
            pass_fds=() if behind_nginx else (listening.fileno(),),
        )
        from sagemaker_runtime.serving.supervisor import Supervisor

        supervisor = Supervisor(settings, environ, folder, listening, children, signals)
        return supervisor.run(drain_s)
