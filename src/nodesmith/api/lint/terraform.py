"""Terraform around a cluster: misspelt tags, a queue that nothing reaches, a policy that lacks or allows too much.

A folder is read as Terraform reads it, as one module: what one file lacks another may have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from nodesmith.api.advice import TAG_KEYS
from nodesmith.api.fault import Edit, Fault, Severity
from nodesmith.api.likeness import slip_of
from nodesmith.api.lint.hcl import Block, HclError, Node, Text, object_keys, parse, texts_in
from nodesmith.api.lint.queuewiring import wiring

_ACTION: Final = re.compile(r"[a-z0-9-]+:[A-Z][A-Za-z*]*|[a-z0-9-]+:\*")
_OF_A_LAUNCH: Final = frozenset({"ec2:CreateFleet", "ec2:RunInstances"})
_TO_BE_SCOPED: Final = frozenset(
    {"ec2:CreateFleet", "ec2:CreateLaunchTemplate", "ec2:CreateTags", "ec2:DeleteLaunchTemplate", "ec2:RunInstances"}
)
_SUSPECTS: Final = ("karpenter", "interruption")
_SAFER: Final = "`nodesmith install` allows each only on what is tagged as the cluster's; deploy/terraform has the same"


@dataclass(frozen=True, slots=True)
class Needs:
    """What the controller needs: the actions that it calls, and the events (source, detail type) it must hear of."""

    actions: frozenset[str]
    events: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Source:
    """One file of a module, parsed."""

    file: str
    text: str
    tree: Node
    blocks: tuple[Block, ...]


def module_faults(texts: Mapping[str, str], needs: Needs, *, about: frozenset[str] | None = None) -> list[Fault]:
    """Every fault of a module's files, by name; only of those in `about` when it is given."""
    sources: list[Source] = []
    faults: list[Fault] = []
    for file, text in texts.items():
        try:
            tree, blocks = parse(text)
        except HclError as error:
            faults.append(Fault(file, error.line, "", str(error)))
            continue
        sources.append(Source(file, text, tree, tuple(blocks)))
    for source in sources:
        faults.extend(_misspelt_tags(source))
        faults.extend(_unreached_queues(source, sources, needs))
        faults.extend(_policies(source, sources, needs))
    return [fault for fault in faults if about is None or fault.file in about]


# --- tags ---


def _misspelt_tags(source: Source) -> Iterator[Fault]:
    for key in object_keys(source.tree):
        meant = slip_of(key.value, TAG_KEYS)
        if meant is not None:
            yield Fault(
                source.file,
                key.line,
                key.value,
                f"tag `{key.value}` is misspelt: nothing looks for it",
                f"did you mean `{meant}`?",
                edit=Edit(key.line, key.column, key.line, key.end_column, meant),
            )


# --- the queue ---


def _unreached_queues(source: Source, module: list[Source], needs: Needs) -> Iterator[Fault]:
    for block in source.blocks:
        if block.labels[:1] == ("aws_sqs_queue",) and _is_for_interruptions(block):
            yield from _unreached(block, source, module, needs)


def _is_for_interruptions(block: Block) -> bool:
    told = " ".join((*block.labels, *(text.value for text in block.texts("name")))).lower()
    return any(word in told for word in _SUSPECTS)


def _unreached(block: Block, source: Source, module: list[Source], needs: Needs) -> Iterator[Fault]:
    label = block.labels[-1]
    has_policy = block.attribute("policy") is not None or _uses(module, "aws_sqs_queue_policy", label)
    has_targets = _uses(module, "aws_cloudwatch_event_target", label)
    missing = [
        what
        for what, is_there in (("no queue policy", has_policy), ("no EventBridge rules", has_targets))
        if not is_there
    ]
    if missing:
        end = len(source.text.splitlines()) + 1
        lead = "\n" if source.text.endswith("\n") or not source.text else "\n\n"
        text = lead + wiring(label, needs.events, has_policy=has_policy, has_targets=has_targets)
        yield Fault(
            source.file,
            block.line,
            block.address,
            f"`{block.address}` never receives an interruption: it has {' and '.join(missing)}",
            "aws_sqs_queue_policy lets EventBridge send; aws_cloudwatch_event_rule and _target do",
            edit=Edit(end, 0, end, 0, text),
        )
    elif unheard := _unheard(module, needs):
        yield Fault(
            source.file,
            block.line,
            block.address,
            f"`{block.address}` does not hear of {', '.join(unheard)}",
            "add an aws_cloudwatch_event_rule and _target for each",
            Severity.WARNING,
        )


def _uses(module: list[Source], kind: str, label: str) -> bool:
    """Whether a resource of the kind names the queue."""
    return any(
        block.labels[:1] == (kind,) and any(label in word for word in block.words())
        for source in module
        for block in source.blocks
    )


def _unheard(module: list[Source], needs: Needs) -> list[str]:
    said = " ".join(text.value for source in module for text in texts_in(source.tree))
    said += " ".join(word for source in module for block in source.blocks for word in block.words())
    return [detail for _, detail in needs.events.values() if detail not in said]


# --- the policy ---


def _policies(source: Source, module: list[Source], needs: Needs) -> Iterator[Fault]:
    granted = _granted(module)
    missing = sorted(action for action in needs.actions if not any(fnmatchcase(action, each) for each in granted))
    for block in source.blocks:
        if block.labels[:1] != ("aws_iam_policy_document",):
            continue
        launches = _launches(block)
        if launches is None:
            continue
        if missing:
            yield _lacks(source, block, launches, missing)
        yield from _too_wide(source, block)


def _granted(module: list[Source]) -> set[str]:
    """Every action that is named somewhere, and `*` where a statement allows everything."""
    named = {text.value for each in module for text in texts_in(each.tree) if _ACTION.fullmatch(text.value)}
    statements = [each for source in module for block in source.blocks for each in block.blocks("statement")]
    is_everything = any(text.value == "*" for statement in statements for text in statement.texts("actions"))
    return named | ({"*"} if is_everything else set())


def _launches(block: Block) -> Text | None:
    """Where a document allows launches: that is the controller's policy."""
    return next(
        (
            text
            for statement in block.blocks("statement")
            for text in statement.texts("actions")
            if text.value in _OF_A_LAUNCH
        ),
        None,
    )


def _lacks(source: Source, block: Block, launches: Text, missing: list[str]) -> Fault:
    line = source.text.splitlines()[launches.line - 1]
    indent = line[: len(line) - len(line.lstrip())]
    between = f",\n{indent}" if not line[: launches.column - 1].strip() else ", "
    added = between.join(f'"{action}"' for action in missing) + between
    column = launches.column - 1
    return Fault(
        source.file,
        block.line,
        block.address,
        f"`{block.address}` does not allow what the controller calls: {', '.join(missing)}",
        "add them to the actions of a statement",
        edit=Edit(launches.line, column, launches.line, column, added),
    )


def _too_wide(source: Source, block: Block) -> Iterator[Fault]:
    for statement in block.blocks("statement"):
        actions = statement.texts("actions")
        wide = sorted({text.value for text in actions} & _TO_BE_SCOPED)
        is_anything = [text.value for text in statement.texts("resources")] == ["*"]
        if wide and is_anything and not statement.blocks("condition"):
            yield Fault(
                source.file,
                actions[0].line,
                block.address,
                f"`{block.address}` allows {', '.join(wide)} on everything, with no condition",
                _SAFER,
                Severity.WARNING,
            )
