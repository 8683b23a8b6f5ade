"""EC2's API of the box: moto's, with our answers for what it answers wrongly, slowly or not at all.

A missing operation is one method in snake case: parameters arrive parsed under botocore's names.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.moto_api._internal import mock_random

from nodesmith.sim.aws import world
from nodesmith.sim.aws.ec2 import catalog, filters, fleets, launch, render, status
from nodesmith.sim.aws.ec2.base import Members
from nodesmith.sim.aws.ec2.instance import STATE_CODES, LaunchSpec
from nodesmith.sim.aws.ec2.reservations import PlacementGroup, tags_of
from nodesmith.sim.aws.ec2.tagging import TagAndImageResponses
from nodesmith.sim.aws.ec2.templates import LaunchTemplateResponses
from nodesmith.sim.aws.world import Pool

INSTANCE_PAGE: Final = 1000
SPOT_PAGE: Final = 1000
PRODUCT: Final = "Linux/UNIX"


class BoxEC2Response(LaunchTemplateResponses, TagAndImageResponses):
    """One request to EC2."""

    # --- launching ---

    def create_fleet(self) -> ActionResult:
        """An instant fleet by our rules; the other kinds as moto does them."""
        if self.params.get("Type") != "instant":
            return super().create_fleet()
        backend = self.box_backend
        for config in self.params.get("LaunchTemplateConfigs") or ():
            template, _ = backend.template_of(config["LaunchTemplateSpecification"])
            self.require_seen(template)
        self.error_on_dryrun()
        return self.answer(dict(backend.remembered(self.params.get("ClientToken"), self.params, self._instant_fleet)))

    def _instant_fleet(self) -> dict[str, Any]:
        made = fleets.InstantFleet(self.box_backend, self.params).run()
        self.box_backend.tags[made["FleetId"]].update(tags_of(self.params.get("TagSpecifications"), "fleet"))
        return made

    def run_instances(self) -> ActionResult:
        """Instances from explicit parameters over a launch template."""
        spec = self._run_spec()
        launch.check(spec, self.box_backend)
        self.error_on_dryrun()
        made = self.box_backend.remembered(self.params.get("ClientToken"), self.params, lambda: self._run(spec))
        shown = [render.as_dict(i, self.box_backend.tags.get(i.id, {})) for i in made]
        reservation = made[0].reservation.id
        return self.answer({"ReservationId": reservation, "OwnerId": self.current_account, "Instances": shown})

    def _run(self, spec: LaunchSpec) -> list[Any]:
        market = "spot" if spec.capacity_type == "spot" else "on-demand"
        zone, count = spec.subnet.availability_zone, int(self.params.get("MinCount") or 1)
        if (spec.instance_type, zone) not in catalog.offered_in_zones(self.region):
            raise EC2ClientError("Unsupported", fleets.unsupported(spec.instance_type, zone))
        if market == "spot":
            fleets.require_spot_role()
        if not fleets.target_of(spec.data):
            fleets.grant(market, spec.instance_type, zone, count)
            world.current().consume(Pool(market, spec.instance_type, zone), count)
        fleets.require_addresses(spec.subnet, count)
        return [fleets.start(spec, self.box_backend) for _ in range(count)]

    def _run_spec(self) -> LaunchSpec:
        backend, params = self.box_backend, self.params
        named: tuple[Any, Any] | None = None
        if params.get("LaunchTemplate"):
            named = backend.template_of(params["LaunchTemplate"])
        base = dict(named[1].data) if named else {}
        data = {**base, **{k: v for k, v in params.items() if k not in {"LaunchTemplate", "TagSpecifications"}}}
        nics = data.get("NetworkInterfaces") or [{}]
        subnet_id = data.get("SubnetId") or nics[0].get("SubnetId")
        zone = (data.get("Placement") or {}).get("AvailabilityZone")
        subnet = backend.subnet_or_none(subnet_id) if subnet_id else backend.default_subnet_in(zone)
        if subnet is None:
            raise EC2ClientError("InvalidSubnetID.NotFound", f"The subnet ID '{subnet_id}' does not exist")
        market = (data.get("InstanceMarketOptions") or {}).get("MarketType") or "on-demand"
        return LaunchSpec(
            image_id=data.get("ImageId") or "",
            instance_type=data.get("InstanceType") or "m1.small",
            subnet=subnet,
            capacity_type=market,
            data=data,
            tags=fleets.merge_tags(base.get("TagSpecifications"), params.get("TagSpecifications")),
            template=(named[0].id, str(named[1].number)) if named else None,
            client_token=params.get("ClientToken"),
            security_groups=launch.network_of(data, backend),
        )

    # --- instances ---

    def describe_instances(self) -> ActionResult:
        """Instances by id or filter; every instance is a reservation of its own."""
        self.error_on_dryrun()
        backend, ids = self.box_backend, list(self.params.get("InstanceIds") or ())
        size = self.params.get("MaxResults")
        if ids and size:
            message = "The parameter instancesSet cannot be used with the parameter maxResults"
            raise EC2ClientError("InvalidParameterCombination", message)
        found = backend.get_multi_instances_by_id(ids) if ids else list(backend.instances_by_id.values())
        self.hide_new([i.id for i in found] if ids else [])
        wanted = self.filters
        rows = [
            i for i in found if filters.matches(wanted, backend.tags.get(i.id, {}), partial(render.filter_values, i))
        ]
        rows = [i for i in rows if ids or not self.is_hidden(i.id)]
        shown, following = catalog.page(rows, self.params.get("NextToken"), len(rows) if ids else size, INSTANCE_PAGE)
        items = "".join(
            f"<item><reservationId>{i.reservation.id}</reservationId><ownerId>{i.owner_id}</ownerId><groupSet/>"
            f"<instancesSet>{render.as_xml(i, backend.tags.get(i.id, {}))}</instancesSet></item>"
            for i in shown
        )
        token = f"<nextToken>{following}</nextToken>" if following else ""
        return Members("DescribeInstances", f"<reservationSet>{items}</reservationSet>{token}")

    def terminate_instances(self) -> ActionResult:
        """Begin to end instances."""
        self.error_on_dryrun()
        ids = list(self.params.get("InstanceIds") or ())
        self.hide_new([i for i in ids if i in self.box_backend.instances_by_id])
        return self._changes("TerminatingInstances", self.box_backend.terminate_instances(ids))

    def stop_instances(self) -> ActionResult:
        """Begin to stop instances."""
        self.error_on_dryrun()
        return self._changes("StoppingInstances", self.box_backend.stop_instances(list(self.params["InstanceIds"])))

    def _changes(self, name: str, changes: list[tuple[Any, str]]) -> ActionResult:
        rows = [
            {
                "InstanceId": instance.id,
                "CurrentState": {"Code": instance.state_code, "Name": instance.state},
                "PreviousState": {"Code": STATE_CODES[before], "Name": before},
            }
            for instance, before in changes
        ]
        return self.answer({name: rows})

    def describe_instance_status(self) -> ActionResult:
        """Status checks and scheduled events, as the box's control set them."""
        self.error_on_dryrun()
        backend, ids = self.box_backend, list(self.params.get("InstanceIds") or ())
        found = backend.get_multi_instances_by_id(ids) if ids else list(backend.instances_by_id.values())
        if not self.params.get("IncludeAllInstances"):
            found = [i for i in found if i.state == "running"]
        rows = status.rows(found, self.filters)
        shown, following = catalog.page(
            rows, self.params.get("NextToken"), self.params.get("MaxResults"), INSTANCE_PAGE
        )
        return self.answer({"InstanceStatuses": list(shown), "NextToken": following})

    # --- catalogue ---

    def describe_instance_types(self) -> ActionResult:
        """The region's types, a page at a time."""
        self.error_on_dryrun()
        return Members("DescribeInstanceTypes", catalog.describe_types(self.region, self.params))

    def describe_instance_type_offerings(self) -> ActionResult:
        """What is offered where, a page at a time."""
        self.error_on_dryrun()
        return Members("DescribeInstanceTypeOfferings", catalog.describe_offerings(self.region, self.params))

    def describe_spot_price_history(self) -> ActionResult:
        """The price of every pool now, a page at a time."""
        self.error_on_dryrun()
        box, wanted = world.current(), self.filters
        types = set(self.params.get("InstanceTypes") or wanted.get("instance-type") or ())
        zones = set(wanted.get("availability-zone") or ())
        if self.params.get("AvailabilityZone"):
            zones.add(self.params["AvailabilityZone"])
        products = self.params.get("ProductDescriptions") or wanted.get("product-description") or [PRODUCT]
        pairs = [
            (t, z)
            for t, z in sorted(catalog.offered_in_zones(self.region))
            if (not types or t in types) and (not zones or z in zones) and box.spot_price(z, t) is not None
        ]
        shown, following = catalog.page(pairs, self.params.get("NextToken"), self.params.get("MaxResults"), SPOT_PAGE)
        now = box.now().replace(minute=0, second=0, microsecond=0)
        rows = [
            {
                "InstanceType": instance_type,
                "AvailabilityZone": zone,
                "ProductDescription": products[0],
                "SpotPrice": f"{box.spot_price(zone, instance_type):.6f}",
                "Timestamp": now,
            }
            for instance_type, zone in shown
        ]
        return self.answer({"SpotPriceHistory": rows, "NextToken": following or ""})

    # --- reservations and placement groups ---

    def create_capacity_reservation(self) -> ActionResult:
        """Reserve on-demand capacity."""
        self.error_on_dryrun()
        made = self.box_backend.capacity_reservations.create(self.params)
        tags = self.box_backend.tags[made.id]
        tags.update(tags_of(self.params.get("TagSpecifications"), "capacity-reservation"))
        return self.answer({"CapacityReservation": made.as_dict(tags, self.region)})

    def describe_capacity_reservations(self) -> ActionResult:
        """Reservations by id or filter."""
        self.error_on_dryrun()
        store, tags = self.box_backend.capacity_reservations, self.box_backend.tags
        ids = self.params.get("CapacityReservationIds") or list(store.by_id)
        found = [store.get(i) for i in ids]
        rows = [r for r in found if filters.matches(self.filters, tags.get(r.id, {}), r.filter_values)]
        shown, following = catalog.page(
            rows, self.params.get("NextToken"), self.params.get("MaxResults"), INSTANCE_PAGE
        )
        listed = [r.as_dict(tags.get(r.id, {}), self.region) for r in shown]
        return self.answer({"CapacityReservations": listed, "NextToken": following})

    def cancel_capacity_reservation(self) -> ActionResult:
        """End a reservation; its instances stay, and no longer belong to it."""
        self.error_on_dryrun()
        self.box_backend.capacity_reservations.get(self.params["CapacityReservationId"]).state = "cancelled"
        for instance in self.box_backend.living_instances():
            if instance.capacity_reservation_id == self.params["CapacityReservationId"]:
                instance.capacity_reservation_id = None
        return self.answer({"Return": True})

    def create_placement_group(self) -> ActionResult:
        """A placement group."""
        self.error_on_dryrun()
        groups, name = self.box_backend.placement_groups, self.params["GroupName"]
        if name in groups:
            message = f"The Placement Group '{name}' already exists."
            raise EC2ClientError("InvalidPlacementGroup.Duplicate", message)
        group = PlacementGroup(
            id="pg-" + mock_random.get_random_hex(17),
            name=name,
            strategy=self.params.get("Strategy") or "cluster",
            partitions=self.params.get("PartitionCount"),
            spread_level=self.params.get("SpreadLevel"),
        )
        groups[name] = group
        tags = self.box_backend.tags[group.id]
        tags.update(tags_of(self.params.get("TagSpecifications"), "placement-group"))
        return self.answer({"PlacementGroup": group.as_dict(tags, self.region, self.current_account)})

    def describe_placement_groups(self) -> ActionResult:
        """Placement groups by name, id or filter."""
        self.error_on_dryrun()
        names, ids = set(self.params.get("GroupNames") or ()), set(self.params.get("GroupIds") or ())
        groups, tags = list(self.box_backend.placement_groups.values()), self.box_backend.tags
        missing = (names - {g.name for g in groups}) | (ids - {g.id for g in groups})
        if missing:
            message = f"The Placement Group '{min(missing)}' is unknown."
            raise EC2ClientError("InvalidPlacementGroup.Unknown", message)
        shown = [
            group.as_dict(tags.get(group.id, {}), self.region, self.current_account)
            for group in groups
            if (not names or group.name in names)
            and (not ids or group.id in ids)
            and filters.matches(self.filters, tags.get(group.id, {}), group.filter_values)
        ]
        return self.answer({"PlacementGroups": shown})

    def delete_placement_group(self) -> ActionResult:
        """Remove an empty placement group."""
        self.error_on_dryrun()
        name = self.params["GroupName"]
        if self.box_backend.placement_groups.pop(name, None) is None:
            message = f"The Placement Group '{name}' is unknown."
            raise EC2ClientError("InvalidPlacementGroup.Unknown", message)
        return self.answer({})
