"""The annotations of ours on NodePools, as lint sees them."""

import pytest

from nodesmith.api.bar import MAX_MOVES, MIN_SAVINGS
from nodesmith.api.documents import read_documents
from nodesmith.api.fault import Fault
from nodesmith.api.validation import validate


def linted(annotation: str) -> list[Fault]:
    text = f"""\
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {{name: default, annotations: {{{annotation}}}}}
spec:
  template:
    spec:
      nodeClassRef: {{group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}}
      requirements: []
"""
    (document,) = read_documents(text, "x.yaml").documents
    return validate(document, with_advice=False)


@pytest.mark.parametrize(
    "annotation", [f'{MIN_SAVINGS}: "0.002"', f'{MIN_SAVINGS}: "10%"', f'{MAX_MOVES}: "20"', "example.com/any: thing"]
)
def test_a_bar_that_can_be_read_is_no_fault(annotation: str) -> None:
    assert not linted(annotation)


@pytest.mark.parametrize(
    ("annotation", "message", "hint"),
    [
        (f"{MIN_SAVINGS}: a lot", '"a lot" cannot be read', "such as `0.002`"),
        (f'{MIN_SAVINGS}: "$5"', "no pod would move", "such as `10%`"),
        (f'{MAX_MOVES}: "many"', '"many" cannot be read', "such as `20`"),
        ('nodesmith.dev/min-saving: "5%"', "nobody reads this annotation", f"did you mean `{MIN_SAVINGS}`?"),
        ('nodesmith.dev/colour: "blue"', "nobody reads this annotation", f"{MIN_SAVINGS} and {MAX_MOVES}"),
    ],
)
def test_a_bar_that_cannot_be_read_is_a_fault_with_a_hint(annotation: str, message: str, hint: str) -> None:
    (fault,) = linted(annotation)
    assert fault.is_error
    assert message in fault.message
    assert hint in fault.hint
    assert fault.line == 3
