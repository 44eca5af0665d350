"""
The template as a product: a model is brought on a clone, by new.sh and by hand, and the rest of the
tests is green there. This file goes with the sample.
"""

import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from project import ALGORITHM, TOP, clone, open_parents, packages, tracked

PAGE = (TOP / "docs/bring-your-own.md").read_text(encoding="utf-8")
# The whole suite, with its container part, takes half an hour on two processors, which other tests
# may use as well.
WHOLE_S, PART_S = 3000, 900
# What has algorithms or images of its own is tested once: these tests where everything is, and in
# the clone those that the gate leaves out there.
OTHERS = (
    "--ignore=tests/conformance/test_mutations.py",
    "--ignore=tests/deploy/test_updates_notebook.py",
    "--ignore=tests/engines",
    "--ignore=tests/formats",
    "--ignore=tests/local_cloud/test_endpoints.py",
    "--ignore=tests/local_cloud/test_jobs.py",
    "--ignore=tests/monitoring",
    "--ignore=tests/release",
    "--ignore=tests/template/test_build_and_push.py",
    "--ignore=tests/training/test_hosts_in_containers.py",
    "--ignore=tests/training/test_several_hosts.py",
    "--ignore=tests/two_models",
)
# What does not change with the algorithm is tested once, in the clone where everything is.
PART = ("tests/template", "tests/notebooks", "tests/runtime/test_algorithm.py")


def shell(folder: Path, script: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """
    Run a script at the top of a clone.
    """
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def run(folder: Path, script: str, **environ: str) -> str:
    """
    Run a script that succeeds and return what it prints.
    """
    done = shell(folder, script, **environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_green(folder: Path, *arguments: str, **environ: str) -> None:
    """
    Run the tests of a clone.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    # Each start of pytest closes its common folder to others, such as the ordinary users of a test
    # that runs meanwhile: these have their own.
    with tempfile.TemporaryDirectory() as root:
        Path(root).chmod(0o711)
        environ |= {"PYTEST_DEBUG_TEMPROOT": root}
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | environ,
            capture_output=True,
            text=True,
            check=False,
        )
    # Which ones failed stands at the end, but not what each had to say.
    failed = re.findall(r"^(?:FAILED|ERROR) \S+", done.stdout, re.MULTILINE)
    assert done.returncode == 0, "\n".join([*failed, done.stdout[-20_000:], done.stderr])


@pytest.fixture
def project() -> Iterator[Path]:
    """A clone that uses the packages which run this test."""
    # Not below tmp_path: some tests run the scripts as an ordinary user, and whichever pytest
    # starts meanwhile closes the folder above all tmp_paths.
    with tempfile.TemporaryDirectory() as root:
        folder = clone(Path(root) / "project")
        (folder / ".venv").symlink_to(Path(sys.prefix))
        (folder / ".git/info/exclude").write_text(".venv\n", encoding="utf-8")
        open_parents(folder)
        yield folder


@pytest.fixture
def houses(tmp_path: Path) -> Path:
    """A table with numbers, texts, dates, truths and gaps, from which prices follow."""
    chance = random.Random(1)
    lines = ["id,size,town,built,garden,postcode,price"]
    for row in range(300):
        size = chance.randrange(30, 200)
        town = chance.choice(["Bern", "Basel", '"Rapperswil, Jona"', "Zürich"])
        built = datetime(1990, 1, 1) + timedelta(days=chance.randrange(10_000))
        garden = chance.random() < 0.5
        price = 3 * size + 50 * garden + (200 if town == "Bern" else 0) + chance.gauss(0, 5)
        shown = "" if row % 11 == 3 else str(size), "" if row % 13 == 4 else town
        lines.append(f"{row},{shown[0]},{shown[1]},{built},{garden},0{row % 7:04},{price:.2f}")
    path = tmp_path / "houses.csv"
    path.write_text("\r\n".join([*lines, ""]), encoding="utf-8")  # as Excel writes it
    return path


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    """A table in which a text is to be predicted."""
    chance = random.Random(2)
    lines = ["length,width,kind"]
    for _ in range(150):
        kind = chance.randrange(3)
        name = ("setosa", "versicolor", "virginica")[kind]
        lines.append(f"{chance.gauss(5 + kind, 0.3):.2f},{chance.gauss(3, 0.3):.2f},{name}")
    path = tmp_path / "flowers.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def files(folder: Path) -> set[str]:
    """
    Return the names of all files in a clone that are or would be in git.
    """
    listed = run(folder, "git ls-files --cached --others --exclude-standard")
    return {name for name in listed.splitlines() if (folder / name).is_file()}


def assert_learned(output: str, metric: str, least: float, most: float) -> None:
    """
    Hold a metric in a log to what the data allow.
    """
    found = re.search(rf"{metric}=([-+0-9.e]+);", output)
    assert found, output
    assert least <= float(found[1]) <= most


@pytest.mark.timeout(WHOLE_S)
def test_a_regression_is_brought(project, houses, pytestconfig):
    """
    1. new.sh is handed a table with a price 2. its next command trains, serves and asks
    3. the whole suite runs there, the containers too where an engine answers.

    Result: exactly the sample's files are gone and the new ones there, the model has learned,
    every test is green.
    """
    before = files(project)
    said = run(project, f"./new.sh houses --from {houses} --target price --yes")

    assert "size: number, with gaps" in said
    assert "town: text, with gaps" in said
    assert "built: timestamp" in said
    assert "garden: boolean" in said
    assert "postcode: text" in said
    assert said.count(" differs in every row") == said.count("id differs in every row") == 1
    assert said.split("Next:\n")[1].split("\n")[:3] == [
        "  local_test/try.sh",
        "  ./build.sh houses",
        "  local_test/try.sh --docker houses",
    ]
    after = files(project)
    data = "local_test/test_dir/input/data/training/"
    assert after - before == {
        "container/houses/__init__.py",
        "tests/houses/hyperparameters.json",
        "tests/houses/test_houses.py",
        f"{data}houses.csv",
    }
    gone = (*(f"{top}/{name}/" for top in ("container", "tests") for name in packages()), data)
    others = {
        "local_test/payload.json",
        "local_test/payload.jsonl",
        "local_test/fares.py",
    }
    assert before - after == {name for name in before if name.startswith(gone)} | others
    changed = run(project, "git diff --name-only --diff-filter=M").split()
    assert changed == ["Dockerfile", "local_test/payload.csv", "pyproject.toml"]

    output = run(project, "local_test/try.sh local_test/payload.csv")
    assert_learned(output, "validation:mae", 1, 60)
    assert "200 text/csv" in output
    run(project, "local_test/quickstart.sh")
    ours = f"{sys.executable} -m ruff check container/houses/__init__.py tests/houses/*.py"
    run(project, ours)  # what is named is checked by the template's strict rules
    assert_green(project, f"--docker={pytestconfig.getoption('docker')}", *OTHERS)


@pytest.mark.timeout(PART_S)
def test_a_classification_is_brought(project, flowers):
    """A table with a text to predict becomes a classifier that answers label and probability."""
    run(project, f"./new.sh flowers --from {flowers} --target kind --yes")
    output = run(project, "local_test/try.sh")
    assert_learned(output, "validation:accuracy", 0.8, 1)
    assert re.search(r"^(setosa|versicolor|virginica),0\.\d+$", output, re.MULTILINE)
    assert_green(project, "--docker=off", "tests/flowers", *PART)


@pytest.mark.timeout(PART_S)
def test_an_algorithm_without_a_table_is_brought(project):
    """Without --from the start takes JSON and answers JSON."""
    run(project, "./new.sh talk --yes")
    output = run(project, "local_test/try.sh")
    assert '"words"' in output
    assert "200 application/json" in output
    assert_green(project, "--docker=off", "tests/talk", *PART)


@pytest.mark.timeout(PART_S)
def test_the_five_steps_by_hand(project):
    """
    1. the page's first commands make room 2. its Python blocks become the package 3. its last
    commands put data and try.

    Result: the model answers, every test that does not need Docker is green.
    """
    steps = re.split(r"(?m)^## \d\. ", PAGE)[1:]
    assert len(steps) == 5
    code = "\n\n".join(re.findall(r"```python\n(.*?)```", "".join(steps[1:4]), re.DOTALL))
    first, last = (re.search(r"```sh\n(.*?)```", steps[at], re.DOTALL) for at in (0, 4))
    assert first
    assert last
    run(project, first[1])
    (project / "container/my_model/__init__.py").write_text(code, encoding="utf-8")
    output = run(project, last[1])
    assert_learned(output, "train:mae", 0, 20)
    assert "200 text/csv" in output
    assert_green(project, "--docker=off", *PART)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            "houses --from {houses} --target cost",
            "it has: id, size, town, built, garden, postcode, price",
        ),
        ("houses --from {houses} --target built", "is a timestamp"),
        ("houses --from {houses} --target town --task regression", "--task classification"),
        ("houses --from missing.csv --target price", "missing.csv cannot be read"),
        ("houses --from Dockerfile --target price", "a name such as data.csv"),
        ("My-Model", "such as my_model"),
        ("class", "small letters"),
        (ALGORITHM, f"a folder container/{ALGORITHM}/ already"),
        ("template", "a folder tests/template/ already"),
        ("predictor", "the program's predictor.py; choose another, such as my_predictor"),
        ("json", "Python's module json"),
        ("numpy", "the installed library numpy"),
        ("sagemaker_runtime", "sagemaker_runtime/ already"),
        ("my_model", "nothing was changed; --yes"),
    ],
)
def test_what_cannot_be_done_is_refused(project, houses, arguments, words):
    """new.sh says why and what to do, and changes nothing; no answer to its question is a no."""
    done = shell(project, f"./new.sh {arguments.format(houses=houses)}")
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert run(project, "git status --porcelain") == ""


def test_whole_numbers_of_few_kinds_are_classes(project, tmp_path):
    """A target of 0, 1 and 2 is classified, and estimated as a number if --task says so."""
    (tmp_path / "table.csv").write_text("a,b\n1,0\n2,1\n3,2\n", encoding="utf-8")
    script = f"./new.sh houses --from {tmp_path}/table.csv --target b"
    said = shell(project, script).stdout
    assert "classification of b" in said
    assert "--task regression" in said
    assert "regression of b" in shell(project, f"{script} --task regression").stdout


@pytest.mark.parametrize("arguments", ["", "a b", "a --from x.csv", "a --target x", "a --task x"])
def test_a_wrong_call_is_explained(project, arguments):
    """new.sh ends with 64 when its arguments make no sense, and names --help."""
    done = shell(project, f"./new.sh {arguments}")
    assert done.returncode == 64
    assert "--help" in done.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "has no rows"),
        ("a,b\n", "has no rows"),
        ("a;b\n1;2\n", "separated by ';'"),
        (",a,b\n0,1,2\n", "column 1 of table.csv has no name"),
        ("a,a,b\n1,2,3\n", "the column 'a' twice"),
        ("a,b\n1,2\n1\n", "row 2 of table.csv has 1 fields; expected 2"),
        ("a,b\n1,\n2,\n", "the target 'b' has no value"),
        ("a,b\n1,x\n2,x\n", "one value only"),
        ("b\n1\n2\n", "no column beside 'b'"),
    ],
)
def test_a_table_that_cannot_be_used_is_explained(project, tmp_path, content, words):
    """new.sh says what is wrong with a table instead of making an algorithm that fails."""
    (tmp_path / "table.csv").write_text(content, encoding="utf-8")
    done = shell(project, f"./new.sh houses --from {tmp_path}/table.csv --target b --yes")
    assert done.returncode == 1
    assert words in done.stderr


def test_changes_that_git_does_not_hold_are_kept(project):
    """new.sh refuses to mix with what is not committed, and names it; new files elsewhere pass."""
    (project / "mine.csv").write_text("x\n")
    with (project / "Dockerfile").open("a") as file:
        file.write("# mine\n")
    done = shell(project, "./new.sh my_model --yes")
    assert done.returncode == 1
    assert "Dockerfile" in done.stderr
    assert "mine.csv" not in done.stderr
    assert "git add --all && git commit" in done.stderr

    run(project, "git checkout --quiet Dockerfile")
    (project / f"container/{ALGORITHM}/mine.txt").write_text("x\n")
    done = shell(project, "./new.sh my_model --yes")
    assert done.returncode == 1
    assert f"container/{ALGORITHM}/mine.txt" in done.stderr


def test_the_sample_may_stay(project, flowers):
    """With --keep-sample both stand side by side, and ALGORITHM says which one is meant."""
    before = files(project)
    said = run(project, f"./new.sh flowers --from {flowers} --target kind --keep-sample")
    assert before <= files(project)
    assert "export ALGORITHM=flowers" in said
    done = shell(project, "local_test/try.sh --dir local_test/flowers")
    assert done.returncode != 0
    assert "ALGORITHM=flowers" in done.stderr
    output = run(project, "local_test/try.sh --dir local_test/flowers", ALGORITHM="flowers")
    assert "200 text/csv" in output
    assert_green(project, "tests/flowers", ALGORITHM="flowers")


def test_the_question_is_answered_with_yes(project):
    """The answer y does what --yes does."""
    done = subprocess.run(
        [project / "new.sh", "my_model"], input="y\n", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"container/{ALGORITHM}" in done.stdout
    assert not (project / "container" / ALGORITHM).exists()


def test_the_gate_leaves_nothing_out():
    """What it does not run beside the clone runs in it."""
    found = re.search(r"in_clone=\((.*)\)", (TOP / ".ci/run").read_text(encoding="utf-8"))
    assert found
    left = [each.removeprefix("--ignore=") for each in found[1].split()]
    assert all((TOP / each).is_dir() for each in left)
    assert not any(each in other or other in each for each in OTHERS for other in left)


def test_no_file_comes_or_goes_unnoticed():
    """
    The project's files are those that tests/taxi_fare/files.txt lists; after a change:
    git ls-files --cached --others --exclude-standard > tests/taxi_fare/files.txt
    """
    listed = (TOP / "tests/taxi_fare/files.txt").read_text(encoding="utf-8").split()
    assert {str(path.relative_to(TOP)) for path in tracked()} == set(listed)
