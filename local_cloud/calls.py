"""
What a request asks of AWS: the service, the action, and the permissions that it needs.
"""

import json
import re
from typing import Any
from xml.etree import ElementTree

from werkzeug.wrappers import Request

from local_cloud.journal import Call
from local_cloud.kinds import KINDS

CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
OPERATION = re.compile(r"/service/[^/]+/operation/(\w+)")
RUNTIME = re.compile(
    r"/endpoints/([^/]+)/(invocations|async-invocations|invocations-response-stream)"
)
RUNTIME_ACTIONS = {
    "invocations": "InvokeEndpoint",
    "async-invocations": "InvokeEndpointAsync",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
}
S3_ACTIONS = {"PUT": "PutObject", "POST": "PutObject", "GET": "GetObject", "HEAD": "GetObject"}
# IAM's name of a service where it is not the one that signatures have.
IAM_NAMES = {"monitoring": "cloudwatch", "tagging": "tag", "email": "ses"}
VERBS = re.compile("Create|Describe|List|Delete|Stop|Update|Start")


def identify(request: Request, region: str, account: str) -> Call:
    """
    Return the call that a request is.
    """
    found = CREDENTIAL.search(request.headers.get("Authorization", ""))
    key, _, service = found.groups() if found else ("", "", "")
    service = IAM_NAMES.get(service, service)
    target = request.headers.get("X-Amz-Target", "")
    if service == "s3" or not service:
        return _s3(request, key)
    if invoked := RUNTIME.fullmatch(request.path):
        arn = f"arn:aws:sagemaker:{region}:{account}:endpoint/{invoked[1]}"
        action = RUNTIME_ACTIONS[invoked[2]]
        asked = {"EndpointName": invoked[1]}
        # A stream needs the permission of the plain call's name with its ending.
        return Call(service, action, asked, [(f"sagemaker:{action}", arn)], key)
    if target:
        prefix, _, action = target.rpartition(".")
        asked = json.loads(request.get_data() or b"{}")
        call = Call(service, action, asked, [], key)
        if prefix == "SageMaker":
            call.permissions = _sagemaker(action, asked, region, account)
        else:
            call.permissions = _others(call, region, account)
        return call
    if operation := OPERATION.fullmatch(request.path):
        call = Call(service, operation[1], {}, [], key)
    else:
        call = Call(service, request.form.get("Action", request.path), dict(request.form), [], key)
    call.permissions = [(call.name, "*")]
    return call


def _others(call: Call, region: str, account: str) -> list[tuple[str, str]]:
    if call.name != "cloudwatch:DescribeAlarms":
        return [(call.name, "*")]
    # Without names it is judged on all alarms, whatever else it is narrowed by.
    beginning = f"arn:aws:cloudwatch:{region}:{account}:alarm:"
    return [(call.name, beginning + each) for each in call.asked.get("AlarmNames") or ["*"]]


def _sagemaker(
    action: str, asked: dict[str, Any], region: str, account: str
) -> list[tuple[str, str]]:
    def arn(noun: str, name: str) -> str:
        if name.startswith("arn:"):
            return name
        return f"arn:aws:sagemaker:{region}:{account}:{KINDS[noun].arn_word}/{name}"

    subject = VERBS.sub("", action, count=1)
    resource = "*"
    if "ResourceArn" in asked:
        resource = str(asked["ResourceArn"])
    elif "PipelineExecutionArn" in asked:
        resource = str(asked["PipelineExecutionArn"])
    elif subject == "ModelPackage":
        named = asked.get("ModelPackageArn") or asked.get("ModelPackageName")
        resource = arn("ModelPackage", str(named or asked.get("ModelPackageGroupName", "*")))
    elif not action.startswith("List"):
        # UpdateEndpointWeightsAndCapacities is about the endpoint: the longest noun that begins it.
        nouns = [noun for noun in KINDS if subject.startswith(noun) and f"{noun}Name" in asked]
        if nouns:
            noun = max(nouns, key=len)
            resource = arn(noun, str(asked[f"{noun}Name"]))
    needed = [(f"sagemaker:{action}", resource)]
    if action in ("CreateEndpoint", "UpdateEndpoint") and "EndpointConfigName" in asked:
        config = arn("EndpointConfig", str(asked["EndpointConfigName"]))
        needed.append((f"sagemaker:{action}", config))
    if asked.get("Tags") and action.startswith("Create"):
        needed.append(("sagemaker:AddTags", resource))
    if role := asked.get("RoleArn") or asked.get("ExecutionRoleArn"):
        needed.append(("iam:PassRole", str(role)))
    return needed


def _s3(request: Request, key: str) -> Call:
    bucket, _, name = request.path.strip("/").partition("/")
    of_bucket, of_object = f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/{name}"
    if not bucket:
        call = Call("s3", "ListAllMyBuckets", {}, [], key)
        call.permissions = [(call.name, "*")]
        return call
    asked = {"Bucket": bucket, "Key": name} if name else {"Bucket": bucket}
    if name:
        action = S3_ACTIONS.get(request.method, "DeleteObject")
        if request.method == "DELETE" and "uploadId" in request.args:
            action = "AbortMultipartUpload"
        return Call("s3", action, asked, [(f"s3:{action}", of_object)], key)
    if request.method == "POST" and "delete" in request.args:
        names = _deleted(request.get_data())
        resources = [("s3:DeleteObject", f"{of_bucket}/{each}") for each in names]
        return Call("s3", "DeleteObjects", asked | {"Keys": names}, resources, key)
    subject = next(iter(request.args), "")
    actions = {"GET": "ListBucket", "HEAD": "ListBucket", "PUT": "CreateBucket"}
    action = actions.get(request.method, "DeleteBucket")
    if request.method in ("GET", "PUT") and subject in BUCKET_ACTIONS:
        action = f"{request.method.capitalize()}{BUCKET_ACTIONS[subject]}"
    return Call("s3", action, asked, [(f"s3:{action}", of_bucket)], key)


# What is asked about a bucket, by the name in the request's query.
BUCKET_ACTIONS = {
    "location": "BucketLocation",
    "versioning": "BucketVersioning",
    "encryption": "EncryptionConfiguration",
    "policy": "BucketPolicy",
    "publicAccessBlock": "BucketPublicAccessBlock",
    "lifecycle": "LifecycleConfiguration",
    "tagging": "BucketTagging",
}


def _deleted(body: bytes) -> list[str]:
    tree = ElementTree.fromstring(body)  # noqa: S314 - what the caller's own SDK wrote
    return [each.text or "" for each in tree.iter() if each.tag.rpartition("}")[2] == "Key"]
