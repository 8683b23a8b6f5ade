import json

from nodesmith.install.documents import has_ours, is_same, says, with_ours, without_ours
from nodesmith.install.names import Names
from nodesmith.install.policies import controller_trust, document, queue_policy

NAMES = Names("shop", "123456789012", "ap-northeast-2", "https://oidc.example/id/A1")
OTHER = {"Sid": "Theirs", "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::1:root"}}


def test_documents_are_the_same_however_they_are_written() -> None:
    one = document({"Effect": "Allow", "Action": ["a:B", "a:A"], "Resource": "*", "Sid": ""})
    two = {"Version": "2012-10-17", "Statement": {"Action": ["a:A", "a:B"], "Resource": ["*"], "Effect": "Allow"}}
    assert is_same(one, two)
    assert is_same(json.dumps(one), two)
    denied = document({"Effect": "Deny", "Action": "a:*", "Resource": "*", "Condition": {"Bool": {"a:b": "false"}}})
    spelt = document({"Effect": "Deny", "Action": "a:*", "Resource": "*", "Condition": {"Bool": {"a:b": [False]}}})
    assert is_same(denied, spelt)
    assert not is_same(one, denied)
    assert not is_same(None, one)


def test_ours_goes_in_beside_theirs_and_out_again() -> None:
    theirs, ours = document(OTHER), controller_trust(NAMES)
    assert not says(theirs, ours)
    both = with_ours(theirs, ours)
    assert says(both, ours)
    assert has_ours(both)
    assert both["Statement"][0] == OTHER
    assert with_ours(both, ours) == both
    assert without_ours(both) == theirs


def test_where_nothing_was_nothing_is_left() -> None:
    both = with_ours(None, queue_policy(NAMES))
    assert len(both["Statement"]) == 2
    assert len({each["Sid"] for each in both["Statement"]}) == 2
    assert all(each["Sid"].startswith("Nodesmith") for each in both["Statement"])
    assert without_ours(both) is None
    assert not has_ours("")
