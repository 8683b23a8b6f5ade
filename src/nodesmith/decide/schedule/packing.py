"""A plan in the making: bins, what is free in each, and the counts of all rules between pods.

A bin of a planned machine has a definite offer: type, zone, capacity type. What else a claim may turn out to be is
worked out at the end (`claims.py`), from what its pods admit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodesmith.decide.schedule.classes import PodClass, Stance
from nodesmith.decide.schedule.diversity import Diversity
from nodesmith.decide.schedule.machines import Template
from nodesmith.decide.schedule.topology import Rules, Tally
from nodesmith.decide.schedule.universe import Amounts, Codes, Flags
from nodesmith.decide.schedule.volumes import attached_volumes
from nodesmith.decide.schedule.world import World, static_key
from nodesmith.model.labels import CAPACITY_TYPE, ZONE
from nodesmith.model.pod import HostPort
from nodesmith.model.requirements import Requirements
from nodesmith.model.resources import NODES

NO_OFFER = -1
Change = tuple[Any, ...]


class Packing:
    """Bins and their contents. Nodes come first, by their position in `world.nodes`; then planned machines."""

    def __init__(self, world: World, *, counts_nodes: bool = True) -> None:
        self.world = world
        self.size = len(world.nodes)
        room = max(64, 2 * self.size)
        self.free: Amounts = np.zeros((room, len(world.dimensions.names)), dtype=np.int64, order="F")
        self.free[: self.size] = world.nodes.free
        self.offer: NDArray[np.int64] = np.full(room, NO_OFFER, dtype=np.int64)
        self.contents: list[dict[tuple[int, int], int]] = [{} for _ in range(self.size)]
        self.tally: Tally = world.rulebook.start.copy()
        self.ports: dict[int, set[HostPort]] = {bin_: set(taken) for bin_, taken in world.nodes.ports.items()}
        self.attached = deepcopy(world.nodes.attached)
        self.ledger = Ledger(world, counts_nodes=counts_nodes)
        self.diversity = Diversity(world)
        self._log: list[Change] | None = None

    def begin(self) -> None:
        """From here on everything that happens can be taken back."""
        self._log = []

    def keep(self) -> None:
        """What has happened since `begin` stands."""
        self._log = None

    def take_back(self) -> None:
        """All is as it was at `begin`."""
        log, self._log = self._log or [], None
        for kind, *facts in reversed(log):
            if kind == "add":
                index, level, bin_, count = facts
                self.add(self.world.classes[index], level, bin_, -count)
            elif kind == "open":
                self._unopen()
            elif kind == "close":
                (bin_,) = facts
                self.ledger.take(int(self.offer[bin_]))
                self.free[bin_] = self.room(int(self.offer[bin_]))
            else:
                bin_, offer = facts
                self.change_offer(bin_, offer)

    def close(self, bin_: int) -> None:
        """The planned machine, which must be empty, is not bought; it takes no pods."""
        self.ledger.give_back(int(self.offer[bin_]))
        self.free[bin_] = -1
        self._note("close", bin_)

    def _unopen(self) -> None:
        self.size -= 1
        self.ledger.give_back(int(self.offer[self.size]))
        self.offer[self.size] = NO_OFFER
        self.contents.pop()

    def _note(self, kind: str, *facts: int) -> None:
        if self._log is not None:
            self._log.append((kind, *facts))

    def capacity(self, each: PodClass, stance: Stance, rules: Rules) -> NDArray[np.int64]:
        """How many more pods of the class each bin can take at this stance, domains left out of account."""
        count = np.zeros(self.size, dtype=np.int64)
        bins = self._holding_one(each, stance)
        if not len(bins):
            return count
        room = np.minimum.reduce([self.free[bins, at] // amount for at, amount in self.world.asked[each.index]])
        by_host = rules.host_room(self.tally, bins)
        count[bins] = room if by_host is None else np.minimum(room, by_host)
        if each.spec.host_ports:
            np.minimum(count, 1, out=count)
            for bin_, taken in self.ports.items():
                if any(port.conflicts_with(other) for port in each.spec.host_ports for other in taken):
                    count[bin_] = 0
        if each.spec.volumes and self.attached:
            volumes = attached_volumes(each.pods[0], self.world.problem.snapshot.storage)
            count[: len(self.world.nodes)] *= self.world.nodes.attachable(volumes, self.attached)
        if self.diversity.matters:
            for bin_ in np.flatnonzero(count[len(self.world.nodes) :]).tolist():
                at = bin_ + len(self.world.nodes)
                count[at] = self._diverse(each, stance, rules, at, int(count[at]))
        return count

    def _diverse(self, each: PodClass, stance: Stance, rules: Rules, bin_: int, most: int) -> int:
        """How many pods of the class the planned machine can take and stay launchable as enough different types."""
        world = self.world
        index = int(self.offer[bin_]) // len(world.universe)
        template = world.templates[index]
        if not self.diversity.asks(template):
            return most
        part = slice(index * len(world.universe), (index + 1) * len(world.universe))
        offerings = template.buyable & self._as_stated(each, stance, bin_)[part]
        for class_index, level in self.contents[bin_]:
            held = world.classes[class_index]
            offerings = offerings & self._as_stated(held, held.stances[level], bin_)[part]
        for key in dict.fromkeys((*self.keys_that_matter(bin_), *rules.kept)):
            offerings = offerings & world.rulebook.offers_at(key, self.code(key, bin_))[part]
        alike: Flags = np.ones(len(world.universe), dtype=np.bool_)
        for number in dict.fromkeys((each.index, *(held for held, _ in self.contents[bin_]))):
            alike &= self._counted_alike(number, bin_, part)
        kinds = world.universe.type_of
        if np.isin(kinds[offerings & alike], kinds[offerings & ~alike]).any():
            # The claim will have to name the place (see `Claims.admitted`).
            planned = world.universe.offerings[int(self.offer[bin_]) % len(world.universe)]
            place = Requirements.from_labels({ZONE: planned.zone, CAPACITY_TYPE: planned.capacity_type})
            offerings = offerings & world.universe.admitted_by_all(place)
        offerings = offerings & alike
        for name in template.pool.limits:
            amounts = world.capacity_of(name)[world.universe.type_of]
            offerings = offerings & (amounts <= amounts[int(self.offer[bin_]) % len(world.universe)])
        forms = self.diversity.forms(offerings, int(self.offer[bin_]) % len(world.universe))
        return self.diversity.most(template, forms, self.used(bin_), world.requests[each.index], most)

    def _as_stated(self, each: PodClass, stance: Stance, bin_: int) -> Flags:
        """By offer: those that admit the class by the one of its alternatives that the machine's claim will state."""
        alternatives, tolerations, ports = static_key(each, stance)
        if len(alternatives) > 1:
            index, offering = divmod(int(self.offer[bin_]), len(self.world.universe))
            alternatives = (self.world.alternative_for(stance, self.world.templates[index], offering),)
        return self.world.admitted_offers((alternatives, tolerations, ports))

    def _counted_alike(self, index: int, bin_: int, part: slice) -> Flags:
        """The template's offerings on which every spread counts the class's pods as on the planned one."""
        book = self.world.rulebook
        flags: Flags = np.ones(len(self.world.universe), dtype=np.bool_)
        for counter in book.touches[index]:
            if counter.filter is not None:
                counted = book.offers_counted(counter)[part]
                flags &= counted == book.counts_offer(counter, int(self.offer[bin_]))
        return flags

    def capacity_of_bin(self, each: PodClass, stance: Stance, rules: Rules, bin_: int) -> int:
        """How many pods of the class a new, empty bin takes."""
        free: list[int] = self.free[bin_].tolist()
        room = min(free[at] // amount for at, amount in self.world.asked[each.index])
        room = min(room, rules.new_host_room(self.tally), 1 if each.spec.host_ports else room)
        return self._diverse(each, stance, rules, bin_, room) if self.diversity.matters else room

    def room_in(self, each: PodClass, stance: Stance, rules: Rules, bin_: int) -> int:
        """How many pods of the class one planned machine that admits the stance takes now."""
        return self.room_among(each, stance, rules, bin_, self.room_by_rules(rules, bin_))

    def room_among(self, each: PodClass, stance: Stance, rules: Rules, bin_: int, most: int) -> int:
        """As `room_in`, where company and place let the machine take so many at most."""
        free: list[int] = self.free[bin_].tolist()
        room: int = min(most, *(free[at] // amount for at, amount in self.world.asked[each.index]))
        if each.spec.host_ports and room > 0:
            taken = self.ports.get(bin_, ())
            clash = any(port.conflicts_with(other) for port in each.spec.host_ports for other in taken)
            room = 0 if clash else 1
        if room > 0 and self.diversity.matters:
            room = self._diverse(each, stance, rules, bin_, room)
        return max(room, 0)

    def room_by_rules(self, rules: Rules, bin_: int) -> int:
        """How many pods under these rules one planned machine takes now, as far as other pods matter."""
        room = rules.room_on(self.tally, bin_)
        return min(room, rules.room_within(self.tally, self.codes_of(bin_))) if room and rules.keys else room

    def codes_of(self, bin_: int) -> Mapping[str, int]:
        """The domain of the bin, by label key; -1 without the label."""
        offer = int(self.offer[bin_])
        book = self.world.rulebook
        return book.codes_of_node(bin_) if offer == NO_OFFER else book.codes_of_offer(offer)

    def codes(self, key: str, bins: NDArray[np.int64]) -> Codes:
        """The domain of each of the bins, those of nodes first; -1 without the label."""
        of_nodes, of_offers = self.world.rulebook.codes(key)
        nodes = int((bins < len(of_nodes)).sum())
        of_machines: Codes = of_offers[self.offer[bins[nodes:]]]
        return np.concatenate([of_nodes[bins[:nodes]], of_machines]) if nodes else of_machines

    def _holding_one(self, each: PodClass, stance: Stance) -> NDArray[np.int64]:
        """The bins that admit the class at this stance and have room for one pod, other pods left out of account."""
        nodes = len(self.world.nodes)
        flags = np.empty(self.size, dtype=np.bool_)
        flags[:nodes] = self.world.node_flags(stance)
        if each.is_mover and self.world.sheltered is not None:
            flags[:nodes] &= ~self.world.sheltered
        flags[nodes:] = self.world.stance_flags(each, stance)[self.offer[nodes : self.size]]
        for at, amount in self.world.asked[each.index]:
            flags &= self.free[: self.size, at] >= amount
        return flags.nonzero()[0]

    def add(self, each: PodClass, level: int, bin_: int, count: int) -> None:
        """So many pods of the class are in the bin (a negative count takes them out)."""
        if not count:
            return
        self._note("add", each.index, level, bin_, count)
        self.free[bin_] -= self.world.requests[each.index] * count
        held = self.contents[bin_]
        key = (each.index, level)
        left = held.get(key, 0) + count
        if left:
            held[key] = left
        else:
            del held[key]
        self._count(each, bin_, count)
        if each.spec.host_ports:
            taken = self.ports.setdefault(bin_, set())
            (taken.update if count > 0 else taken.difference_update)(each.spec.host_ports)
        if each.spec.volumes and bin_ in self.attached:
            for volume in attached_volumes(each.pods[0], self.world.problem.snapshot.storage):
                here = self.attached[bin_][volume.driver]
                here[volume.claim] += count
                if not here[volume.claim]:
                    del here[volume.claim]

    def _count(self, each: PodClass, bin_: int, count: int) -> None:
        book, tally = self.world.rulebook, self.tally
        offer = int(self.offer[bin_])
        for counter in book.touches[each.index]:
            if offer == NO_OFFER:
                if not book.counts_node(counter, bin_):
                    continue
            elif not book.counts_offer(counter, offer):
                continue
            if counter.by_host:
                tally.hosts[counter.index][bin_] += count
                continue
            code = self.code(counter.key, bin_)
            if code >= 0:
                tally.tables[counter.index][code] += count

    def code(self, key: str, bin_: int) -> int:
        """The domain of the bin; -1 without the label."""
        offer = int(self.offer[bin_])
        book = self.world.rulebook
        return book.node_code(key, bin_) if offer == NO_OFFER else book.offer_code(key, offer)

    def open(self, offer: int) -> int:
        """A new bin: a machine of that offer, empty; counted against limits and reservations."""
        if self.size == len(self.free):
            self._grow()
        bin_ = self.size
        self.size += 1
        self.offer[bin_] = offer
        self.free[bin_] = self.room(offer)
        self.contents.append({})
        self.ledger.take(offer)
        self._note("open")
        return bin_

    def room(self, offer: int) -> Amounts:
        """What a machine of the offer leaves for pods."""
        template, offering = divmod(offer, len(self.world.universe))
        room: Amounts = self.world.templates[template].room[self.world.universe.type_of[offering]]
        return room

    def change_offer(self, bin_: int, offer: int) -> None:
        """The planned machine is of another offer now; its pods stay, and count in the domains they were counted in.

        Only between offers of the same domain on every key that a rule of its pods looks at.
        """
        old = int(self.offer[bin_])
        self._note("offer", bin_, old)
        self.ledger.give_back(old)
        self.ledger.take(offer)
        self.free[bin_] += self.room(offer) - self.room(old)
        self.offer[bin_] = offer

    def used(self, bin_: int) -> Amounts:
        """What the pods of the planned machine request."""
        used: Amounts = self.room(int(self.offer[bin_])) - self.free[bin_]
        return used

    def planned(self) -> range:
        """The bins that are planned machines, empty ones included."""
        return range(len(self.world.nodes), self.size)

    def keys_that_matter(self, bin_: int) -> Sequence[str]:
        """The labels on which a rule counts one of the bin's pods or binds it: the machine must keep their values."""
        rules = self.world.rulebook.rules
        keys: dict[str, None] = {}
        for index, level in self.contents[bin_]:
            keys.update(dict.fromkeys(rules[index][level].kept))
        return tuple(keys)

    def _grow(self) -> None:
        more = len(self.free)
        self.free = np.concatenate([self.free, np.zeros_like(self.free)])
        self.offer = np.concatenate([self.offer, np.full(more, NO_OFFER, dtype=np.int64)])
        self.tally.grow(2 * more)


class Ledger:
    """What the NodePools' limits and the capacity reservations leave.

    `counts_nodes`: whether machines that are planned count against a limit on `nodes`; Karpenter holds such a limit
    against the nodes only that are there.
    """

    def __init__(self, world: World, *, counts_nodes: bool) -> None:
        self._counts_nodes = counts_nodes
        self._world = world
        by_pool = {name: dict(left) for name, left in world.limits_left.items()}
        self._limits: list[dict[str, int]] = [by_pool.get(template.pool.name, {}) for template in world.templates]
        self._machines = [0 for _ in world.templates]
        self._reserved = dict(world.reservations)

    def open_offers(self) -> Flags | None:
        """By offer: those that limits and reservations still allow; None when neither says anything."""
        world = self._world
        if not self._reserved and not any(map(self._binds, self._limits)):
            return None
        parts: list[Flags] = []
        for left in self._limits:
            flags = np.ones(len(world.universe), dtype=np.bool_)
            for name, amount in left.items():
                flags &= (world.capacity_of(name) <= amount)[world.universe.type_of]
            parts.append(flags)
        for reservation, amount in self._reserved.items():
            if amount <= 0:
                for flags in parts:
                    flags[world.offerings_of_reservation[reservation]] = False
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.bool_)

    def _binds(self, left: Mapping[str, int]) -> bool:
        """Whether the largest machine would be too much."""
        return any(self._world.most_of(name) > amount for name, amount in left.items())

    def share(self, template: Template) -> dict[str, int]:
        """What each planned machine of the pool may count for beyond what it was planned as, by limited resource."""
        name = template.pool.name
        pairs = zip(self._world.templates, self._machines, strict=True)
        machines = sum(count for each, count in pairs if each.pool.name == name)
        return {key: max(left, 0) // max(machines, 1) for key, left in self._limits[template.index].items()}

    def take(self, offer: int) -> None:
        """One machine of the offer is spoken for."""
        self._book(offer, 1)

    def give_back(self, offer: int) -> None:
        """One machine of the offer is free again."""
        self._book(offer, -1)

    def _book(self, offer: int, machines: int) -> None:
        template, offering = divmod(offer, len(self._world.universe))
        self._machines[template] += machines
        left = self._limits[template]
        kind = int(self._world.universe.type_of[offering])
        for name in left:
            if name == NODES and not self._counts_nodes:
                continue
            left[name] -= machines * int(self._world.capacity_of(name)[kind])
        reservation = self._world.universe.offerings[offering].reservation_id
        if reservation:
            self._reserved[reservation] -= machines
