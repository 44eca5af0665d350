"""
What an update leaves behind. The configuration that served before is kept, so that one can go back
to it; the next update deletes it.
"""

from botocore.exceptions import BotoCoreError, ClientError

from deploy import models, owned
from deploy.session import Session, say, send


def delete(session: Session, endpoint: str, configuration: str) -> None:
    """
    Delete a configuration of the application's, and its models unless another one has them.

    What cannot be deleted stays for teardown: the update has succeeded all the same.
    """
    try:
        things = owned.find(session)
        if not any(
            (e.kind, e.name, e.endpoint) == ("endpoint_config", configuration, endpoint)
            for e in things
        ):
            return
        gone = models.of_configuration(session, configuration)
        send(session, "sagemaker", "delete_endpoint_config", {"EndpointConfigName": configuration})
        for each in things:
            if each.kind == "endpoint_config" and each.name != configuration:
                gone -= models.of_configuration(session, each.name)
        for each in things:
            if each.kind == "model" and each.name in gone:
                send(session, "sagemaker", "delete_model", {"ModelName": each.name})
        say(f"deleted {configuration}, which served before the last update")
    except (BotoCoreError, ClientError) as error:
        say(f"{configuration} stays until ./deploy.sh teardown: {error}")
