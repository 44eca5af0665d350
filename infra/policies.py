"""
The policies of policies.yaml as JSON for those who do without CloudFormation.

    .venv/bin/python -m infra.policies

writes notebooks/role-policy.json, notebooks/caller-policy.json and the table in docs/security.md.
"""

import json
import re
from pathlib import Path
from typing import Any

from cfnlint.decode import cfn_yaml  # type: ignore[import-untyped]

HERE = Path(__file__).resolve().parent
NOTEBOOKS = HERE.parent / "notebooks"
PAGE = HERE.parent / "docs/security.md"
FILES = {"role-policy": "ExecutionPolicy", "caller-policy": "DeployPolicy"}
# What people fill in, by sed or by hand.
PLACEHOLDERS = {
    "AWS::Partition": "aws",
    "AWS::Region": "<REGION>",
    "AWS::AccountId": "<ACCOUNT>",
    "Application": "<APPLICATION>",
    "Bucket": "<BUCKET>",
    "ExecutionRole.Arn": "arn:aws:iam::<ACCOUNT>:role/<ROLE>",
}


def template(name: str) -> dict[str, Any]:
    """
    Return a template with its short forms written out: !Ref x as {"Ref": "x"}.
    """
    found: dict[str, Any] = cfn_yaml.load(str(HERE / f"{name}.yaml"))
    return found


def filled(value: Any, given: dict[str, str]) -> Any:
    """
    Return a part of a template with its references replaced.
    """
    if isinstance(value, list):
        return [filled(each, given) for each in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((function, argument),) = value.items()
        if function == "Ref":
            return given[argument]
        if function == "Fn::GetAtt":
            return given[".".join(argument)]
        if function == "Fn::Sub":
            for name, text in given.items():
                argument = argument.replace(f"${{{name}}}", text)
            return argument
    return {name: filled(part, given) for name, part in value.items()}


def policies() -> dict[str, list[dict[str, Any]]]:
    """
    Return the statements of each managed policy, as the template has them.
    """
    return {
        name: resource["Properties"]["PolicyDocument"]["Statement"]
        for name, resource in template("policies")["Resources"].items()
        if resource["Type"] == "AWS::IAM::ManagedPolicy"
    }


def document(policy: str) -> str:
    """
    Return a policy as JSON with placeholders.
    """
    statements = filled(policies()[policy], PLACEHOLDERS)
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2) + "\n"


def markdown() -> str:
    """
    Return the table of all statements for the documentation.
    """
    rows = ["| policy | what for | actions | on |", "|---|---|---|---|"]
    for policy, statements in policies().items():
        for each in filled(statements, PLACEHOLDERS):
            words = (
                re.sub(r"(?<!^)(?=[A-Z])", " ", each["Sid"])
                .lower()
                .replace("sage maker", "SageMaker")
            )
            service = each["Action"][0].partition(":")[0]
            names = (name.removeprefix(f"{service}:") for name in each["Action"])
            on = (resource.split(":", 5)[-1] for resource in each["Resource"])
            listed = " ".join(f"`{part}`" for part in on)
            rows.append(f"| `{policy}` | {words} | {service}: {', '.join(names)} | {listed} |")
    return "\n".join(rows)


if __name__ == "__main__":
    for file, policy in FILES.items():
        (NOTEBOOKS / f"{file}.json").write_text(document(policy), encoding="utf-8")
    before, rest = PAGE.read_text(encoding="utf-8").split("<!-- policies -->")
    after = rest.partition("<!-- /policies -->")[2]
    table = f"<!-- policies -->\n{markdown()}\n<!-- /policies -->"
    PAGE.write_text(before + table + after, encoding="utf-8")
