"""docs/reference pages of every field of the kinds that nodesmith defines, and of every setting."""

from collections.abc import Iterator

from nodesmith.api import served
from nodesmith.api.schema import Schema, Type, schema_of
from nodesmith.api.served import Served
from nodesmith.settings import SETTINGS, AWSFeatureGates, FeatureGates, flag_of, variable_of

PAGES = {
    "nodepool": (served.NODE_POOL,),
    "nodeclaim": (served.NODE_CLAIM,),
    "ec2nodeclass": (served.EC2_NODE_CLASS,),
    "nodeoverlay": (served.NODE_OVERLAY,),
    "capacitybuffer": (served.CAPACITY_BUFFER,),
}
NOTE = "Generated from the typed manifests; do not edit.\n"


def outputs() -> dict[str, str]:
    """The pages."""
    pages = {f"docs/reference/{name}.md": _page(each) for name, (each,) in PAGES.items()}
    return pages | {"docs/reference/settings.md": _settings()}


def _page(kind: Served) -> str:
    schema = schema_of(kind.struct)
    names = [f"`kubectl get {kind.kind.plural}`", *(f"`{name}`" for name in kind.short_names)]
    scope = "a namespace" if kind.kind.is_namespaced else "the whole cluster"
    head = [
        f"# {kind.kind.name}\n",
        f"{schema.about}\n",
        f"`{kind.kind.api_version}`, belongs to {scope}; {', '.join(names)}. {NOTE}",
    ]
    for part in ("spec", "status"):
        rows = list(_rows(schema.fields[part], part))
        head.append(f"## {part}\n\n| field | type | default | what it is |\n|---|---|---|---|\n" + "".join(rows))
        rules = list(_rules(schema.fields[part], part))
        if rules:
            head.append("Rules:\n\n" + "".join(f"- `{path}`: {message}\n" for path, message in rules))
    return "\n".join(head)


def _rows(schema: Schema, path: str) -> Iterator[str]:
    for name, each in schema.fields.items():
        here = f"{path}.{name}"
        inner = each.items if each.type in {Type.ARRAY, Type.MAP} and each.items is not None else each
        mark = " (required)" if name in schema.required and not each.has_default else ""
        default = f"`{_plain(each.limits.default)}`" if each.has_default else ""
        yield f"| `{here}`{mark} | {_type(each)} | {default} | {_cell(each.about)}{_limits(each)} |\n"
        suffix = {Type.ARRAY: "[]", Type.MAP: "{}"}.get(each.type, "")
        yield from _rows(inner, f"{here}{suffix}")


def _type(schema: Schema) -> str:
    inner = _type(schema.items) if schema.items is not None else ""
    return {
        Type.ARRAY: f"list of {inner}",
        Type.MAP: f"map to {inner}",
        Type.INT_OR_STRING: "quantity",
        Type.OBJECT: "object",
    }.get(schema.type, str(schema.type))


def _limits(schema: Schema) -> str:
    limits, told = schema.limits, []
    inner = schema.items.limits if schema.items is not None else limits
    if limits.enum or inner.enum:
        told.append("one of " + ", ".join(f"`{each}`" for each in (limits.enum or inner.enum)))
    if limits.minimum is not None or limits.maximum is not None:
        low = "" if limits.minimum is None else f"from {limits.minimum}"
        high = "" if limits.maximum is None else f"to {limits.maximum}"
        told.append(" ".join(filter(None, (low, high))))
    if limits.max_items is not None:
        told.append(f"at most {limits.max_items}")
    if limits.pattern and limits.hint:
        told.append(limits.hint)
    return f" ({_cell('; '.join(told))})" if told else ""


def _rules(schema: Schema, path: str) -> Iterator[tuple[str, str]]:
    for rule in schema.rules:
        yield path, rule.message
    for name, each in schema.fields.items():
        yield from _rules(each, f"{path}.{name}")
    if schema.items is not None:
        yield from _rules(schema.items, f"{path}[]")


def _settings() -> str:
    rows = []
    for name, each in SETTINGS.items():
        default = "required" if each.is_required else f"`{each.default_text}`" if each.default_text else ""
        about = _cell(each.about) + ("" if each.is_heeded else " Read, without effect.")
        rows.append(f"| `--{flag_of(name)}` | `{variable_of(name)}` | {default} | {about} |\n")
    gates = [_gates("feature-gates", FeatureGates()), _gates("aws-feature-gates", AWSFeatureGates())]
    return (
        f"# Settings\n\nFlags of the controller and their environment variables; a flag wins. Names and defaults are\n"
        f"Karpenter's. {NOTE}\n| flag | variable | default | what it is |\n|---|---|---|---|\n{''.join(rows)}\n"
        + "\n".join(gates)
    )


def _gates(flag: str, gates: FeatureGates | AWSFeatureGates) -> str:
    listed = [f"`{name}`: {str(getattr(gates, name)).lower()}" for name in gates.__slots__]
    return f"Gates of `--{flag}`, written in one word (`node_repair` is `NodeRepair`): {', '.join(listed)}.\n"


def _plain(value: object) -> str:
    return str(value).replace("'", '"')


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
