"""Objects of our own kinds are defaulted and judged as a real API server does with our CRDs."""

import random
from typing import Any

import pytest

from nodesmith.adapters.memory.crds import admit
from nodesmith.adapters.memory.server import ApiServer
from nodesmith.api.kinds import CONFIG_MAP, EC2_NODE_CLASS, NODE_CLAIM, NODE_POOL
from nodesmith.ports.errors import Refused
from nodesmith.sim.clock import VirtualClock

REFERENCE = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"}


@pytest.fixture
def server() -> ApiServer:
    return ApiServer(VirtualClock().now, random.Random(1), admission=admit)


def pool(**spec: Any) -> dict[str, Any]:
    template = {"spec": {"nodeClassRef": REFERENCE, "requirements": []}}
    return {"metadata": {"name": "default"}, "spec": {"template": template, **spec}}


def test_defaults_are_filled_in(server: ApiServer) -> None:
    made = server.create(NODE_POOL, pool())
    assert made["spec"]["disruption"]["consolidateAfter"] == "0s"
    assert made["spec"]["disruption"]["consolidationPolicy"] == "WhenEmptyOrUnderutilized"
    assert made["spec"]["template"]["spec"]["expireAfter"] == "720h"


def test_what_is_said_stays(server: ApiServer) -> None:
    made = server.create(NODE_POOL, pool(disruption={"consolidateAfter": "10m"}))
    assert made["spec"]["disruption"]["consolidateAfter"] == "10m"


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"weight": 0}, "weight"),
        ({"limits": {"cpu": "a lot"}}, "limits"),
        ({"disruption": {"consolidateAfter": "soon"}}, "consolidateAfter"),
        ({"template": {"spec": {"requirements": []}}}, "nodeClassRef"),
    ],
)
def test_what_the_crd_forbids_is_refused(server: ApiServer, spec: dict[str, Any], why: str) -> None:
    with pytest.raises(Refused, match=why):
        server.create(NODE_POOL, pool(**spec))


def test_a_patch_is_judged_by_its_result(server: ApiServer) -> None:
    server.create(NODE_POOL, pool())
    with pytest.raises(Refused, match="weight"):
        server.patch(NODE_POOL, "default", {"spec": {"weight": 101}})
    patch = {"spec": {"template": {"spec": {"nodeClassRef": {"kind": "Other"}}}}}
    with pytest.raises(Refused, match="immutable"):
        server.patch(NODE_POOL, "default", patch)
    assert server.patch(NODE_POOL, "default", {"spec": {"weight": 100}})["spec"]["weight"] == 100


def test_a_claim_does_not_change_its_mind(server: ApiServer) -> None:
    spec = {"nodeClassRef": REFERENCE, "requirements": [{"key": "a", "operator": "Exists"}]}
    server.create(NODE_CLAIM, {"metadata": {"name": "a"}, "spec": spec})
    with pytest.raises(Refused, match="spec is immutable"):
        server.patch(NODE_CLAIM, "a", {"spec": {"expireAfter": "1h"}})
    after = server.patch(NODE_CLAIM, "a", {"status": {"providerID": "aws:///z/i-1"}}, subresource="status")
    assert after["status"]["providerID"] == "aws:///z/i-1"


def test_a_class_without_images_is_refused(server: ApiServer) -> None:
    with pytest.raises(Refused, match="amiSelectorTerms"):
        server.create(EC2_NODE_CLASS, {"metadata": {"name": "default"}, "spec": {"role": "nodes"}})


def test_other_kinds_pass(server: ApiServer) -> None:
    assert server.create(CONFIG_MAP, {"metadata": {"name": "a"}, "data": {"b": "c"}})["data"] == {"b": "c"}
