"""EKS' pod identity agent, as each node runs it: a pod's token in, its role's credentials out.

A pod is pointed at it with AWS_CONTAINER_CREDENTIALS_FULL_URI and AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE. The token is
the service account's; whose it is, is read from its claims and not verified.
"""

from __future__ import annotations

import base64
import json
from typing import Any, Final

from moto.eks.models import eks_backends
from moto.sts.models import sts_backends

from nodesmith.sim.aws import wire

PATH: Final = "/v1/credentials"
_SUBJECT: Final = "system:serviceaccount:"


def answer(request: wire.Request, account: str) -> wire.Answer:
    """The credentials of the role that the pod's service account has, in any cluster of the account."""
    subject = _subject(request.headers.get("authorization", ""))
    if not subject.startswith(_SUBJECT):
        return _refusal(400, "InvalidTokenException", "the token is no service account's")
    namespace, _, name = subject.removeprefix(_SUBJECT).partition(":")
    role = _role_of(account, namespace, name)
    if role is None:
        return _refusal(404, "ResourceNotFoundException", f"no pod identity association for {namespace}/{name}")
    assumed: Any = sts_backends[account]["aws"].assume_role(
        region_name="us-east-1",
        role_session_name=name,
        role_arn=role,
        policy="",
        duration=3600,
        external_id="",
    )
    return wire.json_answer(
        {
            "AccessKeyId": assumed.access_key_id,
            "SecretAccessKey": assumed.secret_access_key,
            "Token": assumed.session_token,
            "AccountId": account,
            "Expiration": assumed.expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    )


def _role_of(account: str, namespace: str, name: str) -> str | None:
    for backend in eks_backends[account].values():
        for each in getattr(backend, "pod_identities", {}).values():
            if (each["namespace"], each["serviceAccount"]) == (namespace, name):
                return str(each["roleArn"])
    return None


def _subject(token: str) -> str:
    """Whose token it is; empty where it is none."""
    try:
        claims = token.split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sub"])
    except (IndexError, KeyError, TypeError, ValueError):
        return ""


def _refusal(status: int, code: str, message: str) -> wire.Answer:
    return wire.Answer(status, "application/json", json.dumps({"code": code, "message": message}).encode())
