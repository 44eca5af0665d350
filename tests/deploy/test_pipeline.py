"""
The retraining's pipeline: its definition, what is found wrong in it, and the calls that put it.
"""

import copy
import json
from dataclasses import replace
from typing import Any

import boto3
import pytest
from deploy import definition, definition_check
from deploy.challengers import Challenge
from deploy.session import Session
from deploy.settings import Keys, Network, Settings, Training

CHALLENGE = Challenge(
    image="123456789012.dkr.ecr.eu-west-1.amazonaws.com/toys@sha256:" + "a" * 64,
    champion="s3://b/models/model.tar.gz",
    channels={"training": "s3://b/data/", "validation": "s3://b/validation/"},
    new="s3://b/labelled/",
    hyperparameters={"rounds": "5"},
)


@pytest.fixture
def session() -> Session:
    """What the definition is made from; nothing of AWS is asked."""
    settings = Settings(
        application="toys", bucket="b", role="arn:aws:iam::123456789012:role/worker"
    )
    return Session(settings, boto3.Session(region_name="eu-west-1"))


@pytest.fixture
def made(session: Session) -> dict[str, Any]:
    """A definition."""
    return definition.make(session, CHALLENGE, "s3://b/report.json")


def step(made: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a step by its name."""
    better = made["Steps"][-1]["Arguments"]
    listed = [*made["Steps"], *better["IfSteps"], *better["ElseSteps"]]
    return next(each for each in listed if each["Name"] == name)


def test_the_definition_is_plain_json_without_a_fault(made):
    """Split, train, compare, register or fail; parameters have what the command was given."""
    assert json.loads(json.dumps(made)) == made
    assert definition_check.faults(made) == []
    assert [each["Name"] for each in made["Steps"]] == ["Split", "Train", "Compare", "Better"]
    defaults = {each["Name"]: each["DefaultValue"] for each in made["Parameters"]}
    assert defaults == {
        "TrainingRows": "s3://b/data/",
        "NewRows": "s3://b/labelled/",
        "Champion": "s3://b/models/model.tar.gz",
        "Approval": "PendingManualApproval",
    }
    channels = step(made, "Train")["Arguments"]["InputDataConfig"]
    assert [each["ChannelName"] for each in channels] == ["training", "validation"]


def test_settings_of_the_account_reach_every_step(session):
    """Keys, network and instance type, as for other jobs."""
    session.settings = replace(
        session.settings,
        keys=Keys("alias/disks", "alias/files"),
        network=Network(["subnet-1"], ["sg-1"], isolation=True),
        training=Training(instance_type="ml.c5.large"),
        environment={"A": "1"},
    )
    made = definition.make(session, CHALLENGE)
    assert definition_check.faults(made) == []
    for name in ("Split", "Compare"):
        asked = step(made, name)["Arguments"]
        assert asked["NetworkConfig"]["EnableNetworkIsolation"] is True
        assert asked["NetworkConfig"]["VpcConfig"]["Subnets"] == ["subnet-1"]
        cluster = asked["ProcessingResources"]["ClusterConfig"]
        assert (cluster["InstanceType"], cluster["VolumeKmsKeyId"]) == (
            "ml.c5.large",
            "alias/disks",
        )
        assert asked["ProcessingOutputConfig"]["KmsKeyId"] == "alias/files"
    containers = step(made, "Register")["Arguments"]["InferenceSpecification"]["Containers"]
    assert containers[0]["Environment"] == {"A": "1"}


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (
            lambda made: step(made, "Train")["Arguments"]["ResourceConfig"].update(
                InstanceCount="1"
            ),
            "step Train: Invalid type for parameter ResourceConfig.InstanceCount",
        ),
        (
            lambda made: step(made, "Register")["Arguments"].update(ModelCards={}),
            'step Register: Unknown parameter in input: "ModelCards"',
        ),
        (
            lambda made: step(made, "Compare")["Arguments"]["ProcessingInputs"][1][
                "S3Input"
            ].update(S3Uri={"Get": "Steps.Trian.ModelArtifacts.S3ModelArtifacts"}),
            "step Compare: Steps.Trian.ModelArtifacts.S3ModelArtifacts is neither a parameter nor",
        ),
        (
            lambda made: step(made, "Compare")["Arguments"]["ProcessingInputs"][1][
                "S3Input"
            ].update(S3Uri={"Get": "Steps.Train.ModelArtifacts.Archive"}),
            "step Compare: Steps.Train.ModelArtifacts.Archive has no Archive",
        ),
        (
            lambda made: step(made, "Train")["Arguments"].update(
                RoleArn={"Get": "Steps.Split.ProcessingOutputConfig.Outputs['x'].S3Output.S3Uri"}
            ),
            "has no Outputs['x']",
        ),
        (lambda made: made["Parameters"].pop(), "Parameters.Approval is not a parameter"),
        (lambda made: made["Steps"].reverse(), "nor of an earlier step"),
        (lambda made: made["Steps"].append(made["Steps"][0]), "there are two of this name"),
        (
            lambda made: step(made, "Compare").update(PropertyFiles=[]),
            "Steps.Compare.PropertyFiles.Comparison is not a property file of that step",
        ),
        (
            lambda made: step(made, "Compare")["PropertyFiles"][0].update(OutputName="x"),
            "Comparison lies in x, not an output",
        ),
        (lambda made: step(made, "Split").update(Type="Lambda"), "there is no type Lambda here"),
    ],
)
def test_planted_faults_are_found(made, plant, found):
    """Wrong types, unknown names and references that lead nowhere, each with its step."""
    broken = copy.deepcopy(made)
    plant(broken)
    told = definition_check.faults(broken)
    assert any(found in each for each in told), told
