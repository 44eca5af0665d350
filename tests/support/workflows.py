"""
Workflows of GitHub as files, and a runner that executes their shell steps as GitHub does.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from project import TOP

FOLDER = TOP / ".github/workflows"
EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")


def workflows() -> dict[str, dict[str, Any]]:
    """
    Return the workflows by the names of their files.
    """
    return {
        path.name: yaml.safe_load(path.read_text(encoding="utf-8"))
        for path in sorted(FOLDER.glob("*.yml"))
    }


def steps(workflow: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """
    Yield the steps of all jobs.
    """
    for job in workflow["jobs"].values():
        yield from job["steps"]


@dataclass
class Ended:
    """
    How a job ended: success, failure or skipped, with its outputs, summary and output.
    """

    result: str = "success"
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    log: str = ""
    code: int = 0


@dataclass
class Runner:
    """
    A hosted runner: each job has a copy of ``checkout``, where the action checks out, and AWS's
    variables from the step on that asks for credentials.

    ``after`` is called after each step. ``blocks`` has the run blocks that were executed,
    ``approved`` the environments that had to approve.
    """

    checkout: Path
    scratch: Path
    environ: dict[str, str]
    credentials: dict[str, str]
    variables: dict[str, str]
    after: Callable[[], None] = lambda: None
    blocks: set[str] = field(default_factory=set)
    approved: list[str] = field(default_factory=list)
    _runs: int = 0

    def run(self, name: str, **inputs: bool) -> dict[str, Ended]:
        """
        Run a workflow and return how each job ended.
        """
        workflow = workflows()[name]
        context: dict[str, Any] = {"vars": self.variables, "inputs": inputs, "needs": {}}
        ended: dict[str, Ended] = {}
        waiting = dict(workflow["jobs"])
        self._runs += 1
        while waiting:
            key = next(each for each, job in waiting.items() if not set(_needs(job)) & set(waiting))
            job = waiting.pop(key)
            wanted = truth(job["if"], context) if "if" in job else True
            if not wanted or any(ended[each].result != "success" for each in _needs(job)):
                ended[key] = Ended("skipped")
                continue
            if "environment" in job:
                self.approved.append(job["environment"])
            ended[key] = self._job(f"{self._runs}-{key}", workflow, job, context)
            context["needs"][key] = {"outputs": ended[key].outputs}
        return ended

    def _job(
        self, name: str, workflow: dict[str, Any], job: dict[str, Any], context: dict[str, Any]
    ) -> Ended:
        folder, files = self.scratch / name / "work", self.scratch / name
        folder.mkdir(parents=True)
        context = {**context, "steps": {}}
        credentials: dict[str, str] = {}
        ended = Ended()
        for step in job["steps"]:
            if "uses" in step:
                credentials |= self._action(step, folder, context)
                continue
            output, summary = files / "output", files / "summary"
            output.write_text("")
            given = {**workflow.get("env", {}), **job.get("env", {}), **step.get("env", {})}
            environ = self.environ | {each: filled(str(v), context) for each, v in given.items()}
            environ |= {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary)}
            assert not EXPRESSION.search(step["run"]), "an expression in a script is code"
            shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
            done = subprocess.run(
                shell,
                cwd=folder,
                env=environ | credentials,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            self.blocks.add(step["run"])
            ended.log += f"\n$ {step['run']}\n{done.stdout}"
            ended.summary = summary.read_text() if summary.exists() else ""
            told = dict(line.split("=", 1) for line in output.read_text().splitlines())
            if "id" in step:
                context["steps"][step["id"]] = {"outputs": told}
            self.after()
            if done.returncode:
                ended.result, ended.code = "failure", done.returncode
                return ended
        ended.outputs = {
            each: filled(value, context) for each, value in job.get("outputs", {}).items()
        }
        return ended

    def _action(
        self, step: dict[str, Any], folder: Path, context: dict[str, Any]
    ) -> dict[str, str]:
        action = step["uses"].partition("@")[0]
        if action == "actions/checkout":
            shutil.copytree(self.checkout, folder, symlinks=True, dirs_exist_ok=True)
            return {}
        assert action == "aws-actions/configure-aws-credentials", action
        assert filled(step["with"]["role-to-assume"], context) == self.variables["AWS_ROLE"]
        assert filled(step["with"]["aws-region"], context) == self.variables["AWS_REGION"]
        return self.credentials


def _needs(job: Mapping[str, Any]) -> list[str]:
    needs = job.get("needs", [])
    return [needs] if isinstance(needs, str) else needs


def _looked_up(path: str, context: Mapping[str, Any]) -> Any:
    found: Any = context
    for name in path.split("."):
        found = found.get(name, "") if isinstance(found, dict) else ""
    return found


def filled(text: str, context: Mapping[str, Any]) -> str:
    """
    Return a text with its expressions, each a path into the contexts, in place.
    """
    return EXPRESSION.sub(lambda match: str(_looked_up(match[1], context)), text)


def truth(text: str, context: Mapping[str, Any]) -> bool:
    """
    Return what an ``if`` says: a path into the contexts, or not one.
    """
    match = re.fullmatch(r"\$\{\{ (!?)([\w.]+) \}\}", text)
    assert match, text
    return bool(_looked_up(match[2], context)) != bool(match[1])


def environment(folder: Path, room: str, lock: str, venv: Path) -> None:
    """
    Make the tests' packages a script's environment in ``room``, instead of a download.
    """
    made = folder / room / ".venv"
    made.mkdir()
    for part in ("bin", "lib", "pyvenv.cfg"):
        (made / part).symlink_to(venv / part)
    counted = subprocess.run(["cksum", lock], cwd=folder, capture_output=True, check=True)
    (made / "installed").write_bytes(counted.stdout)


def program(folder: Path, name: str, text: str) -> None:
    """
    Write a program that stands before others of its name on PATH.
    """
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    (folder / name).chmod(0o755)


def path_with(folder: Path) -> str:
    """
    Return a PATH with a folder before all others.
    """
    return f"{folder}{os.pathsep}{os.environ['PATH']}"
