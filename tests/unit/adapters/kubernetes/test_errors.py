import pytest

from nodesmith.adapters.kubernetes.errors import Status, parse_status, translate
from nodesmith.ports import errors


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (400, "BadRequest", errors.Refused),
        (403, "Forbidden", errors.Refused),
        (404, "NotFound", errors.NotFound),
        (409, "AlreadyExists", errors.AlreadyExists),
        (409, "Conflict", errors.Conflict),
        (410, "Expired", errors.Expired),
        (422, "Invalid", errors.Refused),
        (429, "TooManyRequests", errors.Throttled),
        (500, "InternalError", errors.Unavailable),
        (503, "ServiceUnavailable", errors.Unavailable),
    ],
)
def test_each_code_is_a_next_step(code: int, reason: str, expected: type[Exception]) -> None:
    error = translate(code, Status(reason=reason, message="why"), about="get Node a")
    assert type(error) is expected
    assert str(error) == "get Node a: why"


def test_a_budget_that_blocks_an_eviction_is_told_from_throttling() -> None:
    blocked = Status(
        reason="TooManyRequests",
        message="Cannot evict pod as it would violate the pod's disruption budget.",
        details={"causes": [{"reason": "DisruptionBudget", "message": "the budget needs 2"}]},
    )
    error = translate(429, blocked, about="evict", headers={"Retry-After": "10"})
    assert isinstance(error, errors.EvictionBlocked)
    assert error.retry_after_s == 10.0


def test_two_budgets_are_a_refusal_although_the_server_calls_it_its_own_fault() -> None:
    status = Status(
        message="This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
    )
    assert isinstance(translate(500, status, about="evict"), errors.Refused)


def test_a_server_error_with_a_time_to_come_back_is_throttling() -> None:
    error = translate(504, Status(details={"retryAfterSeconds": 3}), about="x")
    assert isinstance(error, errors.Throttled)
    assert error.retry_after_s == 3.0


def test_an_answer_that_is_no_status_keeps_its_words() -> None:
    assert parse_status(b"upstream connect error").message == "upstream connect error"
    assert parse_status(b'{"kind":"Status","reason":"NotFound","message":"m","code":404}').reason == "NotFound"
