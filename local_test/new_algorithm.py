"""
Puts the start of a new algorithm in the place of the present one: what new.sh runs.
"""

import argparse
import json
import keyword
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
CONTAINER = TOP / "container"
LOCAL = TOP / "local_test"
sys.path.insert(0, str(CONTAINER))

import csv_columns  # noqa: E402
import rendering  # noqa: E402
from csv_columns import Refused  # noqa: E402

from sagemaker_runtime.algorithm import taken_by  # noqa: E402

# A short training for the tests, which start many.
QUICK = {"table": {"rounds": "10"}, "json": {}}
TEXTS = "The words of this file are those that the algorithm knows.\nReplace it by your texts.\n"


@dataclass(frozen=True)
class Plan:
    """
    What is to be done: ``files`` by path with their content, ``copies`` by path with theirs,
    ``gone`` what to remove.
    """

    files: dict[Path, str]
    copies: dict[Path, bytes]
    gone: list[Path]


def arguments() -> argparse.Namespace:
    """
    Return what new.sh was called with; ends with exit code 64 when that makes no sense.
    """
    parser = argparse.ArgumentParser(prog="./new.sh", add_help=False, allow_abbrev=False)
    parser.add_argument("name")
    parser.add_argument("--from", dest="table", type=Path)
    parser.add_argument("--target")
    parser.add_argument("--task", choices=("regression", "classification"))
    parser.add_argument("--keep-sample", action="store_true")
    parser.add_argument("--yes", action="store_true")
    parser.error = lambda message: _end(f"{message}; see --help", 64)  # type: ignore
    given = parser.parse_args()
    if (given.table is None) != (given.target is None):
        parser.error("--from and --target go together: --from data.csv --target price")
    if given.task and given.table is None:
        parser.error("--task goes with --from and --target")
    return given


def _end(message: str, code: int) -> None:
    print(f"new.sh: {message}", file=sys.stderr)
    sys.exit(code)


def check_name(name: str) -> None:
    """
    Raise Refused for a name that cannot be a package's, or is one already.
    """
    if not re.fullmatch("[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise Refused(
            f"the name is {name!r}; expected one for a Python package: small letters, digits and "
            "underscores, such as my_model"
        )
    for folder in (CONTAINER / name, TOP / "tests" / name, LOCAL / name):
        if folder.is_dir():
            raise Refused(
                f"there is a folder {folder.relative_to(TOP)}/ already; choose another name"
            )
    if taken := taken_by(CONTAINER, name):
        raise Refused(f"the name {name!r} is that of {taken}; choose another, such as my_{name}")


def check_git(touched: Iterable[Path]) -> None:
    """
    Raise Refused when something that git does not hold would be lost or mixed with the change.

    New files elsewhere, such as the table that is being read, do no harm.
    """
    done = subprocess.run(
        ["git", "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all"],  # noqa: S607
        cwd=TOP,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:  # not a git repository: the question must do
        return
    dirty = [
        line[3:]
        for line in done.stdout.split("\0")
        if line and (line[:2] != "??" or any((TOP / line[3:]).is_relative_to(p) for p in touched))
    ]
    if dirty:
        raise Refused(
            f"these changes are not committed: {', '.join(dirty[:5])}"
            f"{' and more' if len(dirty) > 5 else ''}. Commit them first: "
            "git add --all && git commit"
        )


def sample() -> list[Path]:
    """
    Return what belongs to the present algorithm: its package, tests, data and requests.
    """
    packages = {init.parent.name for init in CONTAINER.glob("*/__init__.py")}
    found = re.search("^ARG ALGORITHM=(.+)$", (TOP / "Dockerfile").read_text(), re.MULTILINE)
    named = os.environ.get("ALGORITHM") or (found[1] if found else "")
    others = packages - {"sagemaker_runtime"}
    present = [named] if named in others else sorted(others)
    return [
        path
        for path in (
            *(CONTAINER / name for name in present),
            *(TOP / "tests" / name for name in present),
            *sorted(LOCAL.glob("payload.*")),
            *sorted((LOCAL / "test_dir/input/data").glob("*")),
            LOCAL / "fares.py",
        )
        if path.exists()
    ]


def plan(given: argparse.Namespace) -> Plan:
    """
    Work out what to write and to remove; raises Refused.
    """
    name, home = given.name, LOCAL / "test_dir"
    payloads = LOCAL
    if given.keep_sample:
        home = payloads = LOCAL / name
    data = home / "input/data/training"
    facts = {"name": name, "data": data.relative_to(TOP)}
    copies: dict[Path, bytes] = {}
    files: dict[Path, str] = {}
    if given.table is None:
        kind, payload = "json", payloads / "payload.json"
        request = json.dumps({"text": "The first words of a text"}) + "\n"
        facts |= {"media_type": "application/json", "metric": "train:words", "rows": 0, "text": ""}
        files[data / "texts.txt"] = TEXTS
    else:
        kind, payload = "table", payloads / "payload.csv"
        table = csv_columns.read(given.table, given.target)
        classes = given.task == "classification" if given.task else table.is_class
        if not classes and table.label.kind != "number":
            raise Refused(f"{given.target!r} holds no numbers; expected --task classification")
        facts |= rendering.facts_of(table, classes)
        request = rendering.request_of(table)
        # Read now: it may lie in what is removed.
        copies[data / given.table.name] = given.table.read_bytes()
        print(f"{'classification' if classes else 'regression'} of {given.target}, from:")
        if classes and table.label.kind == "number" and not given.task:
            print("  (its few whole numbers are taken as classes; otherwise: --task regression)")
        for column in table.features:
            print(f"  {column.name}: {column.kind}{', with gaps' if column.optional else ''}")
        for column in table.empty:
            print(f"  {column.name}: has no value, is ignored")
        for key in table.keys:
            print(f"{key} differs in every row; if it is a key, move it to ignored=(...) of INPUT")
    facts["payload"] = payload.relative_to(TOP)
    files |= {
        CONTAINER / name / "__init__.py": rendering.render(f"{kind}.py.jinja", facts),
        TOP / "tests" / name / f"test_{name}.py": rendering.render("test.py.jinja", facts),
        TOP / "tests" / name / "hyperparameters.json": json.dumps(QUICK[kind]) + "\n",
        payload: request,
        home / "input/config/hyperparameters.json": "{}\n",
        TOP / "Dockerfile": _changed(
            "Dockerfile", "(?m)^ARG ALGORITHM=.*$", f"ARG ALGORITHM={name}"
        ),
        TOP / "pyproject.toml": _unlinted(name),
    }
    if given.keep_sample:
        for file in ("inputdataconfig.json", "resourceconfig.json"):
            copies[home / "input/config" / file] = (
                LOCAL / "test_dir/input/config" / file
            ).read_bytes()
    return Plan(files, copies, [] if given.keep_sample else sample())


def _changed(file: str, pattern: str, by: str) -> str:
    text, count = re.subn(pattern, by, (TOP / file).read_text(encoding="utf-8"))
    if count != 1:
        raise Refused(
            f"{file} has {count} lines like {pattern!r}; expected one, as the template has"
        )
    return text


def _unlinted(name: str) -> str:
    """
    Return pyproject.toml in which the strict linters pass the package by.
    """
    paths = json.dumps([f"container/{name}", f"tests/{name}"])
    text = _changed("pyproject.toml", "(?m)^extend-exclude = .*$", f"extend-exclude = {paths}")
    pattern = f'["^container/{name}/"]'
    changed, count = re.subn("(?m)^exclude = .*$", f"exclude = {pattern}", text)
    if count != 1:
        raise Refused("pyproject.toml has no line 'exclude = ...' for mypy, as the template has")
    return changed


def carry_out(todo: Plan) -> None:
    """
    Change the project.
    """
    for path in todo.gone:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    contents = todo.copies | {path: text.encode() for path, text in todo.files.items()}
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def agreed(gone: list[Path]) -> bool:
    """
    Ask whether the files may be removed.
    """
    print("This removes:", *(f"  {path.relative_to(TOP)}" for path in gone), sep="\n")
    try:
        return input("Go on? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def main() -> None:
    """
    Check everything, ask, then change the project and say what comes next.
    """
    given = arguments()
    try:
        check_name(given.name)
        todo = plan(given)
        check_git([*todo.gone, *todo.files])
    except Refused as error:
        _end(f"{error}.", 1)
    if todo.gone and not given.yes and not agreed(todo.gone):
        _end("nothing was changed; --yes answers the question beforehand", 1)
    carry_out(todo)
    name, image = given.name, given.name.replace("_", "-")
    print(f"\ncontainer/{name}/__init__.py is the algorithm, tests/{name}/ its test.")
    if given.table is not None:
        print("pandas, scikit-learn and skops, which it imports, are in requirements.in already.")
    print("\nNext:")
    if given.keep_sample:
        print(f"  export ALGORITHM={name}   # there are several packages in container/ now")
        print(f"  local_test/try.sh --dir local_test/{name}")
    else:
        print("  local_test/try.sh")
    print(f"  ./build.sh {image}")
    print(f"  local_test/try.sh --docker {image}" + f" --dir local_test/{name}" * given.keep_sample)


if __name__ == "__main__":
    main()
