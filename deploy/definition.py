"""
The definition of the retraining pipeline: split, train, compare, register or fail.
"""

from dataclasses import replace
from typing import Any

from deploy import challengers, training
from deploy.challengers import Challenge
from deploy.session import Session, home

VERSION = "2020-12-01"
KEEP = "Keep"  # the step at which an execution ends when the challenger is not better
REGISTER = "Register"
NAMES = {
    "Training": "TrainingJobName",
    "Processing": "ProcessingJobName",
}


def make(session: Session, challenge: Challenge, report: str = "") -> dict[str, Any]:
    """
    Return the definition; what a challenge names are the defaults of its parameters.
    """
    challenge, parameters = _parameters(challenge)
    folders = {name: _place(session, name) for name in ("training", "judged", "comparison")}
    inputs = challenge.inputs()
    champion = inputs.pop("input/champion")
    rest = {n: place for n, place in challenge.channels.items() if n != challengers.TRAINING}
    split = challengers.processing(
        session,
        challenge.image,
        challenge.arguments("split", "channels", "new"),
        inputs,
        {f"output/{name}": folders[name] for name in ("training", "judged")},
    )
    train = training.request(
        session,
        challenge.image,
        {challengers.TRAINING: _output("Split", "output-training"), **rest},
        challenge.hyperparameters,
    )
    archive = {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}
    compare = challengers.processing(
        session,
        challenge.image,
        challenge.arguments("compare", "champion", "challenger", "rows"),
        {
            "input/champion": champion,
            "input/challenger": archive,
            "input/rows": _output("Split", "output-judged"),
        },
        {"output": folders["comparison"]},
    )
    comparison = {"Std:Join": {"On": "/", "Values": [folders["comparison"], _FILE]}}
    package = challengers.package(
        session,
        challenge.image,
        archive,
        comparison,
        _found("sentence"),
        _found("model_card"),
        {"Get": "Parameters.Approval"},
        report,
    )
    files = [{"PropertyFileName": "Comparison", "OutputName": "output", "FilePath": _FILE}]
    kept = ["the model in service stays:", _found("sentence")]
    better = {"Type": "Equals", "LeftValue": _found("verdict"), "RightValue": "better"}
    return {
        "Version": VERSION,
        "Metadata": {},
        "Parameters": parameters,
        "Steps": [
            _step("Split", "Processing", split),
            _step("Train", "Training", train),
            _step("Compare", "Processing", compare) | {"PropertyFiles": files},
            _step(
                "Better",
                "Condition",
                {
                    "Conditions": [better],
                    "IfSteps": [_step(REGISTER, "RegisterModel", package)],
                    "ElseSteps": [
                        _step(
                            KEEP,
                            "Fail",
                            {"ErrorMessage": {"Std:Join": {"On": " ", "Values": kept}}},
                        )
                    ],
                },
            ),
        ],
    }


_FILE = challengers.COMPARISON


def _parameters(challenge: Challenge) -> tuple[Challenge, list[dict[str, str]]]:
    """
    Return the challenge by references, and the parameters that these name.
    """
    defaults = {
        "TrainingRows": challenge.channels[challengers.TRAINING],
        "NewRows": challenge.new,
        "Champion": challenge.champion,
        "Approval": "PendingManualApproval",
    }
    get = {name: {"Get": f"Parameters.{name}"} for name in defaults}
    referring = replace(
        challenge,
        channels=challenge.channels | {challengers.TRAINING: get["TrainingRows"]},
        new=get["NewRows"],
        champion=get["Champion"],
    )
    listed: list[dict[str, str]] = [
        {"Name": n, "Type": "String", "DefaultValue": v} for n, v in defaults.items()
    ]
    return referring, listed


def _step(name: str, kind: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"Name": name, "Type": kind, "Arguments": arguments}


def _place(session: Session, name: str) -> dict[str, Any]:
    """
    Return an address that each execution has for itself.
    """
    values = [f"{home(session)}/retraining", {"Get": "Execution.PipelineExecutionId"}, name]
    return {"Std:Join": {"On": "/", "Values": values}}


def _output(step: str, name: str) -> dict[str, str]:
    path = f"ProcessingOutputConfig.Outputs['{name}'].S3Output.S3Uri"
    return {"Get": f"Steps.{step}.{path}"}


def _found(path: str) -> dict[str, Any]:
    """
    Return what the comparison says.
    """
    file = {"Get": "Steps.Compare.PropertyFiles.Comparison"}
    return {"Std:JsonGet": {"PropertyFile": file, "Path": path}}
