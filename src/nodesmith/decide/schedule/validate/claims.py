"""Whether every machine that a claim could become is right for its pods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import numpy as np

from nodesmith.decide.schedule.problem import MinValuesPolicy
from nodesmith.decide.schedule.validate.case import Case
from nodesmith.decide.schedule.validate.labels import admits, holds
from nodesmith.decide.schedule.validate.market import LARGEST, Amounts, Mask
from nodesmith.decide.schedule.validate.shape import Shape, repelling, template_requirements
from nodesmith.decide.schedule.validate.violation import Code, Violation, claim_name
from nodesmith.model.labels import INSTANCE_TYPE
from nodesmith.model.pod import Pod, PodSpec
from nodesmith.model.resources import Resources, format_resources, shortfall
from nodesmith.plan.schedule import PlannedClaim


def check_claims(case: Case) -> Iterator[Violation]:
    """What is wrong with the machines to buy, each on its own."""
    faultless = set[object]()
    for index, claim in enumerate(case.plan.claims):
        pool = case.pools.get(claim.pool_name)
        shape = case.shape_of(claim)
        if pool is None or shape is None:
            detail = "does not exist" if pool is None else "has no instance types"
            code = Code.NODEPOOL_UNKNOWN if pool is None else Code.NODEPOOL_UNUSABLE
            yield Violation(code, (claim_name(index), claim.pool_name), detail)
            continue
        yield from _Claim(case, index, claim, shape).check(faultless)


class _Claim:
    """One claim under examination."""

    def __init__(self, case: Case, index: int, claim: PlannedClaim, shape: Shape) -> None:
        self.case = case
        self.name = claim_name(index)
        self.claim = claim
        self.shape = shape
        self.pods = case.on_claim.get(index, [])
        self.specs = {id(pod.spec): pod for pod in self.pods}
        self.listed = shape.listed(claim.instance_types)
        self.types: Amounts = self.listed.numbers

    def check(self, faultless: set[object]) -> Iterator[Violation]:
        """Everything that is wrong with it.

        What was found to have no fault is remembered in `faultless`: for claims that say the same, but for their pods,
        and for pods of one spec on them.
        """
        claim = self.claim
        said = (claim.pool_name, claim.requirements, claim.instance_types, claim.cheapest)
        alike = (*map(id, said), claim.is_min_values_relaxed)
        if alike not in faultless:
            found = [*self._pool(), *self._types(), *self._min_values(), *self._cheapest()]
            yield from found
            if not found:
                faultless.add(alike)
        for spec, pod in self.specs.items():
            if (spec, alike) not in faultless:
                found = list(self._pod(pod))
                yield from found
                if not found:
                    faultless.add((spec, alike))
        for pod in self.pods:
            yield from self._volumes_of(pod)
        yield from self._fit()
        yield from self._ports()

    def _fault(self, code: Code, detail: str, *objects: str) -> Violation:
        return Violation(code, (self.name, *objects), detail)

    def _pool(self) -> Iterator[Violation]:
        pool = self.shape.pool
        if pool.is_static or pool.meta.is_deleting:
            detail = "is static" if pool.is_static else "is being deleted"
            yield self._fault(Code.NODEPOOL_UNUSABLE, detail, pool.name)
        for wanted in template_requirements(pool):
            mine = self.claim.requirements.by_key.get(wanted.key)
            if mine is None:
                if wanted.key in pool.requirements.by_key and wanted.key != INSTANCE_TYPE:
                    yield self._fault(Code.TEMPLATE_REQUIREMENT, f"{wanted} is dropped", pool.name)
            elif not holds(wanted, mine if mine.complement or mine.values else None):
                yield self._fault(Code.TEMPLATE_REQUIREMENT, f"{mine} is not within {wanted}", pool.name)

    def _types(self) -> Iterator[Violation]:
        if not self.claim.instance_types:
            yield self._fault(Code.CLAIM_NO_TYPES, "lists no instance type")
        yield from self._names()
        if len(self.listed.launchable) < len(self.types):
            launchable = self.shape.launchable[self.types]
            yield from (self._unlaunchable(int(number)) for number in self.types[~launchable])

    def _names(self) -> Iterator[Violation]:
        names, shape = self.claim.instance_types, self.shape
        if len(self.types) < len(names):
            for name, times in Counter(names).items():
                if times > 1:
                    yield self._fault(Code.TYPE_DUPLICATE, f"listed {times} times", name)
                if name not in shape.market.number:
                    yield self._fault(Code.TYPE_UNKNOWN, f"not a type of {shape.pool.name}", name)
        own = self.claim.requirements.by_key.get(INSTANCE_TYPE)
        if own is not None:
            for name in (name for name in names if not admits(own, name)):
                yield self._fault(Code.TYPE_INCOMPATIBLE, f"{own} does not allow it", name)

    def _unlaunchable(self, number: int) -> Violation:
        name = self.shape.market.types[number].name
        for key, types in self.shape.incompatible.items():
            if types[number]:
                return self._fault(Code.TYPE_INCOMPATIBLE, f"its {key} is not what the claim asks", name)
        return self._fault(Code.NO_OFFERING, "has no available offering that the claim allows", name)

    def _pod(self, pod: Pod) -> Iterator[Violation]:
        """What is wrong with a pod of such a spec on the claim, its volumes left out."""
        taint = repelling(self.shape.pool.taints, pod.spec.tolerations)
        if taint is not None:
            yield self._fault(Code.TAINT, f"does not tolerate {taint} of {self.shape.pool.name}", pod.key)
        if pod.spec.has_resource_claims:
            yield self._fault(Code.RESOURCE_CLAIMS, "asks for devices that nobody can promise", pod.key)
        unmet = self._where(self.shape.unmet(self.case.constraint(pod.spec)))
        if unmet or pod.spec.has_match_fields:
            yield self._fault(Code.POD_REQUIREMENT, f"its node selector can fail on {unmet or 'fields'}", pod.key)

    def _volumes_of(self, pod: Pod) -> Iterator[Violation]:
        for volume in self.case.volumes(pod):
            if volume.problem:
                yield self._fault(Code.VOLUME_UNBOUND, volume.problem, pod.key, volume.key)
            elif volume.constraint is not None:
                unmet = self._where(self.shape.unmet(volume.constraint))
                if unmet:
                    yield self._fault(Code.VOLUME_TOPOLOGY, f"cannot be reached from {unmet}", pod.key, volume.key)

    def _where(self, types: Mask | None) -> str:
        """The first of the claim's types in the mask; empty when none is."""
        if types is None:
            return ""
        found = self.types[types[self.types]]
        return self.shape.market.types[int(found[0])].name if len(found) else ""

    def _fit(self) -> Iterator[Violation]:
        requests = summed(pod.spec for pod in self.pods)
        if not self.listed.holds(requests):
            need, types = self.shape.market.amounts([requests])[0], self.listed.launchable
            for number in types[(self.shape.room[types] < need).any(axis=1)]:
                kind = self.shape.market.types[int(number)]
                left = dict(zip(self.shape.market.resources, self.shape.room[number].tolist(), strict=True))
                lacking = format_resources(_lacking(requests, left))
                yield self._fault(Code.FIT, f"lacks {lacking} beside its daemons", kind.name)
        stated = shortfall(requests, self.claim.requests)
        if stated:
            yield self._fault(Code.REQUESTS, f"states {format_resources(stated)} less than its pods ask")

    def _ports(self) -> Iterator[Violation]:
        yield from port_conflicts(self.name, self.pods, ())
        for daemon, ports, types in self.shape.daemon_ports:
            if not types[self.types].any():
                continue
            for pod in self.pods:
                if any(mine.conflicts_with(theirs) for mine in pod.spec.host_ports for theirs in ports):
                    yield self._fault(Code.HOST_PORT, "a daemon has it", pod.key, f"daemonset/{daemon}")

    def _min_values(self) -> Iterator[Violation]:
        relaxed = self.claim.is_min_values_relaxed
        if relaxed and self.case.problem.options.min_values is not MinValuesPolicy.BEST_EFFORT:
            yield self._fault(Code.MIN_VALUES, "relaxed although they must hold")
        wanted = {each.key: each.min_values for each in self.claim.requirements if each.min_values is not None}
        if not relaxed:
            for each in self.shape.pool.requirements:
                if each.min_values is not None:
                    wanted[each.key] = max(each.min_values, wanted.get(each.key, 0))
        for key, least in sorted(wanted.items()):
            count = len(self._values(key))
            if count < least:
                yield self._fault(Code.MIN_VALUES, f"{key} has {count} values of {least}")

    def _values(self, key: str) -> set[str]:
        """The values of the label that the listed types offer."""
        market, found = self.shape.market, set[str]()
        for number in self.types:
            kind = market.types[int(number)]
            stated = kind.requirements.by_key.get(key)
            if key == INSTANCE_TYPE:
                found.add(kind.name)
            elif stated is not None and not stated.complement:
                found |= stated.values
        if market.settles(key):
            codes, values = market.offering_labels(key)
            mine = self.shape.outcomes & np.isin(market.owner, self.types)
            found |= {value for code in np.unique(codes[mine]) if (value := values[int(code)]) is not None}
        return found

    def _cheapest(self) -> Iterator[Violation]:
        stated, market = self.claim.cheapest, self.shape.market
        if not len(self.types):
            return
        lowest = self.listed.lowest_price
        number = market.number.get(stated.instance_type)
        price = LARGEST if stated.price is None else stated.price.picos
        if number is None or number not in self.types or not self._offers(number, price):
            yield self._fault(Code.CHEAPEST, f"{stated.instance_type} at {stated.price} is no outcome of the claim")
        elif lowest < price:
            yield self._fault(Code.CHEAPEST, f"{lowest / 10**12:.6f} is cheaper than {stated.price}")

    def _offers(self, number: int, price: int) -> bool:
        """Whether the stated offering of the type is one of the outcomes, at that price."""
        market, stated = self.shape.market, self.claim.cheapest
        first, last = np.searchsorted(market.owner, (number, number + 1))
        return any(
            self.shape.outcomes[index]
            and market.offerings[index].zone == stated.zone
            and market.offerings[index].capacity_type == stated.capacity_type
            and market.price[index] == price
            for index in range(int(first), int(last))
        )


def summed(specs: Iterable[PodSpec]) -> dict[str, int]:
    """What pods of these specs ask together."""
    result: dict[str, int] = {}
    for spec in specs:
        for name, amount in spec.requests:
            result[name] = result.get(name, 0) + amount
    return result


def port_conflicts(place: str, pods: Sequence[Pod], running: Sequence[Pod]) -> Iterator[Violation]:
    """The pods of the plan that want a port of another pod on the same node."""
    asking = [pod for pod in pods if pod.spec.host_ports]
    if not asking:
        return
    held = [(pod, other) for pod in asking for other in running if other.spec.host_ports]
    for pod, other in (*held, *combinations(asking, 2)):
        clash = next(
            (mine for mine in pod.spec.host_ports for port in other.spec.host_ports if mine.conflicts_with(port)), None
        )
        if clash is not None:
            yield Violation(Code.HOST_PORT, (place, pod.key, other.key), f"{clash.protocol} {clash.ip}:{clash.port}")


def _lacking(requests: Resources, room: Resources) -> dict[str, int]:
    return {name: requests.get(name, 0) - left for name, left in room.items() if left < requests.get(name, 0)}
