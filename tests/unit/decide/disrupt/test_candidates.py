from datetime import timedelta

import pytest

from nodesmith.decide.disrupt.candidates import Question, stays
from nodesmith.decide.disrupt.policy import Policy
from nodesmith.model import labels
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.pod import Pod
from nodesmith.model.selector import EVERYTHING
from nodesmith.model.taints import Toleration
from nodesmith.model.workload import PodDisruptionBudget
from nodesmith.plan.stay import Stay, StayCode, Told
from nodesmith.state.snapshot import StateNode
from tests.unit.decide.disrupt.build import NOW, as_candidate, node, pod, scene, snapshot


def ask(
    state: StateNode,
    *guards: PodDisruptionBudget,
    eventual: bool = False,
    policy: Policy | None = None,
) -> Stay | None:
    view = snapshot((state,), budgets=guards)
    return stays(Question(state, scene(view, policy=policy), is_eventual=eventual))


def guard(name: str = "tight", allowed: int = 0, *, always: bool = False) -> PodDisruptionBudget:
    return PodDisruptionBudget(ObjectMeta(name, "default"), EVERYTHING, allowed, evicts_unready_always=always)


def test_an_ordinary_node_may_leave() -> None:
    assert ask(node("n", "medium", pod("web"))) is None


@pytest.mark.parametrize(
    ("state", "code", "detail", "told"),
    [
        (node("n", managed=False), StayCode.UNMANAGED, "node isn't managed by karpenter", Told.NOT),
        (
            StateNode(None, node("n").claim),
            StayCode.NO_NODE,
            "nodeclaim does not have an associated node",
            Told.BLOCKED,
        ),
        (node("n", initialized=False), StayCode.NOT_INITIALIZED, "node isn't initialized", Told.BLOCKED),
        (node("n", marked=True), StayCode.DELETING, "node is deleting or marked for deletion", Told.BLOCKED),
        (node("n", claim_deleted=True), StayCode.DELETING, "node is deleting or marked for deletion", Told.BLOCKED),
        (
            node("n", nominated=NOW + timedelta(seconds=1)),
            StayCode.NOMINATED,
            "node is nominated for a pending pod",
            Told.BLOCKED,
        ),
        (
            node("n", node_annotations={labels.DO_NOT_DISRUPT: "true"}),
            StayCode.DO_NOT_DISRUPT,
            'disruption is blocked through the "karpenter.sh/do-not-disrupt" annotation',
            Told.BLOCKED,
        ),
        (
            node("n", claim_annotations={labels.DO_NOT_DISRUPT: "true"}),
            StayCode.DO_NOT_DISRUPT,
            'disruption is blocked through the "karpenter.sh/do-not-disrupt" annotation',
            Told.BLOCKED,
        ),
        (node("n", pool_name="gone"), StayCode.NO_POOL, "NodePool not found (NodePool=gone)", Told.BLOCKED),
        (
            node("n", "medium", pod("web", annotations={labels.DO_NOT_DISRUPT: "true"})),
            StayCode.POD_DO_NOT_DISRUPT,
            'pod has "karpenter.sh/do-not-disrupt" annotation (Pod=default/web)',
            Told.BLOCKED,
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, StayCode) else "",
)
def test_a_node_stays_for_upstreams_reasons(state: StateNode, code: StayCode, detail: str, told: Told) -> None:
    assert ask(state) == Stay("n", code, detail, told)


def test_a_node_that_a_command_takes_already_stays() -> None:
    assert ask(node("n"), policy=Policy(queued=frozenset({"p-n"}))) == Stay(
        "n", StayCode.QUEUED, "node is being disrupted already"
    )


def test_a_node_without_the_pool_label_stays() -> None:
    found = ask(node("n", without_labels=(labels.NODEPOOL,)))
    assert found is not None
    assert found.code is StayCode.NO_POOL_LABEL


def test_a_node_stays_while_what_its_pool_buys_is_not_known() -> None:
    view = snapshot((node("n"),))
    found = stays(Question(view.nodes[0], scene(view, types=())))
    assert found is not None
    assert found.code is StayCode.NO_POOL_TYPES
    assert found.detail == "instance types of the NodePool are not known (NodePool=default)"


def test_a_nomination_that_is_over_does_not_count() -> None:
    assert ask(node("n", nominated=NOW)) is None


@pytest.mark.parametrize("text", ["false", "True", "1h", ""])
def test_only_true_keeps_a_node(text: str) -> None:
    assert ask(node("n", node_annotations={labels.DO_NOT_DISRUPT: text})) is None


@pytest.mark.parametrize("missing", [labels.INSTANCE_TYPE, labels.ZONE, labels.CAPACITY_TYPE])
def test_a_label_that_prices_need_may_be_missing_here(missing: str) -> None:
    assert ask(node("n", without_labels=(missing,))) is None


@pytest.mark.parametrize("owner", ["DaemonSet", "Node", "ReplicaSet", ""])
def test_do_not_disrupt_counts_on_pods_of_every_owner(owner: str) -> None:
    found = ask(node("n", "medium", pod("p", owner=owner, annotations={labels.DO_NOT_DISRUPT: "true"})))
    assert found is not None
    assert found.code is StayCode.POD_DO_NOT_DISRUPT


PROTECTED = {labels.DO_NOT_DISRUPT: "true"}


@pytest.mark.parametrize(
    "ending",
    [
        pod("p", node="n", annotations=PROTECTED, phase="Succeeded"),
        pod("p", node="n", annotations=PROTECTED, phase="Failed"),
        pod("p", node="n", annotations=PROTECTED, deleted=True),
    ],
)
def test_pods_that_have_ended_or_are_ending_never_block(ending: Pod) -> None:
    assert ask(node("n", "medium", ending), guard()) is None


def test_a_budget_that_allows_nothing_keeps_the_node_of_its_pods() -> None:
    found = ask(node("n", "medium", pod("p")), guard())
    assert found is not None
    assert (found.code, found.told) == (StayCode.DISRUPTION_BUDGET, Told.BLOCKED)
    assert found.sentence == "Pdb prevents pod evictions (PodDisruptionBudget=[default/tight])"


def test_a_budget_that_allows_one_keeps_nobody() -> None:
    assert ask(node("n", "medium", pod("p")), guard(allowed=1)) is None


def test_two_budgets_over_one_pod_keep_its_node() -> None:
    found = ask(node("n", "medium", pod("p")), guard("one", 5), guard("two", 5))
    assert found is not None
    assert found.code is StayCode.SEVERAL_BUDGETS
    assert found.detail.startswith("eviction does not support multiple PDBs")


def test_budgets_do_not_count_over_pods_that_are_not_evicted() -> None:
    tolerant = pod("p", tolerations=(Toleration(operator="Exists"),))
    assert ask(node("n", "medium", tolerant), guard()) is None
    assert ask(node("n", "medium", pod("p", owner="Node")), guard()) is None


def test_always_allow_lets_a_node_go_whose_guarded_pods_are_not_ready() -> None:
    unready = pod("p", node="n", ready=False)
    assert ask(node("n", "medium", unready), guard(always=True)) is None
    assert ask(node("n", "medium", pod("p", node="n")), guard(always=True)) is not None


@pytest.mark.parametrize(
    ("eventual", "grace", "blocked"),
    [(True, timedelta(hours=1), False), (True, None, True), (False, timedelta(hours=1), True), (False, None, True)],
)
def test_a_grace_period_overrules_pods_only_where_the_node_must_leave_some_day(
    eventual: bool,  # noqa: FBT001 - a table's column
    grace: timedelta | None,
    blocked: bool,  # noqa: FBT001 - a table's column
) -> None:
    marked = node("n", "medium", pod("p", annotations={labels.DO_NOT_DISRUPT: "true"}), grace=grace)
    assert (ask(marked, eventual=eventual) is not None) is blocked
    guarded = node("n", "medium", pod("p"), grace=grace)
    assert (ask(guarded, guard(), eventual=eventual) is not None) is blocked


def test_a_candidate_knows_its_movable_pods_by_key_its_price_and_cost() -> None:
    state = node("n", "medium", pod("b"), pod("a"), pod("ds", owner="DaemonSet"), expire_after=timedelta(days=4))
    found = as_candidate(state)
    assert [each.key for each in found.pods] == ["default/a", "default/b"]
    assert found.price is not None
    assert found.price.dollars == 0.2
    assert found.reschedule_cost == 3.0
    assert found.lifetime == 0.5
    assert found.worth == pytest.approx(0.2 / 3)
    assert found.leaving().pods == ("default/a", "default/b")


def test_a_node_without_a_price_is_a_candidate_of_no_worth() -> None:
    found = as_candidate(node("n", "unheard-of"))
    assert found.price is None
    assert found.worth == 0.0
