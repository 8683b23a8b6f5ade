import json

from nodesmith.adapters.kubernetes import requests
from nodesmith.adapters.kubernetes.requests import PatchType
from nodesmith.api.kinds import DEPLOYMENT, NODE, NODE_CLAIM, POD


def test_paths_of_core_and_grouped_kinds() -> None:
    assert requests.get(NODE, "a").path == "/api/v1/nodes/a"
    assert requests.get(POD, "p", namespace="web").path == "/api/v1/namespaces/web/pods/p"
    assert requests.get(DEPLOYMENT, "d", namespace="web").path == "/apis/apps/v1/namespaces/web/deployments/d"
    assert requests.list_page(POD).path == "/api/v1/pods"


def test_a_name_cannot_leave_its_place_in_the_path() -> None:
    assert requests.get(NODE, "../secrets?x=1").path == "/api/v1/nodes/..%2Fsecrets%3Fx%3D1"


def test_pages_carry_the_limit_and_the_continuation() -> None:
    assert requests.list_page(POD).query == {"limit": "500"}
    assert requests.list_page(POD, continue_token="more").query == {"limit": "500", "continue": "more"}
    assert requests.list_page(POD, limit=0).query == {}


def test_a_watch_asks_for_bookmarks_and_an_end() -> None:
    query = requests.watch(NODE, since="7", timeout_s=300).query
    assert query == {"watch": "true", "resourceVersion": "7", "allowWatchBookmarks": "true", "timeoutSeconds": "300"}


def test_creating_says_what_kind_and_where() -> None:
    request = requests.create(POD, {"metadata": {"namespace": "web", "generateName": "p-"}})
    assert (request.method, request.path) == ("POST", "/api/v1/namespaces/web/pods")
    assert json.loads(request.body)["kind"] == "Pod"
    assert request.query == {"fieldManager": "nodesmith"}
    assert requests.create(POD, {}, dry_run=True).query["dryRun"] == "All"


def test_patches_by_type() -> None:
    merge = requests.patch(NODE_CLAIM, "c", {"status": {}}, subresource="status")
    assert merge.path == "/apis/karpenter.sh/v1/nodeclaims/c/status"
    assert merge.content_type == "application/merge-patch+json"
    assert "force" not in merge.query
    apply = requests.patch(NODE_CLAIM, "c", {}, patch_type=PatchType.APPLY, force=True)
    assert apply.content_type == "application/apply-patch+yaml"
    assert apply.query["force"] == "true"


def test_a_version_is_added_to_the_patch_and_not_to_the_callers_mapping() -> None:
    patch = {"metadata": {"labels": {"a": "b"}}}
    assert requests.at_version(patch, "9") == {"metadata": {"labels": {"a": "b"}, "resourceVersion": "9"}}
    assert patch == {"metadata": {"labels": {"a": "b"}}}
    assert requests.at_version(patch, "") is patch


def test_deletion_states_preconditions_and_grace_only_when_given() -> None:
    bare = json.loads(requests.delete(POD, "p", namespace="web").body)
    assert "preconditions" not in bare
    assert "gracePeriodSeconds" not in bare
    full = json.loads(requests.delete(POD, "p", namespace="web", uid="u", grace_period_s=0).body)
    assert full["preconditions"] == {"uid": "u"}
    assert full["gracePeriodSeconds"] == 0


def test_eviction_is_for_one_very_pod() -> None:
    request = requests.evict("p", namespace="web", uid="u")
    assert request.path == "/api/v1/namespaces/web/pods/p/eviction"
    assert json.loads(request.body)["deleteOptions"] == {"preconditions": {"uid": "u"}}
