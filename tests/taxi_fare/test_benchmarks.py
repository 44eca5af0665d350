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


def test_watching_is_measured():
    """Few requests are made, watched by the command, and all of them are in its report."""
    command = [sys.executable, TOP / "benchmarks/watching.py", "--events", "60", "--rows", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "60 events, 120 rows, 120 with a label" in done.stdout


@pytest.mark.needs("nginx", "wrk")
def test_a_short_run_measures_what_people_bring(tmp_path):
    """
    1. a DataFrame pipeline is fitted 2. this project and Flask are started with it, are looked at
    and asked in turn 3. the ratios are printed, then the figures.

    Result: every figure of both was measured, and the documentation is as it was.
    """
    before = (TOP / "docs/performance.md").read_bytes()
    done = benchmark("--short", "--only", "ours,flask", "--models", "pipeline", cache=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    ratios, _, table = done.stdout.partition("| model | | p50 at 1 connection, ms |")
    assert "p50 at one connection: this project / naive Flask |" in ratios
    assert "requests/s at 64 connections: this project / best of the others without" in ratios
    assert "Absent" not in table
    for label in ("this project", "naive Flask under gunicorn"):
        (line,) = (line for line in table.splitlines() if f"| {label} |" in line)
        assert all(cell.strip(" *") for cell in line.strip("|").split("|")), line
    assert "Machine: processor" in table
    assert (TOP / "docs/performance.md").read_bytes() == before


@pytest.mark.needs("nginx", "wrk")
def test_a_short_run_measures_the_sample(tmp_path):
    """
    1. this project and the empty route are measured briefly 2. the sample's table is printed.

    Result: every figure of this project was measured.
    """
    done = benchmark("--short", "--only", "ours,empty", "--models", "fares", cache=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    ratios, _, table = done.stdout.partition("| the sample | 1 row p50, ms |")
    assert "| the sample, large CSV, peak memory, MB |" in ratios
    assert "Not measured" not in table
    assert "Absent" not in table
    (ours,) = (line for line in table.splitlines() if line.startswith("| this project |"))
    assert all(cell.strip() for cell in ours.strip("|").split("|"))


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


def test_an_unknown_name_is_refused_with_the_known_ones(tmp_path):
    """A misspelt subject or model ends the run at once, with the names there are."""
    done = benchmark("--only", "ours,torchserv", cache=tmp_path)
    assert done.returncode != 0
    assert "torchserv" in done.stderr
    assert "mosec-batching" in done.stderr
    done = benchmark("--models", "pipelines", cache=tmp_path)
    assert done.returncode != 0
    assert "pipelines" in done.stderr
    assert "waiting" in done.stderr


def test_every_subject_is_listed(tmp_path):
    """The list names this project, the limit and each alternative, also with its own batching."""
    done = benchmark("--list", cache=tmp_path)
    assert done.returncode == 0, done.stderr
    names = {line.split()[0] for line in done.stdout.splitlines()}
    assert {"ours", "empty", "flask", "classic", "tuned", "fastapi", "ray-batching"} <= names


def test_every_subject_has_its_locked_packages_and_every_model_its_algorithm():
    """A lock beside each list of packages, and a package for each model of this project."""
    folder = TOP / "benchmarks"
    code = (
        "import subjects\n"
        "print(*sorted({s.lock for s in subjects.SUBJECTS if s.lock}))\n"
        "print(*(s.guests.get(m, f'{m}_model') for s in subjects.SUBJECTS\n"
        "    if s.role == 'ours' for m in s.models if m != subjects.SAMPLE))\n"
    )
    locks, guests = python(code).splitlines()
    for lock in locks.split():
        assert (folder / f"requirements/{lock}.in").is_file()
        pins = (folder / f"requirements/{lock}.txt").read_text().splitlines()
        assert all("==" in line for line in pins), lock
    for guest in guests.split():
        assert (folder / f"guests/{guest}/__init__.py").is_file()


def test_one_call_answers_several_requests_as_they_are_answered_one_by_one(tmp_path):
    """Batched by a peer or not, image, text and waiting models give each request the same."""
    code = (
        "import os, pathlib, sys\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "names = ['image', 'text', 'waiting']\n"
        "os.environ |= {'BENCHMARK_FOLDER': str(folder), 'BENCHMARK_MODELS': ','.join(names)}\n"
        f"sys.path.insert(0, {str(TOP / 'benchmarks/peers')!r})\n"
        "import environments, people, work\n"
        "people.FITTED = folder\n"
        "models = work.Models\n"
        "for name in names:\n"
        "    work.prepare(folder, name)\n"
        "for name in names:\n"
        "    sent = people.sent(name)[:8]\n"
        "    together = work.Models().answer_all(name, [each.text for each in sent])\n"
        "    alone = [work.Models(name).answer(name, each.content) for each in sent[:2]]\n"
        "    assert len({len(each) for each in together}) == 1 and len(together) == 8\n"
        "    near = max(abs(a[0] - b[0]) for a, b in zip(together, alone))\n"
        "    print(name, near < 1e-5, len({each[0] for each in together}))\n"
    )
    assert python(code).split("\n")[:3] == ["image True 8", "text True 8", "waiting True 8"]


def test_an_absent_peer_is_reported_and_no_error(tmp_path):
    """A peer that cannot be installed gives a reason instead of ending the run."""
    code = (
        "import environments, pathlib, subjects\n"
        "environments._uv = lambda: 'false'\n"
        f"environments.CACHE = pathlib.Path({str(tmp_path)!r})\n"
        "try:\n"
        "    environments.prepare(subjects.NAMES['mosec'], pathlib.Path('ml'))\n"
        "except environments.Absent as error:\n"
        "    print(error)\n"
    )
    assert "false venv" in python(code)


def test_a_peer_that_answers_nonsense_is_absent_for_that_model():
    """Another prediction than the model's is named with the one expected."""
    code = (
        "import people, subjects\n"
        "people._about = lambda model: {'predictions': [3.5]}\n"
        "class Server:\n"
        "    def predict(self, body, timeout): return b'{\"predictions\": [[3.7]]}'\n"
        "try:\n"
        "    people._check(Server(), 'text', [subjects.Body('text', b'')])\n"
        "except people.Absent as error:\n"
        "    print(error)\n"
    )
    assert "text was answered [3.7]; expected 3.5" in python(code)


@pytest.fixture(scope="module")
def results() -> dict[str, object]:
    """Two rounds of a model that people bring and of the sample, by three subjects."""
    return {
        "rounds": {
            "ours": {
                "pipeline_16_per_s": [3000.0, 5000.0],
                "row_16_per_s": [800.0],
                "csv_1_rows_s": [400_000.0],
            },
            "tuned": {"pipeline_16_per_s": [100.0, 100.0], "row_16_per_s": [70.0]},
            "bentoml-batching": {"pipeline_16_per_s": [500.0, 300.0]},
        },
        "looks": {
            "bentoml": {"pipeline_16_per_s": [90.0]},
            "litserve": {"pipeline_16_per_s": [75.0]},
        },
        "versions": {"ours": "flask 3"},
        "absent": {"ray": "no wheel", "mosec text": "it ended"},
        "notes": ["classic sample, tuned, batch: too large"],
        "machine": {"cores": "2"},
        "minutes": 1.0,
        "drift": 0.04,
        "seconds": 2,
        "batch_mb": 10,
    }


def rendered(results: dict[str, object], what: str) -> str:
    code = f"import json, report; print(report.{what}(json.loads({json.dumps(results)!r})))"
    return python(code)


def test_the_report_gives_medians_with_their_range(results):
    """
    A figure is the median of its rounds with the smallest and largest, in italics where there was
    a brief look only; ratios use medians, against the best peer with batching and without.
    """
    text = rendered(results, "serving")
    what = "DataFrame pipeline, requests/s at 16 connections: this project / best of the others"
    assert f"| {what} without batching | 40 | ≥ 5 | met |" in text
    assert f"| {what} with their batching | 10 | ≥ 1.5 | met |" in text
    assert "4,000 (3,000 to 5,000)" in text
    assert "| DataFrame pipeline | LitServe |  |  | *75* |" in text
    assert "- Ray Serve: no wheel" in text
    assert "- mosec, TF-IDF and linear model: it ended" in text
    assert "- classic sample, tuned, batch: too large" in text
    assert "varied by 4%" in text


def test_a_batch_job_is_compared_by_its_seconds():
    """The job's ratio stands before the seconds, and a peak above the goal is called missed."""
    jobs = {
        "ours": {"seconds": 20.0, "peak_mb": 450.0},
        "classic": {"seconds": 160.0, "peak_mb": 1500.0},
    }
    text = rendered({"jobs": jobs, "rows": 1000, "gb": 1, "machine": {}}, "batch_transform")
    ratios, _, table = text.partition("| | seconds |")
    assert "this project / classic sample, tuned | 8 | ≥ 5 | met |" in ratios
    assert "| its peak memory, MB | 450 | ≤ 400 | **missed** |" in ratios
    assert "| classic sample, tuned | 160 | 6.25 | 1,500 |" in table


def test_a_run_that_drifted_says_so(results):
    """Where the machine's speed varied much, the reader is told."""
    assert "This run drifted" in rendered(results | {"drift": 0.4}, "serving")


def test_the_picture_has_one_mark_for_each_way_to_serve(results):
    """The picture names each once, by the better of its settings, in panels of people's models."""
    picture = ElementTree.fromstring(rendered(results, "chart"))
    words = [element.text for element in picture.iter() if element.tag.endswith("text")]
    assert words.count("BentoML") == 1
    assert "400 with batching" in words
    assert {"DataFrame pipeline: requests/s at 16", "this project", "classic sample"} <= {*words}
