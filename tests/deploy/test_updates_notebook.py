"""The notebook on variants and updates, executed on the local cloud with the project's image."""

import boto3
import pytest
from deploy import rehearsal
from local_cloud.server import LocalCloud

import aws
from deployments import APPLICATION, Commands
from notebooks import environment_of, execute
from project import TOP, own_algorithm

NAME = "variants_and_updates"


@pytest.mark.docker
def test_a_second_model_an_update_and_the_way_back(
    cloud: LocalCloud, rehearse: Commands, trained, tmp_path
):
    """
    1. a second variant is added, asked, shifted and promoted 2. a canary update 3. back 4. scaling.
    Result: each request is answered alike, both variants have had some, and nothing is left.
    """
    content_type, example = own_algorithm().input.example()
    (tmp_path / "question").write_bytes(example)
    run = execute(
        NAME,
        environment_of(NAME),
        tmp_path,
        {
            "AWS_ENDPOINT_URL": cloud.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": aws.REGION,
            "AWS_DEFAULT_REGION": aws.REGION,
        },
        mode="cloud",
        image=f"{APPLICATION}:v1",
        model=trained.root / "model",
        question=tmp_path / "question",
        content_type=content_type,
        role=rehearsal.ROLE,
        bucket=rehearsal.BUCKET,
        project=TOP,
        poll=1,
    )
    answers = run.values["answers"]
    assert len(answers) == 6
    assert len(set(answers.values())) == 1
    for cell in ("variants", "shift"):
        assert "'main': " in run.output(cell).splitlines()[-1]
        assert "'trial': " in run.output(cell).splitlines()[-1]
    assert "Who answered: {'main': 5}" in run.output("promote")
    assert "canary" in run.output("update").lower()
    assert "All answered the same: True" in run.output("same")
    name = run.values["run"]
    client = boto3.client("sagemaker")
    left = client.list_models(NameContains=name)["Models"]
    left += client.list_endpoint_configs(NameContains=name)["EndpointConfigs"]
    left += client.list_endpoints(NameContains=name)["Endpoints"]
    assert left == []
