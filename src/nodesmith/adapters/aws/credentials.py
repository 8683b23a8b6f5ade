"""Who the controller is to AWS: boto3's own chain, without the instance metadata service.

In its order: environment, web identity (a role for the service account, IRSA), profile, pod identity (the agent on the
node). The metadata service would hand out the node's role: a controller that runs with it by accident has too little
to work with and too much to lose, and hears of it an hour later.
"""

from __future__ import annotations

from typing import Final

import boto3
import botocore.session

_METADATA: Final = "iam-role"


def controller_session(*, profile: str = "", region: str = "") -> boto3.session.Session:
    """A session that finds its credentials in the environment, files and on the pod identity agent only."""
    core = botocore.session.Session(profile=profile or None)
    core.get_component("credential_provider").remove(_METADATA)
    return boto3.session.Session(botocore_session=core, region_name=region or None)
