"""AWS' error codes, sorted by what to do next. The one place that knows them (spec 7.8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.parsers import ResponseParserError

from nodesmith.ports.errors import (
    AlreadyExists,
    CapacityUnavailable,
    CreateFailed,
    NotFound,
    PortError,
    Refused,
    Throttled,
    Unavailable,
)

NOT_FOUND: Final = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",
        "InvalidAMIID.NotFound",
        "InvalidCapacityReservationId.NotFound",
        "InvalidInstanceID.NotFound",
        "InvalidLaunchTemplateId.NotFound",
        "InvalidLaunchTemplateName.NotFoundException",
        "InvalidPlacementGroup.Unknown",
        "InvalidPlacementGroupId.NotFound",
        "NoSuchEntity",
        "ParameterNotFound",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
    }
)
ALREADY_EXISTS: Final = frozenset({"EntityAlreadyExists", "InvalidLaunchTemplateName.AlreadyExistsException"})
THROTTLED: Final = frozenset(
    {
        "EC2ThrottledException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
UNFULFILLABLE: Final = frozenset(
    {
        "InsufficientFreeAddressesInSubnet",
        "InsufficientInstanceCapacity",
        "MaxFleetCountExceeded",
        "MaxSpotInstanceCountExceeded",
        "ReservationCapacityExceeded",
        "UnfulfillableCapacity",
        "Unsupported",
        "VcpuLimitExceeded",
    }
)
"""A fleet error that says: not this offering, not now."""

NO_ADDRESSES: Final = "InsufficientFreeAddressesInSubnet"
SPOT_ROLE: Final = "AuthFailure.ServiceLinkedRoleCreationNotPermitted"
DRY_RUN_PASSED: Final = "DryRunOperation"
UNAUTHORIZED: Final = "UnauthorizedOperation"
SPREAD_LIMIT: Final = "limit of instances in this spread placement group"
PROFILE_NOT_VISIBLE: Final = "Invalid IAM Instance Profile"
SERVER_FAULTS: Final = frozenset({"InternalError", "InternalFailure", "ServiceUnavailable", "Unavailable"})
_FIRST_SERVER_STATUS: Final = 500


@dataclass(frozen=True, slots=True)
class AwsAnswer:
    """What AWS said: the code and the message of an error."""

    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class AwsRefused(Refused):
    """Refused, with the code and message that AWS gave."""

    def __init__(self, answer: AwsAnswer) -> None:
        super().__init__(str(answer))
        self.answer = answer


def answer_of(error: BaseException) -> AwsAnswer | None:
    """The code and message behind an error that `translate` made, or None where AWS did not answer."""
    cause = error.__cause__
    if not isinstance(cause, ClientError):
        return error.answer if isinstance(error, AwsRefused) else None
    detail = cause.response.get("Error", {})
    return AwsAnswer(detail.get("Code", ""), detail.get("Message", ""))


def translate(error: BotoCoreError | ClientError | HTTPClientError | ResponseParserError) -> PortError:
    """The port's error for one of boto3's; what is not known is refused, so that a person sees it."""
    if isinstance(error, ClientError):
        return _translate_answer(error)
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return Refused(f"{error}: give the controller a role, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if isinstance(error, BotoConnectionError | HTTPClientError | ResponseParserError | CredentialRetrievalError):
        return Unavailable(str(error))
    return Refused(str(error))


def _translate_answer(error: ClientError) -> PortError:
    detail = error.response.get("Error", {})
    code, message = detail.get("Code", ""), detail.get("Message", "")
    said = f"{code}: {message}"
    metadata: Mapping[str, Any] = error.response.get("ResponseMetadata") or {}
    status = int(metadata.get("HTTPStatusCode") or 0)
    if code in NOT_FOUND:
        return NotFound(said)
    if code in ALREADY_EXISTS:
        return AlreadyExists(said)
    if code in THROTTLED:
        return Throttled(said, retry_after_s=_retry_after(metadata.get("HTTPHeaders") or {}))
    if code in SERVER_FAULTS or status >= _FIRST_SERVER_STATUS:
        return Unavailable(said)
    return AwsRefused(AwsAnswer(code, message))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    text = headers.get("retry-after", "")
    return float(text) if text.replace(".", "", 1).isdigit() else None


LAUNCH_REASONS: Final = (
    (SPOT_ROLE, "SpotSLRCreationFailed", "Spot service-linked role may not be created"),
    (UNAUTHORIZED, "Unauthorized", ""),
    ("AccessDenied", "Unauthorized", ""),
    ("AuthFailure", "Unauthorized", ""),
    (
        "belong to different networks",
        "SecurityGroupSubnetVPCMismatch",
        "Security groups and subnets are in different VPCs",
    ),
    ("iamInstanceProfile.name is invalid", "InstanceProfileNameInvalid", "Instance profile name is not valid"),
    ("InvalidLaunchTemplateId.NotFound", "LaunchTemplateNotFound", "Launch template not found"),
    ("InvalidLaunchTemplateName.NotFoundException", "LaunchTemplateNotFound", "Launch template not found"),
    ("User data is limited to", "UserDataSizeLimitExceeded", "User data is larger than EC2 accepts"),
    ("InvalidAMIID.Malformed", "InvalidAMIID", "AMI id is malformed"),
    ("InvalidAMIID.NotFound", "AMINotFound", "AMI not found"),
    ("RequestLimitExceeded", "RequestLimitExceeded", "Request limit exceeded"),
    ("InternalError", "InternalError", "EC2 had an internal error"),
    ("not eligible for Free Tier", "FreeTierIneligible", "Instance type is not eligible for the Free Tier"),
    ("MaxFleetCountExceeded", "FleetQuotaExceeded", "Fleet quota exceeded"),
    ("PendingVerification", "AccountPendingVerification", "Account is pending verification"),
    ("MaxSpotInstanceCountExceeded", "SpotQuotaExceeded", "Spot quota exceeded"),
    ("VcpuLimitExceeded", "VCPULimitExceeded", "vCPU quota exceeded"),
    (NO_ADDRESSES, NO_ADDRESSES, "Subnet has no free addresses"),
)
"""Text to look for, first hit wins; the condition's reason; a sentence for it."""


def launch_reason(text: str) -> tuple[str, str]:
    """The condition reason and sentence for a launch that failed with this text."""
    for needle, reason, sentence in LAUNCH_REASONS:
        if needle in text:
            return (reason, sentence) if sentence else _unauthorized(text)
    return "LaunchFailed", "Instance launch failed"


def launch_failure(answers: list[AwsAnswer]) -> CapacityUnavailable | CreateFailed:
    """Why a fleet launched nothing: out of capacity when every error says so, else a failure with its reason."""
    if not answers:
        return CapacityUnavailable("insufficient capacity, the fleet launched fewer instances than it was asked for")
    told = "; ".join(dict.fromkeys(str(answer) for answer in answers))
    if all(answer.code in UNFULFILLABLE or answer.code == SPOT_ROLE for answer in answers):
        return CapacityUnavailable(f"insufficient capacity, with fleet error(s), {told}")
    reason, sentence = launch_reason(told)
    return CreateFailed(reason, f"{sentence}: {told}")


def _unauthorized(text: str) -> tuple[str, str]:
    if "Not authorized for images" in text:
        return "AMIAuthorizationFailure", "Not authorized to launch this AMI"
    if "permissions boundary" in text:
        return "Unauthorized", "Not authorized: a permissions boundary denies it"
    if "service control policy" in text:
        return "Unauthorized", "Not authorized: a service control policy denies it"
    return "Unauthorized", "Not authorized to launch instances"
