from __future__ import annotations

from datetime import UTC, datetime, timedelta

from nodesmith.sim.aws.faults import Fault, FaultKind, Faults

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def test_a_rule_hits_the_calls_that_its_pattern_names() -> None:
    faults = Faults([Fault("ec2:Describe*", FaultKind.THROTTLE)])
    assert faults.draw("ec2:DescribeSubnets", "t")
    assert not faults.draw("ec2:CreateFleet", "t")


def test_how_often_depends_on_the_probability_and_which_on_the_token_alone() -> None:
    faults = Faults([Fault("*", FaultKind.ERROR, probability=0.2)])
    first = [bool(faults.draw("ec2:X", str(n))) for n in range(2000)]
    assert [bool(faults.draw("ec2:X", str(n))) for n in range(2000)] == first
    assert 300 < sum(first) < 500


def test_a_rule_may_happen_so_many_times() -> None:
    faults = Faults([Fault("*", FaultKind.ERROR, times=2)])
    assert [len(faults.draw("ec2:X", str(n))) for n in range(4)] == [1, 1, 0, 0]


def test_only_what_is_new_is_hidden() -> None:
    faults = Faults([Fault("ec2:DescribeInstances", FaultKind.EVENTUAL, window=timedelta(seconds=5))])
    assert faults.is_hidden("ec2:DescribeInstances", "t", NOW, NOW + timedelta(seconds=4))
    assert not faults.is_hidden("ec2:DescribeInstances", "t", NOW, NOW + timedelta(seconds=5))
    assert not faults.is_hidden("ec2:CreateTags", "t", NOW, NOW)
    assert faults.draw("ec2:DescribeInstances", "t") == []
