"""AWS's wire formats, driven by botocore's models: requests into calls, results and errors into bodies.

moto has both directions too, but walks every attribute of every object through Python reflection, which costs seconds
for the large catalogues and linearly in a fleet's overrides. This half is a tenth of that.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

import botocore.loaders
import botocore.model

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCOPE: Final = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
_EC2_NAMESPACE: Final = "http://ec2.amazonaws.com/doc/2016-11-15/"
_SERVICE_OF_ACTION: Final = {"AssumeRoleWithWebIdentity": "sts", "AssumeRoleWithSAML": "sts"}
_SIGNING_NAMES: Final = {"eventbridge": "events", "monitoring": "cloudwatch"}


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request, read once."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """One AWS call with its parameters under botocore's names."""

    service: str
    region: str
    action: str
    access_key: str | None
    session_token: str | None
    params: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The action as IAM writes it, `ec2:CreateFleet`."""
        return f"{self.service}:{self.action}"


@cache
def model(service: str) -> botocore.model.ServiceModel | None:
    """Botocore's description of a service, or None where it has none."""
    loader = botocore.loaders.create_loader()
    if service not in loader.list_available_services("service-2"):
        return None
    return botocore.model.ServiceModel(loader.load_service_model(service, "service-2"), service)


def decode(request: Request) -> Call | None:
    """The AWS call in a request, or None where it is none that we know."""
    scope = _SCOPE.search(request.headers.get("authorization", ""))
    form = _form(request)
    action = dict(form).get("Action")
    if scope:
        access_key, region, service = scope.groups()
        service = _SIGNING_NAMES.get(service, service)
    else:
        access_key, region, service = None, "us-east-1", _SERVICE_OF_ACTION.get(action or "")
    description = model(service) if service else None
    if description is None or service is None:
        return None
    found = _operation(description, request, action)
    if found is None:
        return None
    operation, uri = found
    params = _parameters(operation, description.metadata["protocol"], request, form, uri)
    return Call(service, region, operation.name, access_key, request.headers.get("x-amz-security-token"), params)


def _form(request: Request) -> list[tuple[str, str]]:
    kind = request.headers.get("content-type", "")
    text = request.body.decode() if kind.startswith("application/x-www-form-urlencoded") else request.query
    return parse_qsl(text, keep_blank_values=True)


def _operation(
    description: botocore.model.ServiceModel, request: Request, action: str | None
) -> tuple[botocore.model.OperationModel, dict[str, str]] | None:
    target = request.headers.get("x-amz-target")
    name = target.rpartition(".")[2] if target else action
    uri: dict[str, str] = {}
    if name is None:
        found = _route(description, request)
        if found is None:
            return None
        name, uri = found
    try:
        return description.operation_model(name), uri
    except botocore.model.OperationNotFoundError:
        return None


@cache
def _routes(service: str) -> list[tuple[str, re.Pattern[str], str]]:
    description = model(service)
    if description is None:
        return []
    routes = []
    for name in description.operation_names:
        http = description.operation_model(name).http
        template = http["requestUri"].partition("?")[0]
        pattern = re.sub(
            r"\\\{(\w+)(\\\+)?\\\}", lambda m: f"(?P<{m[1]}>{'.+' if m[2] else '[^/]+'})", re.escape(template)
        )
        routes.append((http["method"], re.compile(pattern), name))
    return sorted(routes, key=lambda route: route[1].pattern.count("(?P<"))


def _route(description: botocore.model.ServiceModel, request: Request) -> tuple[str, dict[str, str]] | None:
    for method, pattern, name in _routes(description.service_name):
        found = pattern.fullmatch(request.path) if method == request.method else None
        if found:
            return name, {key: unquote(value) for key, value in found.groupdict().items()}
    return None


def _parameters(
    operation: botocore.model.OperationModel,
    protocol: str,
    request: Request,
    form: list[tuple[str, str]],
    uri: dict[str, str],
) -> dict[str, Any]:
    shape = operation.input_shape
    if shape is None:
        return {}
    if protocol in {"ec2", "query"}:
        value = _shaped(shape, _nested(form), protocol)
        return value if isinstance(value, dict) else {}
    params = json.loads(request.body) if request.body.strip() else {}
    if protocol == "rest-json":
        names = {m.serialization.get("name", n): n for n, m in shape.members.items() if "location" in m.serialization}
        params |= {names[wire]: value for wire, value in (*uri.items(), *form) if wire in names}
    return params if isinstance(params, dict) else {}


def _nested(form: list[tuple[str, str]]) -> dict[str, Any]:
    """`A.1.B=c` as `{"A": {"1": {"B": "c"}}}`."""
    root: dict[str, Any] = {}
    for key, value in form:
        *parents, leaf = key.split(".")
        node = root
        for part in parents:
            step = node.get(part)
            if not isinstance(step, dict):
                step = node[part] = {}
            node = step
        node[leaf] = value
    return root


def _input_name(name: str, shape: botocore.model.Shape, protocol: str) -> str:
    """The name of a member on the wire; EC2 capitalises, and has names of its own."""
    serialization = shape.serialization
    if protocol == "ec2":
        if "queryName" in serialization:
            return str(serialization["queryName"])
        wire = str(serialization.get("name", name))
        return wire[0].upper() + wire[1:]
    if isinstance(shape, botocore.model.ListShape) and serialization.get("flattened"):
        return str(shape.member.serialization.get("name") or serialization.get("name", name))
    return str(serialization.get("name", name))


_INPUT_MEMBERS: Final[dict[int, tuple[botocore.model.Shape, dict[str, tuple[str, Any]]]]] = {}


def _input_members(shape: Any, protocol: str) -> dict[str, tuple[str, Any]]:
    found = _INPUT_MEMBERS.get(id(shape))
    if found is None:
        members = {_input_name(n, m, protocol): (n, m) for n, m in shape.members.items()}
        found = _INPUT_MEMBERS[id(shape)] = (shape, members)
    return found[1]


def _shaped(shape: Any, node: Any, protocol: str) -> Any:
    match shape.type_name:
        case "structure":
            if not isinstance(node, dict):
                return {}
            members = _input_members(shape, protocol)
            return {
                members[wire][0]: _shaped(members[wire][1], value, protocol)
                for wire, value in node.items()
                if wire in members
            }
        case "list":
            if not isinstance(node, dict):
                return []
            if protocol == "query" and not shape.serialization.get("flattened"):
                node = node.get(shape.member.serialization.get("name", "member"), {})
            entries = sorted(((int(k), v) for k, v in node.items() if k.isdigit()), key=lambda entry: entry[0])
            return [_shaped(shape.member, value, protocol) for _, value in entries]
        case _:
            return _scalar(shape.type_name, node)


def _scalar(kind: str, text: Any) -> Any:
    match kind:
        case "integer" | "long":
            return int(text)
        case "float" | "double":
            return float(text)
        case "boolean":
            return str(text).lower() == "true"
        case "blob":
            return base64.b64decode(text)
        case _:
            return text


# --- answers --------------------------------------------------------------------------------------------------------

_OUTPUT_MEMBERS: Final[dict[int, tuple[Any, dict[str, tuple[str, Any]]]]] = {}


def ec2_envelope(action: str, members: str, request_id: str) -> str:
    """An EC2 answer whose members are XML already."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{action}Response xmlns="{_EC2_NAMESPACE}">'
        f"<requestId>{request_id}</requestId>{members}</{action}Response>"
    )


def ec2_members(action: str, result: Mapping[str, Any]) -> str:
    """The members of an EC2 answer as XML, without the envelope."""
    out: list[str] = []
    shape = output_shape("ec2", action)
    if shape is not None:
        _write_members(shape, result, out)
    return "".join(out)


def ec2_item(shape: Any, value: Any) -> str:
    """One list item as XML."""
    out: list[str] = []
    _write("item", shape, value, out)
    return "".join(out)


def output_shape(service: str, action: str) -> Any:
    """The shape of an action's answer, or None where it answers nothing."""
    description = model(service)
    if description is None:
        raise LookupError(service)
    return description.operation_model(action).output_shape


def _output_members(shape: Any) -> dict[str, tuple[str, Any]]:
    found = _OUTPUT_MEMBERS.get(id(shape))
    if found is None:
        members = {name: (member.serialization.get("name", name), member) for name, member in shape.members.items()}
        found = _OUTPUT_MEMBERS[id(shape)] = (shape, members)
    return found[1]


def _write_members(shape: Any, value: Mapping[str, Any], out: list[str]) -> None:
    members = _output_members(shape)
    for name, entry in value.items():
        member = members.get(name)
        if member is not None and entry is not None:
            _write(member[0], member[1], entry, out)


def _write(tag: str, shape: Any, value: Any, out: list[str]) -> None:
    kind = shape.type_name
    if kind == "structure":
        out.append(f"<{tag}>")
        _write_members(shape, value, out)
        out.append(f"</{tag}>")
    elif kind == "list":
        out.append(f"<{tag}>")
        for entry in value:
            _write("item", shape.member, entry, out)
        out.append(f"</{tag}>")
    else:
        out.append(f"<{tag}>{_text(value)}</{tag}>")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return timestamp(value)
    return escape(value) if isinstance(value, str) else str(value)


def timestamp(moment: datetime) -> str:
    """A time as AWS writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


def error_answer(service: str, code: str, message: str, status: int, request_id: str) -> Answer:
    """An error in the service's own format."""
    description = model(service)
    protocol = description.metadata["protocol"] if description else "json"
    if protocol == "ec2":
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>{escape(code)}</Code>'
            f"<Message>{escape(message)}</Message></Error></Errors><RequestID>{request_id}</RequestID></Response>"
        )
        return Answer(status, "text/xml;charset=UTF-8", body.encode())
    if protocol == "query":
        body = (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{escape(code)}</Code>"
            f"<Message>{escape(message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        return Answer(status, "text/xml", body.encode())
    document = json.dumps({"__type": code, "message": message})
    return Answer(status, "application/x-amz-json-1.1", document.encode(), (("x-amzn-errortype", code),))


def json_answer(result: Mapping[str, Any]) -> Answer:
    """A result of a JSON service."""
    return Answer(200, "application/x-amz-json-1.1", json.dumps(result).encode())
