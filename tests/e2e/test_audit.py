"""What the controller asked of the API server while it was tried: nothing that its role does not allow."""

import json
from pathlib import Path

from tests.e2e.audit import Asked, entries, refused, verbs


def line(verb: str, user: str, code: int = 200, decision: str = "allow", **reference: str) -> str:
    entry = {"verb": verb, "user": {"username": user}, "objectRef": reference, "responseStatus": {"code": code}}
    entry["annotations"] = {"authorization.k8s.io/decision": decision}
    return json.dumps(entry) + "\n"


def test_a_log_is_read_as_rbac_speaks(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text(
        line("list", "us", resource="pods", apiVersion="v1")
        + line("patch", "us", resource="nodeclaims", subresource="status", apiGroup="karpenter.sh", name="a")
        + line("patch", "us", resource="nodeclaims", subresource="status", apiGroup="karpenter.sh", name="b")
        + line("create", "us", 403, "forbid", resource="pods", subresource="eviction")
        + line("create", "us", 403, resource="events")
        + line("delete", "them", resource="nodes")
        + json.dumps({"verb": "get", "user": {"username": "us"}, "requestURI": "/readyz"})
        + "\n"
        + line("get", "us", resource="secrets").rstrip("\n")
    )
    assert verbs(log, user="us") == {
        Asked("list", "", "pods"),
        Asked("patch", "karpenter.sh", "nodeclaims", "status"),
        Asked("create", "", "pods", "eviction"),
        Asked("create", "", "events"),
    }
    assert refused(log) == {Asked("create", "", "pods", "eviction")}
    assert len(list(entries(log))) == 6
