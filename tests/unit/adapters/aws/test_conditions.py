"""The table of reasons is the code's: every reason that is given is in it, and none that nobody gives."""

from __future__ import annotations

import re
from pathlib import Path

from nodesmith.adapters.aws import kubeletcheck, nodeclass, planlaunch, validation
from nodesmith.adapters.aws.conditions import CAUSES
from nodesmith.adapters.aws.nodeclass import FAILED
from nodesmith.api.ec2nodeclass import VALIDATION_SUCCEEDED

GIVEN = re.compile(
    r'(?:Condition\(\w+, "(?:False|Unknown)", |Verdict\("(?:False|Unknown)", |Verdict\(status, |CreateFailed\()"(\w+)"'
)
MADE_UP = re.compile(r'_dry_run\("(\w+)"|_denied\(error, "(\w+)"\)')


def written() -> set[str]:
    """The reasons that the sources name."""
    sources = [Path(module.__file__ or "").read_text("utf-8") for module in (nodeclass, planlaunch, validation)]
    text = "\n".join(sources)
    checked = {f"{first or second}AuthCheckFailed" for first, second in MADE_UP.findall(text)}
    of_the_kubelet = re.findall(
        r'^[A-Z_]+: Final = "(\w+)"$', Path(kubeletcheck.__file__).read_text("utf-8"), re.MULTILINE
    )
    return set(GIVEN.findall(text)) | checked | set(FAILED.values()) | set(of_the_kubelet) | {"ValidationFailed"}


def test_every_reason_is_explained_and_none_is_made_up() -> None:
    assert written() == {each.reason for each in CAUSES}


def test_each_condition_has_the_reasons_of_its_own() -> None:
    pairs = {(each.condition, each.reason) for each in CAUSES}
    assert set(FAILED.items()) <= pairs
    assert len(pairs) == len(CAUSES)
    assert {reason for condition, reason in pairs if condition == VALIDATION_SUCCEEDED} >= {"TagValidationFailed"}
