"""The box's WSGI application: decode a call, apply faults and permissions, let moto or us answer, record it.

Requests are answered one at a time. moto takes no lock of its own, Python would not run two at once anyway, and the
box stays repeatable: before each request moto's random source is seeded with the request itself, so that ids depend on
what was asked and how often, never on which of two threads came first.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import time
import traceback
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.moto_api._internal import mock_random
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from nodesmith.sim.aws import authorize, backends, controls, podidentity, pricing, wire, zonalshift
from nodesmith.sim.aws.faults import Fault, FaultKind
from nodesmith.sim.aws.journal import Authorization, Entry
from nodesmith.sim.aws.world import ACCOUNT, World

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from wsgiref.types import StartResponse, WSGIEnvironment

POLL_S: Final = 0.02
_ERROR_CODE: Final = re.compile(rb"<Code>([^<]+)</Code>")
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    503: "Unavailable",
}
_THROTTLE: Final = {"ec2": ("RequestLimitExceeded", 503), "iam": ("Throttling", 400), "sts": ("Throttling", 400)}
_OTHER_THROTTLE: Final = ("ThrottlingException", 400)
_DENIED: Final = {"ec2": "UnauthorizedOperation", "iam": "AccessDenied", "sts": "AccessDenied"}
_SPOT_ACTIONS: Final = frozenset({"CreateFleet", "RunInstances"})
_TOKEN_FIELDS: Final = frozenset({"ClientToken", "clientRequestToken"})


class _Dispatcher(DomainDispatcherApplication):
    """moto's, which walks its package's folders for each request to tell services from hosts: once is enough."""

    def __init__(self) -> None:
        super().__init__(create_backend_app)
        self._by_service: dict[str, Any] = {}

    def get_application(self, environ: dict[str, Any]) -> Any:
        """The Flask application of the request's service."""
        call: wire.Call | None = environ.get("nodesmith.call")
        if call is None:
            return super().get_application(environ)
        found = self._by_service.get(call.service)
        if found is None:
            found = self._by_service[call.service] = super().get_application(environ)
        return found


class Application:
    """The box as a WSGI application."""

    def __init__(self, world: World) -> None:
        self.world = world
        backends.install()
        self._moto = _Dispatcher()
        self._seen: Counter[str] = Counter()

    def reset(self) -> None:
        """Back to an empty account, with the same seed and clock."""
        with self.world.lock:
            BackendDict.reset()
            reset_model_data()
            self.world.forget()
            self._seen.clear()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one HTTP request."""
        request = _read(environ)
        is_control = request.path.startswith("/sim/")
        answer = self._controlled(request) if is_control else self._answered(request, environ)
        headers = [("Content-Type", answer.content_type), ("Content-Length", str(len(answer.body))), *answer.headers]
        start_response(f"{answer.status} {_REASONS.get(answer.status, 'Other')}", headers)
        return [answer.body]

    def _controlled(self, request: wire.Request) -> wire.Answer:
        with self.world.lock:
            self.world.settle()
            return controls.handle(self.world, request, self.reset)

    def _answered(self, request: wire.Request, environ: WSGIEnvironment) -> wire.Answer:
        if request.path == podidentity.PATH:
            with self.world.lock:
                return podidentity.answer(request, ACCOUNT)
        call = wire.decode(request)
        if call is None:
            with self.world.lock:
                return self._from_moto(environ)
        environ["nodesmith.call"] = call
        if call.name == "sqs:ReceiveMessage":
            return self._received(call, request, environ)
        return self._once(call, environ)

    def _received(self, call: wire.Call, request: wire.Request, environ: WSGIEnvironment) -> wire.Answer:
        """A long poll: ask again until something is there. Virtual time does not pass here, so it does not wait."""
        wait_s = 0 if self.world.is_virtual else float(call.params.get("WaitTimeSeconds") or 0)
        until = time.monotonic() + wait_s
        while True:
            environ["wsgi.input"] = io.BytesIO(request.body)
            answer = self._once(call, environ)
            if answer.status != 200 or b'"Messages"' in answer.body or time.monotonic() >= until:  # noqa: PLR2004 - OK
                return answer
            time.sleep(POLL_S)  # noqa: TID251 - a long poll waits in real time, in the server's own thread

    def _once(self, call: wire.Call, environ: WSGIEnvironment) -> wire.Answer:
        with self.world.lock:
            world = self.world
            world.settle()
            token = self._token(call)
            world.token, world.action = token, call.name
            mock_random.seed(token)
            needed = authorize.needed(call, ACCOUNT)
            faults = world.faults.draw(call.name, token)
            answer = _refusal(call, faults)
            world.is_spot_role_refused = False
            if answer is None and world.is_enforcing:
                answer = _denied(call, needed)
                if call.action in _SPOT_ACTIONS:
                    world.is_spot_role_refused = authorize.is_spot_role_refused(call, ACCOUNT)
            if answer is None:
                answer = self._acted(call, environ)
                answer = _lost(call, faults) or answer
            self._record(call, needed, answer)
        delay_s = sum(fault.delay.total_seconds() for fault in faults if fault.kind is FaultKind.SLOW)
        if delay_s:
            time.sleep(delay_s)  # noqa: TID251 - the fault is that the answer is late in real time
        return answer

    def _token(self, call: wire.Call) -> str:
        """What names this request among all of the run: the seed, what is asked, and for the how-manieth time."""
        params = {k: v for k, v in call.params.items() if k not in _TOKEN_FIELDS or not _UUID.fullmatch(str(v))}
        text = json.dumps([call.name, call.region, params], sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()[:24]
        self._seen[digest] += 1
        return f"{self.world.seed}:{digest}:{self._seen[digest]}"

    def _acted(self, call: wire.Call, environ: WSGIEnvironment) -> wire.Answer:
        if call.name == "pricing:GetProducts":
            return wire.json_answer(pricing.get_products(call.params, self.world.prices))
        if call.service == zonalshift.SERVICE:
            return zonalshift.answer(call, self.world)
        try:
            return self._from_moto(environ)
        except NotImplementedError:
            return _error(call, "InvalidAction", f"The action {call.action} is not valid for this web service.", 400)
        except Exception as error:  # noqa: BLE001 - a bug of moto or ours is a server's error to the client, with its place
            where = traceback.format_exc(limit=-3)
            return _error(call, "InternalError", f"{type(error).__name__}: {error} ({where})", 500)

    def _from_moto(self, environ: WSGIEnvironment) -> wire.Answer:
        status: list[Any] = []

        def note(line: str, headers: list[tuple[str, str]], _: object = None) -> Any:
            status[:] = [int(line.split(" ", 1)[0]), headers]
            return None

        body = b"".join(self._moto(environ, note))
        code, headers = status
        kinds = {name.lower(): value for name, value in headers}
        extra = tuple((n, v) for n, v in headers if n.lower().startswith("x-amz"))
        return wire.Answer(code, kinds.get("content-type", "text/plain"), body, extra)

    def _record(self, call: wire.Call, needed: tuple[Authorization, ...], answer: wire.Answer) -> None:
        journal = self.world.journal
        entry = Entry(
            number=journal.next_number(),
            at=self.world.now(),
            service=call.service,
            action=call.action,
            region=call.region,
            caller=authorize.caller(call, ACCOUNT),
            params=call.params,
            needed=needed,
            status=answer.status,
            error=error_code(answer),
        )
        journal.add(entry)


def error_code(answer: wire.Answer) -> str | None:
    """The AWS error code in an answer, or None where it is a success."""
    if answer.status < 400:  # noqa: PLR2004 - HTTP's border between success and failure
        return None
    found = _ERROR_CODE.search(answer.body)
    if found:
        return found[1].decode()
    named = {name.lower(): value for name, value in answer.headers}.get("x-amzn-errortype")
    if named:
        return named
    try:
        kind = json.loads(answer.body).get("__type", "Unknown")
    except (ValueError, AttributeError):
        return "Unknown"
    return str(kind).rpartition("#")[2]


def _read(environ: WSGIEnvironment) -> wire.Request:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    headers: Mapping[str, str] = {
        **{k[5:].replace("_", "-").lower(): str(v) for k, v in environ.items() if k.startswith("HTTP_")},
        "content-type": environ.get("CONTENT_TYPE", ""),
    }
    raw = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ.get("PATH_INFO", "/"))
    path = raw.partition("?")[0]
    return wire.Request(environ["REQUEST_METHOD"], path, environ.get("QUERY_STRING", ""), headers, body)


def _error(call: wire.Call, code: str, message: str, status: int) -> wire.Answer:
    return wire.error_answer(call.service, code, message, status, str(mock_random.uuid4()))


def _refusal(call: wire.Call, faults: list[Fault]) -> wire.Answer | None:
    for fault in faults:
        if fault.kind is FaultKind.THROTTLE:
            code, status = _THROTTLE.get(call.service, _OTHER_THROTTLE)
            return _error(call, fault.code or code, "Request limit exceeded.", fault.status or status)
        if fault.kind is FaultKind.ERROR:
            message = "An internal error has occurred"
            return _error(call, fault.code or "InternalError", message, fault.status or 500)
    return None


def _lost(call: wire.Call, faults: list[Fault]) -> wire.Answer | None:
    for fault in faults:
        if fault.kind is FaultKind.LOST_REPLY:
            message = "An internal error has occurred"
            return _error(call, fault.code or "InternalError", message, fault.status or 500)
    return None


def _denied(call: wire.Call, needed: tuple[Authorization, ...]) -> wire.Answer | None:
    reason = authorize.denial(call, needed, ACCOUNT)
    if reason is None:
        return None
    return _error(call, _DENIED.get(call.service, "AccessDeniedException"), reason, 403)
