"""The settings of serve: parsed, shown, documented."""

import os
import subprocess
import sys
from collections.abc import Mapping
from math import ceil, floor
from pathlib import Path

import pytest

from harness import CONTAINER
from sagemaker_runtime.errors import ExitCode, SettingError
from sagemaker_runtime.resources import cpus
from sagemaker_runtime.settings import (
    SETTINGS,
    Settings,
    library_threads,
    markdown,
    preloads,
    refuse_foreign,
    render,
    show,
    unknown,
)


def test_defaults() -> None:
    """Without any variable the documented defaults hold."""
    settings = Settings.from_environ({})
    assert settings.port == 8080
    assert settings.timeout_s == 60
    assert settings.max_payload_mb == 100
    assert settings.log_level == "info"
    assert 1 <= settings.workers <= (os.cpu_count() or 1)


def test_each_variable_is_read() -> None:
    """Each variable sets its field."""
    environ = {
        "SAGEMAKER_BIND_TO_PORT": "9000",
        "MODEL_SERVER_MODE": "Batch, async",
        "SAGEMAKER_MULTI_MODEL": "True",
        "MODEL_SERVER_WORKERS": "3",
        "MODEL_SERVER_THREADS": "2",
        "MODEL_SERVER_JOIN_ROWS": "0",
        "MODEL_SERVER_PRELOAD": "on",
        "MODEL_SERVER_TIMEOUT": "3600",
        "MODEL_SERVER_LOAD_TIMEOUT": "600",
        "MODEL_SERVER_MAX_PAYLOAD_MB": "25",
        "MODEL_SERVER_BAD_RECORDS": "mark",
        "MODEL_SERVER_CAPTURE": "20",
        "MODEL_SERVER_CAPTURE_TO": "/Captured",
        "MODEL_SERVER_LOG_LEVEL": "DEBUG",
        "MODEL_SERVER_LOG_REQUESTS": "errors",
    }
    assert set(environ) == {setting.name for setting in SETTINGS}
    assert Settings.from_environ(environ) == Settings(
        *(9000, "batch,async", "true", 3, 2, 0, "on", 3600, 600, 25, "mark"),
        *(20, "/Captured", "debug", "errors"),
    )


def test_empty_means_absent() -> None:
    """An empty value, as compose files pass for a variable that is not set, is the default."""
    assert Settings.from_environ({"SAGEMAKER_BIND_TO_PORT": ""}).port == 8080


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "MODEL_SERVER_WORKERS",
            "many",
            "MODEL_SERVER_WORKERS is 'many'; expected a whole number from 1 to 256, such as 1.",
        ),
        (
            "MODEL_SERVER_TIMEOUT",
            "0.5",
            "MODEL_SERVER_TIMEOUT is '0.5'; expected a whole number from 5 to 3600 (s), "
            "such as 60.",
        ),
        (
            "SAGEMAKER_BIND_TO_PORT",
            "65536",
            "SAGEMAKER_BIND_TO_PORT is '65536'; expected a whole number from 1 to 65535, "
            "such as 8080.",
        ),
        (
            "MODEL_SERVER_MODE",
            "batch,fast",
            "MODEL_SERVER_MODE is 'batch,fast'; expected some of realtime, batch, async, "
            "serverless, such as realtime.",
        ),
        (
            "MODEL_SERVER_LOG_LEVEL",
            "loud",
            "MODEL_SERVER_LOG_LEVEL is 'loud'; expected one of debug, info, warning, error, "
            "such as info.",
        ),
    ],
)
def test_bad_value(name: str, value: str, message: str) -> None:
    """A bad value is refused with the value, the rule and an example."""
    with pytest.raises(SettingError) as caught:
        Settings.from_environ({name: value})
    assert str(caught.value) == message


def test_show_names_the_source() -> None:
    """Each setting is shown with its value and whether somebody set it."""
    text = show({"MODEL_SERVER_TIMEOUT": "90"})
    assert "MODEL_SERVER_TIMEOUT = 90 s (environment)" in text
    assert "SAGEMAKER_BIND_TO_PORT = 8080 (default)" in text
    assert "(computed from " in text
    assert all(setting.name in text for setting in SETTINGS)


@pytest.mark.parametrize(
    ("environ", "shown"),
    [
        ({}, ("= realtime (default)", "TIMEOUT = 60 s (default)", "MB = 100 MB (default)")),
        (
            {"SAGEMAKER_BATCH": "True"},
            ("= batch (SAGEMAKER_BATCH)", "TIMEOUT = 3600 s (mode batch)", "MB = 100 MB (default)"),
        ),
        (
            {"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "6"},
            ("MB = 6 MB (SAGEMAKER_MAX_PAYLOAD_IN_MB=6)",),
        ),
        (
            {"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"},
            ("MB = 1024 MB (SAGEMAKER_MAX_PAYLOAD_IN_MB=0)",),
        ),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "6"}, ("MB = 100 MB (default)",)),
        (
            {"MODEL_SERVER_MODE": "async"},
            ("TIMEOUT = 3600 s (mode async)", "MB = 1024 MB (mode async)"),
        ),
        (
            {"MODEL_SERVER_MODE": "serverless"},
            ("WORKERS = 1 (mode serverless)", "TIMEOUT = 60 s", "MB = 4 MB (mode serverless)"),
        ),
        (
            {"MODEL_SERVER_MODE": "serverless,async"},
            ("= serverless,async (environment)", "WORKERS = 1 (mode serverless)", "MB = 1024 MB"),
        ),
        (
            {"MODEL_SERVER_MODE": "serverless", "SAGEMAKER_BATCH": "true"},
            ("= serverless,batch (environment, SAGEMAKER_BATCH)", "MB = 100 MB (default)"),
        ),
        (
            {"MODEL_SERVER_MODE": "async", "MODEL_SERVER_TIMEOUT": "90"},
            ("TIMEOUT = 90 s (environment)", "MB = 1024 MB (mode async)"),
        ),
    ],
)
def test_a_mode_sets_sizes_and_times(environ: dict[str, str], shown: tuple[str, ...]) -> None:
    """What a mode or the platform's variables set is shown with its source; a setting wins."""
    text = show(environ)
    for part in shown:
        assert part in text


def test_markdown_has_a_row_per_setting() -> None:
    """The documentation's table has one row for each setting."""
    rows = markdown().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [setting.name for setting in SETTINGS]


def test_render_leaves_nginx_alone() -> None:
    """Only names in double braces are replaced; nginx's own variables and blocks stay."""
    rendered = render("map $a $b { default {{ port }}; }", {"port": 80})
    assert rendered == "map $a $b { default 80; }"


def test_render_needs_every_name() -> None:
    """A name in the template that nobody fills in is an error, not an empty text."""
    with pytest.raises(KeyError):
        render("{{ unknown }}", {})


def _serve(
    *arguments: str, environ: Mapping[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(CONTAINER / "serve"), *arguments],
        env={"PATH": os.environ["PATH"], **environ},
        cwd=folder,
        capture_output=True,
        text=True,
    )


def test_serve_shows_settings(tmp_path: Path) -> None:
    """``serve --show-settings`` prints the table and ends well."""
    shown = _serve("--show-settings", environ={"MODEL_SERVER_WORKERS": "7"}, folder=tmp_path)
    assert shown.returncode == ExitCode.OK
    assert "MODEL_SERVER_WORKERS = 7 (environment)" in shown.stdout
    assert shown.stderr == ""


def test_serve_help_lists_the_settings(tmp_path: Path) -> None:
    """``serve --help`` documents every setting, whatever the environment holds."""
    shown = _serve("--help", environ={"MODEL_SERVER_WORKERS": "many"}, folder=tmp_path)
    assert shown.returncode == ExitCode.OK
    for setting in SETTINGS:
        assert f"{setting.name} = " in shown.stdout
        assert setting.help in " ".join(shown.stdout.split())


@pytest.mark.parametrize("unknown", ["--settings", "train", "--open"])
def test_serve_refuses_an_unknown_argument(unknown: str, tmp_path: Path) -> None:
    """What serve does not know has no effect, so it says so and ends; `serve` itself is known."""
    refused = _serve("serve", unknown, environ={}, folder=tmp_path)
    assert refused.returncode == ExitCode.USAGE
    assert refused.stderr.startswith(f"serve: the arguments ['serve', '{unknown}'] are not known;")
    assert refused.stderr.count("\n") == 1
    assert _serve("serve", "--show-settings", environ={}, folder=tmp_path).returncode == ExitCode.OK


@pytest.mark.parametrize("arguments", [(), ("--show-settings",)])
def test_serve_refuses_a_bad_setting(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """A bad setting ends serve with its exit code and one readable line."""
    refused = _serve(*arguments, environ={"MODEL_SERVER_WORKERS": "many"}, folder=tmp_path)
    assert refused.returncode == ExitCode.BAD_SETTING
    assert refused.stderr == (
        "serve: MODEL_SERVER_WORKERS is 'many'; expected a whole number from 1 to 256, such as 1.\n"
    )


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, True),
        ({"MODEL_SERVER_THREADS": "2"}, False),
        ({"MODEL_SERVER_THREADS": "2", "MODEL_SERVER_PRELOAD": "on"}, True),
        ({"MODEL_SERVER_PRELOAD": "off"}, False),
        ({"OMP_NUM_THREADS": "2"}, False),
        ({"OMP_NUM_THREADS": ""}, True),
        ({"MODEL_SERVER_WORKERS": "1"}, True),
        ({"MODEL_SERVER_WORKERS": "1", "OMP_NUM_THREADS": str(max(1, floor(cpus())))}, True),
        ({"MODEL_SERVER_WORKERS": "1", "OMP_NUM_THREADS": "512"}, False),
    ],
    ids=str,
)
def test_when_the_model_is_shared(environ: dict[str, str], expected: bool) -> None:
    """Without another wish, the model is loaded once unless libraries may start threads."""
    assert preloads(Settings.from_environ(environ), environ) is expected


@pytest.mark.parametrize(
    ("workers", "threads", "granted", "expected"),
    [
        (4, 1, 4.0, 1),
        (1, 1, 4.0, 4),
        (2, 1, 8.0, 1),
        (1, 1, 0.25, 1),
        (3, 1, 8.0, 1),
        (1, 1, 2.5, 2),
        (4, 3, 4.0, 3),
        (4, 16, 2.0, 2),
        (1, 2, 8.0, 8),
    ],
)
def test_threads_of_libraries(workers: int, threads: int, granted: float, expected: int) -> None:
    """One in each of several workers, all processors in a single one, more where it is set."""
    environ = {"MODEL_SERVER_WORKERS": str(workers), "MODEL_SERVER_THREADS": str(threads)}
    assert library_threads(Settings.from_environ(environ), granted) == expected
    shared = Settings.from_environ(environ | {"MODEL_SERVER_PRELOAD": "on"})
    assert library_threads(shared, granted) == min(threads, ceil(granted))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("MODEL_SERVER_WORKER", "did you mean MODEL_SERVER_WORKERS?"),
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "did you mean MODEL_SERVER_WORKERS?"),
        ("MODEL_SERVER_QQQQQQQQQQQQQQQQQQ", "serve --show-settings lists those that are."),
    ],
)
def test_a_name_that_nobody_reads(name: str, meant: str) -> None:
    """A variable that looks like a setting and is none is named with the setting it resembles."""
    environ = {name: "4", "MODEL_SERVER_TIMEOUT": "9", "HOME": "/root"}
    assert unknown(environ) == [f"{name} is not a setting and is not read; {meant}"]


def test_gunicorns_variable_is_refused() -> None:
    """Options for gunicorn past the settings are refused; an empty variable is none."""
    refuse_foreign({"GUNICORN_CMD_ARGS": ""})
    with pytest.raises(SettingError, match=r"^GUNICORN_CMD_ARGS is '-w 4'; "):
        refuse_foreign({"GUNICORN_CMD_ARGS": "-w 4"})
