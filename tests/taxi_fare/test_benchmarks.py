"""The benchmark runs, prints ratios first, and knows what it is asked for."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from project import TOP


def benchmark(*arguments: str, cache: Path) -> subprocess.CompletedProcess[str]:
    """
    Run benchmarks/run.sh in this Python, with its own cache.
    """
    environ = os.environ | {"BENCHMARK_PYTHON": sys.executable, "BENCHMARK_CACHE": str(cache)}
    return subprocess.run(
        [TOP / "benchmarks/run.sh", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def python(code: str) -> str:
    """What a program prints that imports the benchmark's modules."""
    command = [sys.executable, "-W", "error", "-c", code]
    environ = os.environ | {"PYTHONPATH": str(TOP / "benchmarks")}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.needs("nginx", "wrk")
def test_a_short_run_prints_ratios_first(tmp_path):
    """
    1. this project and the empty route are measured briefly 2. the ratios between them are printed.

    Result: every figure of both was measured, and the documentation is as it was.
    """
    before = (TOP / "docs/performance.md").read_bytes()
    done = benchmark("--short", "--only", "ours,empty", cache=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    ratios, _, table = done.stdout.partition("| | 1 row p50, ms |")
    assert "| 1 row, one connection, p50: this project / empty route |" in ratios
    assert "| 1 row, 64 connections, requests/s: this project / empty route |" in ratios
    assert "Not measured" not in table
    assert "Absent" not in table
    (ours,) = (line for line in table.splitlines() if line.startswith("| this project |"))
    assert all(cell.strip() for cell in ours.strip("|").split("|"))
    assert "Machine: processor" in table
    assert (TOP / "docs/performance.md").read_bytes() == before


@pytest.mark.needs("nginx")
def test_a_short_run_of_harm_finds_nothing_lost(tmp_path):
    """
    1. this project is restarted, loses workers, is sent generated bodies and mixed traffic, and
    meets a full disk, a lost model, a clock that jumps, a stopped worker and a limit of memory.

    Result: what may not be lost is not, and each figure is in the table or says why not.
    """
    command = [sys.executable, str(TOP / "benchmarks/reliability.py"), "--short", "--only", "ours"]
    done = subprocess.run(
        command,
        env=os.environ | {"BENCHMARK_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if " | " in line]
    found = {(row[0], row[1]): row[2] for row in rows if len(row) == 3}
    why = done.stdout
    assert found["restarts", "requests lost"] == "0", why
    assert found["kills", "lost that began after the death"] == "0", why
    for test in ("bodies", "soak"):
        for what in ("5xx", "hangs", "no answer", "other rows"):
            assert found[test, what] == "0", why
        answered, _, sent = found[test, "well formed, answered 200"].partition(" of ")
        assert answered == sent, why
    for test in ("model removed", "disk full"):
        small = [v for (name, what), v in found.items() if name == test and "small" in what]
        assert set(small) <= {"20 of 20"}, why
    faults = {"disk full", "model removed", "clock jump", "worker stopped", "memory limit"}
    assert faults <= {test for test, _ in found}, why
    skipped = {value for (_, figure), value in found.items() if figure == "not measured"}
    assert all(value.startswith("skipped: ") for value in skipped), why
    assert found["model removed", "ping of a server without model"] == "503", why


def test_an_unknown_subject_is_named(tmp_path):
    """A misspelt name ends the run at once, with the names there are."""
    done = benchmark("--only", "ours,torchserv", cache=tmp_path)
    assert done.returncode != 0
    assert "torchserv" in done.stderr
    assert "mlflow-1" in done.stderr


def test_every_subject_is_listed(tmp_path):
    """The list names this project, the limit and each alternative, also with one thread."""
    done = benchmark("--list", cache=tmp_path)
    assert done.returncode == 0, done.stderr
    names = {line.split()[0] for line in done.stdout.splitlines()}
    assert {"ours", "empty", "classic", "tuned", "fastapi", "fastapi-1", "ray-1"} <= names


def test_an_absent_peer_is_reported_and_no_error(tmp_path):
    """A peer that cannot be installed gives a reason instead of ending the run."""
    code = (
        "import environments, pathlib, subjects\n"
        "peer = subjects.Subject('x', 'x', ('x',), packages=('no-such-package==0',))\n"
        "environments._uv = lambda: 'false'\n"
        f"environments.CACHE = pathlib.Path({str(tmp_path)!r})\n"
        "try:\n"
        "    environments.prepare(peer, pathlib.Path('trips.csv'), pathlib.Path('ml'))\n"
        "except environments.Absent as error:\n"
        "    print(error)\n"
    )
    assert "false venv" in python(code)


@pytest.fixture(scope="module")
def results() -> dict[str, object]:
    """Two rounds of two subjects, one of whose figures is missing."""
    ours = {"row_16_per_s": 3000.0, "row_1_p50_ms": 0.5, "ready_s": 0.4, "notes": {}}
    tuned = {"row_16_per_s": 100.0, "row_1_p50_ms": 9.0, "notes": {"batch": "too large"}}
    return {
        "rounds": {"ours": [ours, ours | {"row_16_per_s": 5000.0}], "tuned": [tuned, tuned]},
        "versions": {"ours": "flask 3"},
        "absent": {"ray": "no wheel"},
        "machine": {"cores": "2"},
        "minutes": 1.0,
        "batch_mb": 10,
    }


def rendered(results: dict[str, object], what: str) -> str:
    code = f"import json, report; print(report.{what}(json.loads({json.dumps(results)!r})))"
    return python(code)


def test_the_report_gives_medians_with_their_range(results):
    """A figure is the median of its rounds with the smallest and largest; ratios use medians."""
    text = rendered(results, "serving")
    assert (
        "| 1 row, 16 connections, requests/s: this project / best of the others | 40 | ≥ 15 | met |"
        in text
    )
    assert "4,000 (3,000 to 5,000)" in text
    assert "- Ray Serve: no wheel" in text
    assert "- classic sample, tuned, batch: too large" in text


def test_the_chart_is_well_formed(results):
    """The chart is SVG that names the subjects."""
    chart = ElementTree.fromstring(rendered(results, "chart"))
    words = {element.text for element in chart.iter() if element.tag.endswith("text")}
    assert {"this project", "classic sample, tuned"} <= words
