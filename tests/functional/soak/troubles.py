"""What happens in a soaked world, drawn from a seed: people, the cloud, the network, and the process itself."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from nodesmith.adapters.memory.faults import Fault
from nodesmith.api.kind import Manifest
from nodesmith.api.kinds import NODE, NODE_CLAIM, NODE_POOL, POD
from nodesmith.model.labels import CAPACITY_TYPE, ON_DEMAND, SPOT
from nodesmith.ports.errors import CreateFailed, Throttled, Unavailable
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool
from tests.functional.soak.laws import Laws
from tests.functional.soak.size import Size


@dataclass
class Troubles:
    """Draws one trouble at a time. `lasting` are those that are on, with the moment that they end."""

    world: SmallWorld
    laws: Laws
    rng: random.Random
    size: Size
    lasting: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    crashes: int = 0
    apps: dict[str, int] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def set_up(self) -> None:
        """Pools and apps."""
        self.world.apply(NODE_CLASS)
        for number in range(self.rng.randint(*self.size.pools)):
            self.world.apply(self._pool(f"pool-{number}"))
        for _ in range(self.rng.randint(*self.size.apps)):
            self.new_app()
        agent = {"name": "agent", "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}}
        template = {
            "metadata": {"labels": {"app": "agent"}},
            "spec": {"containers": [agent], "tolerations": [{"operator": "Exists"}]},
        }
        self.world.apply(
            {
                "apiVersion": "apps/v1",
                "kind": "DaemonSet",
                "metadata": {"name": "agent", "namespace": "kube-system"},
                "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": template},
            }
        )

    def _pool(self, name: str) -> Manifest:
        kinds = self.rng.choice([[SPOT, ON_DEMAND], [SPOT, ON_DEMAND], [ON_DEMAND]])
        disruption = {
            "consolidateAfter": self.rng.choice(["0s", "30s", "2m", "5m"]),
            "consolidationPolicy": self.rng.choice(
                ["WhenEmpty", "WhenEmptyOrUnderutilized", "WhenEmptyOrUnderutilized"]
            ),
            "budgets": [{"nodes": self.rng.choice(["1", "2", "10%", "30%", "100%"])}],
        }
        more: dict[str, Any] = {}
        if self.rng.random() < 0.3:
            more["limits"] = {"cpu": self.rng.choice(self.size.limits)}
        if self.rng.random() < 0.3:
            more["template"] = {"terminationGracePeriod": self.rng.choice(["5m", "15m"])}
        expire_after = self.rng.choice(["720h", "720h", "5h"])
        requirements = [{"key": CAPACITY_TYPE, "operator": "In", "values": kinds}]
        return node_pool(name, disruption=disruption, expire_after=expire_after, requirements=requirements, **more)

    def new_app(self) -> None:
        """Somebody deploys something."""
        name = f"app-{len(self.apps)}"
        replicas = self.rng.randint(*self.size.replicas)
        self.apps[name] = replicas
        self.world.app(
            name,
            replicas,
            cpu=self.rng.choice(["250m", "500m", "1", "1500m", "3"]),
            memory=self.rng.choice(["256Mi", "1Gi", "3Gi"]),
            annotations={"karpenter.sh/do-not-disrupt": "20m"} if self.rng.random() < 0.15 else None,
            is_stateful=self.rng.random() < 0.2,
        )
        if self.rng.random() < 0.5:
            spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": name}}}
            self.world.apply(
                {
                    "apiVersion": "policy/v1",
                    "kind": "PodDisruptionBudget",
                    "metadata": {"name": name, "namespace": "default"},
                    "spec": spec,
                }
            )

    # --- troubles ---

    def next(self) -> None:
        """Something happens."""
        weighted = [
            (6, self.scale),
            (1, self.new_app),
            (4, self.reclaim),
            (2, self.lose_machine),
            (1, self.delete_node),
            (1, self.delete_claim),
            (1, self.delete_pod),
            (1, self.change_pool),
            (2, self.run_dry),
            (1, self.silence),
            (3, self.api_errors),
            (2, self.launch_errors),
            (2, self.cut_watches),
            (1, self.forget_history),
            (1, self.slow),
            (5, self.crash),
        ]
        (chosen,) = self.rng.choices([each for _, each in weighted], [weight for weight, _ in weighted])
        self.told.append(f"{self.world.clock.now():%d %H:%M:%S} {chosen.__name__}")
        chosen()

    def scale(self) -> None:
        name = self.rng.choice(sorted(self.apps))
        self.apps[name] = self.rng.choice(self.size.scales)
        self.world.app(name, self.apps[name])

    def reclaim(self) -> None:
        spot = [each for each in self.world.machines() if each.machine.capacity_type == SPOT]
        for rented in self.rng.sample(spot, min(len(spot), self.rng.choice([1, 1, 2, 4]))):
            self.laws.excused.add(rented.machine.claim_name)
            self.laws.taken.add(rented.machine.claim_name)
            self.world.reclaim(rented)

    def lose_machine(self) -> None:
        machines = list(self.world.machines())
        if machines:
            rented = self.rng.choice(machines)
            self.laws.excused.add(rented.machine.claim_name)
            self.world.cloud.terminate(rented.machine.provider_id)

    def delete_node(self) -> None:
        nodes = [node for node in self.world.nodes() if not node.meta.is_deleting]
        if nodes:
            node = self.rng.choice(nodes)
            self.laws.excused.add(node.name)
            self.world.server.delete(NODE, node.name)

    def delete_claim(self) -> None:
        claims = [claim for claim in self.world.claims() if not claim.meta.is_deleting]
        if claims:
            claim = self.rng.choice(claims)
            self.laws.excused.add(claim.name)
            self.world.server.delete(NODE_CLAIM, claim.name)

    def delete_pod(self) -> None:
        pods = [pod for pod in self.world.pods() if pod.is_active]
        if pods:
            pod = self.rng.choice(pods)
            self.world.server.delete(POD, pod.meta.name, namespace=pod.meta.namespace)

    def change_pool(self) -> None:
        name = self.rng.choice(sorted(self.laws.pools()))
        labels = {"spec": {"template": {"metadata": {"labels": {"release": str(self.rng.randint(0, 99))}}}}}
        self.world.server.patch(NODE_POOL, name, labels)

    def run_dry(self) -> None:
        left = self.world.cloud.left
        kinds, zones = self.size.types(), self.size.zones
        pools = [(kind.name, zone, terms) for kind in kinds for zone in zones for terms in (SPOT, ON_DEMAND)]
        dry = self.rng.sample(pools, self.rng.randint(len(pools) // 4, len(pools) - 4))
        left.update(dict.fromkeys(dry, 0))
        self._until_later(20, 60, left.clear)

    def silence(self) -> None:
        self.world.hosts.are_silent = True

        def speak() -> None:
            self.world.hosts.are_silent = False

        self._until_later(5, 25, speak)

    def api_errors(self) -> None:
        share = self.rng.choice([0.02, 0.1, 0.3])
        rules = [
            Fault(share / 2, error=lambda: Unavailable("no answer")),
            Fault(share / 2, error=lambda: Unavailable("no answer, though it was done"), after=True),
            Fault(share / 4, error=lambda: Throttled("slow down", retry_after_s=2)),
        ]
        self._with_rules(rules, 5, 30)

    def launch_errors(self) -> None:
        wrong = self.rng.choice(
            [
                lambda: CreateFailed("Unauthorized", "no permission"),
                lambda: Throttled("slow down", retry_after_s=5),
                lambda: Unavailable("lost"),
            ]
        )
        rules = [Fault(0.8, verbs={"create"}, kinds={"Machine"}, error=wrong, after=self.rng.random() < 0.3)]
        self._with_rules(rules, 5, 20)

    def cut_watches(self) -> None:
        self.world.faults.watch_cut = self.rng.choice([0.05, 0.3])

        def mend() -> None:
            self.world.faults.watch_cut = 0.0

        self._until_later(5, 20, mend)

    def forget_history(self) -> None:
        for kind in (NODE, NODE_CLAIM, POD, NODE_POOL):
            self.world.server.forget_history(kind)

    def slow(self) -> None:
        self.world.faults.latency = (timedelta(milliseconds=10), timedelta(seconds=2))
        self.world.faults.watch_lag = timedelta(seconds=self.rng.choice([1, 10]))

        def hurry() -> None:
            self.world.faults.latency = (timedelta(0), timedelta(0))
            self.world.faults.watch_lag = timedelta(0)

        self._until_later(5, 20, hurry)

    def crash(self) -> None:
        self.crashes += 1

    def end_lasting(self, *, all_of_them: bool = False) -> None:
        """What has lasted long enough is over."""
        now = self.world.clock.monotonic()
        due = [each for each in self.lasting if all_of_them or each[0] <= now]
        for each in due:
            self.lasting.remove(each)
            each[1]()

    def _with_rules(self, rules: list[Fault], least: int, most: int) -> None:
        self.world.faults.rules.extend(rules)

        def remove() -> None:
            for rule in rules:
                self.world.faults.rules.remove(rule)

        self._until_later(least, most, remove)

    def _until_later(self, least: int, most: int, end: Callable[[], None]) -> None:
        self.lasting.append((self.world.clock.monotonic() + 60 * self.rng.randint(least, most), end))
