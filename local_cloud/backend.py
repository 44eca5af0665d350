"""
moto, which stands behind for S3, logs, CloudWatch, SNS, ECR and the rest of AWS.
"""

import json
import logging
import threading
from contextlib import suppress
from typing import Any

import boto3
import botocore.exceptions
from botocore.config import Config

ACCESS_KEY = "local-cloud"  # what the cloud asks of itself stands in no journal and meets no fault
BUCKET = ROLE = "rehearsal"  # what the owner of an account makes once; deploy.sh --local takes them
TRUST = {
    "Effect": "Allow",
    "Principal": {"Service": "sagemaker.amazonaws.com"},
    "Action": "sts:AssumeRole",
}
log = logging.getLogger("local_cloud")


class Backend:
    """
    Clients for the cloud's own use, and the few things that it does with them.
    """

    def __init__(self, url: str, region: str) -> None:
        self._url = url
        self._region = region
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str) -> Any:
        """
        Return boto3's client.
        """
        with self._lock:
            if service not in self._clients:
                self._clients[service] = boto3.session.Session().client(
                    service,
                    region_name=self._region,
                    endpoint_url=self._url,
                    aws_access_key_id=ACCESS_KEY,
                    aws_secret_access_key=ACCESS_KEY,
                    config=Config(max_pool_connections=50, parameter_validation=True),
                )
            return self._clients[service]

    def furnish(self) -> None:
        """
        Make a bucket and a role that trusts SageMaker.
        """
        s3, iam = self.client("s3"), self.client("iam")
        more = {"CreateBucketConfiguration": {"LocationConstraint": self._region}}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [TRUST]})
        with suppress(s3.exceptions.BucketAlreadyOwnedByYou):  # another cloud of this process
            s3.create_bucket(Bucket=BUCKET, **(more if self._region != "us-east-1" else {}))
        with suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=policy)

    def publish(self, topic: str | None, message: str) -> None:
        """
        Notify a topic, if there is one.
        """
        if topic:
            try:
                self.client("sns").publish(TopicArn=topic, Message=message)
            except botocore.exceptions.ClientError as error:
                log.warning("no notification to %s: %s", topic, error)

    def log_events(self, group: str, stream: str, events: list[dict[str, Any]]) -> None:
        """
        Append to a log stream, which is made if need be.
        """
        logs = self.client("logs")
        try:
            logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
        except logs.exceptions.ResourceNotFoundException:
            self.make_stream(group, stream)
            logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    def make_stream(self, group: str, stream: str) -> None:
        """
        Make a log group and a stream, unless they are there.
        """
        logs = self.client("logs")
        for make, names in (
            (logs.create_log_group, {"logGroupName": group}),
            (logs.create_log_stream, {"logGroupName": group, "logStreamName": stream}),
        ):
            try:
                make(**names)
            except logs.exceptions.ResourceAlreadyExistsException:
                continue
