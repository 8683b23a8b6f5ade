"""Whether interruptions reach the controller: rules, queue, its policy, and the controller's settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from nodesmith.api.likeness import did_you_mean
from nodesmith.install.doctor.awsfacts import Queue, Rule
from nodesmith.install.doctor.check import Check, Group, Verdict, advised, failed, judged, not_applicable, ok, warning
from nodesmith.install.doctor.facts import Facts
from nodesmith.install.doctor.seen import NotSeenError, need
from nodesmith.install.doctor.trust import admits, texts
from nodesmith.install.policies import RULES

_EVENTS: Final = "events.amazonaws.com"
_LONGEST: Final = timedelta(minutes=15)
_SHORTEST: Final = timedelta(seconds=120)
_BACKLOG: Final = 50
_VITAL: Final = frozenset({"SpotInterruption", "ScheduledChange", "StateChange"})


def queue_name(facts: Facts) -> str:
    """The queue that the controller is told of; where there is no controller, the one that would be made."""
    controller = facts.controller
    return facts.names.queue if controller is None else controller.environment.get("INTERRUPTION_QUEUE", "")


def _queue(facts: Facts) -> Queue:
    if not queue_name(facts):
        raise NotSeenError("the controller is told of no queue")
    queue = need(facts.events.queue)
    if queue is None:
        raise NotSeenError(f"there is no queue {queue_name(facts)}")
    return queue


def _told(facts: Facts) -> Verdict:
    name = facts.a_controller.environment.get("INTERRUPTION_QUEUE", "")
    return ok(name) if name else warning("settings.interruptionQueue is empty")


def _exists(facts: Facts) -> Verdict:
    name = queue_name(facts)
    if not name:
        return not_applicable("the controller is told of no queue")
    if need(facts.events.queue) is not None:
        return ok(name)
    return failed(f"there is no queue {name} in {facts.region}", cure=did_you_mean(name, need(facts.events.queues)))


def _admits_events(facts: Facts) -> Verdict:
    queue = _queue(facts)
    if queue.policy is None:
        return failed(f"{queue.name} has no policy: nobody may send to it")
    context = {"aws:SecureTransport": "true", "aws:SourceAccount": need(facts.account.caller).account}
    if admits(queue.policy, "Service", _EVENTS, "sqs:SendMessage", resource=queue.arn, context=context):
        return ok(f"{_EVENTS} may send")
    return failed(f"the policy of {queue.name} does not let {_EVENTS} send to it")


def matches(pattern: Mapping[str, Any], source: str, detail_type: str) -> bool:
    """Whether a rule's pattern takes events of the kind, as far as source and detail type decide."""
    wanted = {"source": source, "detail-type": detail_type}
    stated = {name: texts(pattern[name]) for name in wanted if pattern.get(name)}
    return bool(stated) and all(wanted[name] in values for name, values in stated.items())


def _rules(facts: Facts, part: str) -> list[Rule]:
    return [each for each in need(facts.events.rules) if matches(each.pattern, *RULES[part])]


def _have_rules(facts: Facts) -> Verdict:
    _queue(facts)
    absent = [part for part in RULES if not _rules(facts, part)]
    told = [f"no rule takes {RULES[part][1]} ({RULES[part][0]})" for part in absent]
    if _VITAL & set(absent):
        return failed(*told)
    return advised(told, otherwise="every kind of event has a rule")


def _rules_on(facts: Facts) -> Verdict:
    _queue(facts)
    off = [
        f"rule {rules[0].name} is disabled"
        for part in RULES
        if (rules := _rules(facts, part)) and not any(each.is_enabled for each in rules)
    ]
    return judged(off, otherwise="the rules are enabled")


def _targets(facts: Facts) -> Verdict:
    _queue(facts)
    bare = sorted({each.name for part in RULES for each in _rules(facts, part) if not each.targets})
    return judged((f"rule {name} has no target" for name in bare), otherwise="every rule has a target")


def _to_queue(facts: Facts) -> Verdict:
    queue = _queue(facts)
    return judged(_elsewhere(facts, queue), otherwise=f"the rules send to {queue.name}")


def _elsewhere(facts: Facts, queue: Queue) -> Iterator[str]:
    for part in RULES:
        rules = [each for each in _rules(facts, part) if each.targets]
        if rules and not any(queue.arn in each.targets for each in rules):
            names = ", ".join(target.rpartition(":")[2] for each in rules for target in each.targets)
            yield f"{RULES[part][1]} is sent to {names}, not to {queue.name}"


def _retention(facts: Facts) -> Verdict:
    kept = _queue(facts).retention
    told = f"messages are kept for {kept.total_seconds():.0f} s"
    if kept > _LONGEST:
        return warning(f"{told}: a controller that was away hears of interruptions long past")
    return warning(f"{told}: some are lost while the controller is replaced") if kept < _SHORTEST else ok(told)


def _backlog(facts: Facts) -> Verdict:
    queue = _queue(facts)
    if queue.waiting >= _BACKLOG:
        return warning(f"{queue.waiting} messages wait in {queue.name}")
    return ok(f"{queue.waiting} messages wait")


def _key(facts: Facts) -> Verdict:
    key = _queue(facts).key
    if not key:
        return ok("it is not encrypted by a key of KMS")
    if key.endswith("alias/aws/sqs"):
        return failed(f"it is encrypted by alias/aws/sqs, which {_EVENTS} may not use: every event is dropped")
    return warning(f"it is encrypted by {key}: that key's policy has to let {_EVENTS} use it")


QUEUE: Final = Group(
    "Interruptions",
    (
        Check(
            "ND401",
            "The controller is told of a queue",
            "Without settings.interruptionQueue a spot node is lost without warning: its pods die with it.",
            "Set settings.interruptionQueue in the Helm values to the queue's name.",
            _told,
        ),
        Check(
            "ND402",
            "The queue is there",
            "The name is misspelt, is a URL or an ARN instead of a name, or the queue is in another region.",
            "Run `nodesmith install`, or correct settings.interruptionQueue.",
            _exists,
        ),
        Check(
            "ND403",
            "EventBridge may send to the queue",
            "A queue without a policy for events.amazonaws.com never receives anything, and nothing says so.",
            "Run `nodesmith install`, or allow events.amazonaws.com sqs:SendMessage in the queue's policy.",
            _admits_events,
        ),
        Check(
            "ND404",
            "There is a rule for every kind of event",
            "A queue alone hears nothing: EventBridge rules send it interruptions, health events and state changes.",
            "Run `nodesmith install`, which makes the rules.",
            _have_rules,
        ),
        Check(
            "ND405",
            "The rules are enabled",
            "A rule that was turned off sends nothing.",
            "`aws events enable-rule --name RULE`.",
            _rules_on,
        ),
        Check(
            "ND406",
            "The rules have targets",
            "A rule without a target sends nothing.",
            "`aws events put-targets --rule RULE --targets Id=queue,Arn=QUEUE_ARN`, or run `nodesmith install`.",
            _targets,
        ),
        Check(
            "ND407",
            "The rules send to the controller's queue",
            "The target is another cluster's queue, or an old one of this cluster.",
            "Add the queue as a target of the rules, or set settings.interruptionQueue to the one that they send to.",
            _to_queue,
        ),
        Check(
            "ND408",
            "The queue keeps messages for minutes",
            "A warning two minutes ahead is worth nothing after five.",
            "Set MessageRetentionPeriod to 300.",
            _retention,
        ),
        Check(
            "ND409",
            "The controller reads the queue",
            "Messages pile up when the controller does not run, is told of another queue, or may not read this one.",
            "Look at ND121, ND401 and the controller's log.",
            _backlog,
        ),
        Check(
            "ND410",
            "The queue's encryption lets events in",
            "EventBridge has to use the queue's key, and may not use alias/aws/sqs at all.",
            "Use SQS-managed encryption (SqsManagedSseEnabled), or let events.amazonaws.com use the key.",
            _key,
        ),
    ),
)
