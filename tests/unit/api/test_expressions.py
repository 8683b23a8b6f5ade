"""Expressions: what they come to, and what is said of those that are none."""

from __future__ import annotations

import pytest

from nodesmith.api.expressions import EvaluationError, ExpressionError, compiled

FACTS = {
    "instance_type": "m5.large",
    "vcpus": 2,
    "memory_mib": 8192,
    "default_enis": 3,
    "ips_per_eni": 10,
    "max_pods": 29,
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("110", 110),
        ("0x10", 16),
        ("1e3", 1000),
        ("vcpus * 8", 16),
        ("2-1", 1),
        ("10 - 4 - 3", 3),
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("7 / 2 * 2", 6),
        ("-vcpus", -2),
        # Towards zero, with the sign of the dividend: not as Python divides.
        ("-5 / 2", -2),
        ("5 / -2", -2),
        ("-5 % 3", -2),
        ("7.0 / 2.0", 3),
        ("0.0 - 2.9", -2),
        ("int(2.9)", 2),
        ("int('5')", 5),
        ("double(vcpus) * 2.5", 5),
        ("max(60, vcpus * 30)", 60),
        ("min(250, ((default_enis - 1) * (ips_per_eni - 1)) * 16 + 2)", 250),
        ("max(1, 2.5)", 2),
        ("min(vcpus, 1) * 60 + min(max(vcpus - 1, 0), 1) * 10", 70),
        ("memory_mib / 64", 128),
        ("size(instance_type)", 8),
        ("vcpus > 1 ? 1 : 2", 1),
        ("vcpus >= 2 && vcpus <= 2 || false ? 1 : 2", 1),
        ("vcpus < 2 ? 1 : vcpus < 3 ? 2 : 3", 2),
        ("!(vcpus == 2) ? 1 : 2", 2),
        ("1.5 > 1 ? 1 : 2", 1),
        ("vcpus != 2 ? 1 : 2", 2),
        ("vcpus in [1, 2] ? 1 : 2", 1),
        ("instance_type == 'm5.' + \"large\" ? 1 : 2", 1),
        ("instance_type.startsWith('m5') ? 1 : 2", 1),
        ("instance_type.endsWith('metal') ? 1 : 2", 2),
        ("instance_type.contains('.lar') ? 1 : 2", 1),
        ("instance_type.matches('^[cm]5[.]') ? 1 : 2", 1),
        # A side that decides does so whatever becomes of the other.
        ("1 / (vcpus - 2) > 0 || true ? 1 : 2", 1),
        ("false && 1 / 0 > 1 ? 1 : 2", 2),
        ("vcpus == 2 ? 3 : 1 / 0", 3),
    ],
)
def test_an_expression_comes_to(text: str, value: int) -> None:
    assert compiled(text).number(FACTS) == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "cannot be read"),
        ("min(110,", "cannot be read at column 8"),
        ("vcpus *", "cannot be read"),
        ("100MiB", "cannot be read at column 4"),
        ("true ? false ? 1 : 2 : 3", "cannot be read"),
        ("undefined_var + 1", "`undefined_var` is not known; there are instance_type, vcpus"),
        ("instance_type", "makes a string, not a number"),
        ("vcpus > 1", "makes a bool, not a number"),
        ("[1]", "makes a list, not a number"),
        ("vcpus * 2.5", "there is no int * double: write double"),
        ("vcpus + 'a'", "there is no int + string"),
        ("5.0 % 2.0", "there is no double % double"),
        ("vcpus ? 1 : 2", "there is no int ? int : int"),
        ("true ? 1 : 2.0", "there is no bool ? int : double"),
        ("vcpus && true ? 1 : 2", "there is no int && bool"),
        ("vcpus == 'a' ? 1 : 2", "there is no int == string"),
        ("true < false ? 1 : 2", "there is no bool < bool"),
        ("1 in 2 ? 1 : 2", "there is no int in int"),
        ("!vcpus ? 1 : 2", "there is no !int"),
        ("-instance_type", "there is no -string"),
        ("max(1, 2, 3)", "there is no max(int, int, int)"),
        ("max('a', 1)", "there is no max(string, int)"),
        ("exec('a')", "there is no exec(string)"),
        ("instance_type.size()", "there is no string.size()"),
        ("vcpus.matches('a') ? 1 : 2", "there is no int.matches(string)"),
        ("9223372036854775808", "is too large"),
        ("-" * 2000 + "1", "is nested too deeply"),
    ],
)
def test_a_text_that_is_none_is_told_what_is_wrong(text: str, told: str) -> None:
    with pytest.raises(ExpressionError) as error:
        compiled(text)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1 / (vcpus - 2)", "division by zero"),
        ("1 % 0", "division by zero"),
        ("9223372036854775807 + vcpus", "out of range"),
        ("-9223372036854775807 - vcpus", "out of range"),
        ("9223372036854775807 * vcpus", "out of range"),
        ("1.0 / 0.0", "the result is inf"),
        ("-1.0 / 0.0", "the result is -inf"),
        ("0.0 / 0.0", "the result is nan"),
        ("1e30", "out of range"),
        ("int(1e30)", "out of range"),
        ("int(instance_type)", "is not a number"),
        ("instance_type.matches('(') ? 1 : 2", "is no pattern"),
        ("1 / 0 > 0 && true ? 1 : 2", "division by zero"),
    ],
)
def test_an_expression_without_a_value_is_told_why(text: str, told: str) -> None:
    with pytest.raises(EvaluationError, match=told):
        compiled(text).number(FACTS)
