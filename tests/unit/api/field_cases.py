"""Every field of our three kinds with values that are right and values that are wrong, as the specification has them.

`FIELDS` is held against the structs, so that a field nobody wrote a case for fails a test. The same cases are put to
lint and to a real API server.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Step = str | int
ABSENT: Final = object()
"""The value of a field that is not there."""


@dataclass(frozen=True)
class Field:
    """What a field takes and what it does not; `beside` is what else the spec must say for that.

    `only_lint` are values that only lint refuses: at the API server they pass, as at the peer's.
    """

    path: str
    right: Sequence[Any] = ()
    wrong: Sequence[Any] = ()
    only_lint: Sequence[Any] = ()
    beside: Mapping[str, Any] = field(default_factory=dict)


NAME: Final = "x" * 63
DURATIONS: Final = ("30s", "10m", "720h", "1h30m", "1h1h", "0s")
NO_DURATIONS: Final = ("1d", "30", "-5m", "1.5h", "", "5 m", "h")
QUANTITIES: Final = ("1", "500m", "1.5Gi", ".5", "2e3", "1E2", "20k", "3Ti", "100n", "0")
NO_QUANTITIES: Final = ("1 Gi", "Gi", "1GiB", "a", "1KB", "")
PERCENT_OR_QUANTITY: Final = ("5%", "12.5%", "100%", "100.00%", "500Mi", "1Gi")
POOL: Final[Mapping[str, Any]] = {
    "template": {
        "spec": {
            "requirements": [],
            "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
        }
    }
}
CLAIM: Final[Mapping[str, Any]] = POOL["template"]["spec"]
NODE_CLASS: Final[Mapping[str, Any]] = {
    "role": "node",
    "amiSelectorTerms": [{"alias": "al2023@latest"}],
    "subnetSelectorTerms": [{"id": "subnet-1"}],
    "securityGroupSelectorTerms": [{"id": "sg-1"}],
}

AWS_KEYS: Final = tuple(
    f"karpenter.k8s.aws/{name}"
    for name in (
        "capacity-reservation-id",
        "capacity-reservation-type",
        "capacity-reservation-interruptible",
        "instance-hypervisor",
        "instance-encryption-in-transit-supported",
        "instance-category",
        "instance-capability-flex",
        "instance-family",
        "instance-generation",
        "instance-size",
        "instance-local-nvme",
        "instance-cpu",
        "instance-cpu-manufacturer",
        "instance-cpu-sustained-clock-speed-mhz",
        "instance-memory",
        "instance-ebs-bandwidth",
        "instance-network-bandwidth",
        "instance-gpu-name",
        "instance-gpu-manufacturer",
        "instance-gpu-count",
        "instance-gpu-memory",
        "instance-accelerator-name",
        "instance-accelerator-manufacturer",
        "instance-accelerator-count",
        "instance-tenancy",
        "placement-group-id",
        "placement-group-partition",
    )
)
PLAIN_KEYS: Final = (
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "topology.k8s.aws/zone-id",
    "node.kubernetes.io/instance-type",
    "node.kubernetes.io/windows-build",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "karpenter.sh/capacity-type",
    "failure-domain.beta.kubernetes.io/zone",
    "beta.kubernetes.io/arch",
    "topology.ebs.csi.aws.com/zone",
    "node-restriction.kubernetes.io/team",
    "example.com/team",
    "team",
    "a_b.c",
)
NO_KEYS: Final = ("", "-a", "a/b/c", "UPPER.com/a", "/a", "a b", "a-", "x" * 317)
RESTRICTED_KEYS: Final = (
    "kubernetes.io/hostname",
    "karpenter.sh/registered",
    "a.karpenter.sh/b",
    "karpenter.k8s.aws/instance-colour",
    "a.karpenter.k8s.aws/b",
)


def _requirement(key: str = "example.com/a", operator: str = "In", *values: str, least: Any = None) -> list[Any]:
    stated: dict[str, Any] = {"key": key, "operator": operator, "values": list(values)}
    return [stated | ({} if least is None else {"minValues": least})]


def _requirements(root: str, *, is_pool: bool) -> Iterator[Field]:
    own = "karpenter.sh/nodepool"
    yield Field(
        f"{root}requirements",
        right=(
            [],
            *(_requirement("example.com/a", operator, "1") for operator in ("In", "NotIn", "Gt", "Lt", "Gte", "Lte")),
            *([{"key": "example.com/a", "operator": operator}] for operator in ("Exists", "DoesNotExist", "NotIn")),
            _requirement("example.com/a", "Gt", "0"),
            _requirement("example.com/a", "In", "a", "b", least=2),
            [_requirement(f"example.com/{number}", "In", "a")[0] for number in range(100)],
            *(_requirement(key, "Exists") for key in (*PLAIN_KEYS, *AWS_KEYS)),
            *([] if is_pool else [_requirement(own, "In", "default")]),
            *([] if is_pool else [_requirement("karpenter.k8s.aws/ec2nodeclass", "In", "default")]),
        ),
        wrong=(
            ABSENT,
            "a",
            [_requirement(f"example.com/{number}", "In", "a")[0] for number in range(101)],
            [{"operator": "Exists"}],
            [{"key": "example.com/a"}],
            _requirement("example.com/a", "In"),
            _requirement("example.com/a", "Equals", "a"),
            _requirement("example.com/a", "in", "a"),
            *(_requirement("example.com/a", operator) for operator in ("Gt", "Lt", "Gte", "Lte")),
            *(_requirement("example.com/a", operator, "1", "2") for operator in ("Gt", "Lt", "Gte", "Lte")),
            *(_requirement("example.com/a", operator, "-1") for operator in ("Gt", "Lt", "Gte", "Lte")),
            _requirement("example.com/a", "Gt", "many"),
            _requirement("example.com/a", "In", "a", least=2),
            _requirement("example.com/a", "In", "a", least=0),
            _requirement("example.com/a", "In", *(f"v{number}" for number in range(51)), least=51),
            *(_requirement(key, "Exists") for key in (*NO_KEYS, *RESTRICTED_KEYS)),
            *([_requirement(own, "In", "default")] if is_pool else []),
        ),
        only_lint=(
            _requirement("karpenter.sh/capacity-type", "In", "a"),
            _requirement("karpenter.k8s.aws/instance-tenancy", "In", "host"),
            _requirement("karpenter.sh/capacity-type", "In", "spot", "a", "b", least=2),
        )
        if is_pool
        else (),
    )


def _template(root: str, *, is_pool: bool) -> Iterator[Field]:
    yield from _requirements(root, is_pool=is_pool)
    for name, wrong in (("group", ("karpenter.k8s.aws/v1", "a/")), ("kind", ()), ("name", ())):
        yield Field(f"{root}nodeClassRef.{name}", right=("a", "b.c"), wrong=(ABSENT, "", 1, *wrong))
    yield Field(f"{root}nodeClassRef", wrong=(ABSENT, "default"))
    for name in ("taints", "startupTaints"):
        yield Field(
            f"{root}{name}",
            right=(
                [],
                *([{"key": "a.b/c", "value": "d", "effect": each}] for each in ("NoSchedule", "PreferNoSchedule")),
                [{"key": "a", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}],
                [{"key": "a", "effect": "NoExecute"}, {"key": "a", "effect": "NoSchedule"}],
            ),
            wrong=(
                [{"effect": "NoSchedule"}],
                [{"key": "", "effect": "NoSchedule"}],
                [{"key": "a b", "effect": "NoSchedule"}],
                [{"key": "a", "value": "b c", "effect": "NoSchedule"}],
                [{"key": "a", "effect": "NoRun"}],
                [{"key": "a"}],
                {"key": "a", "effect": "NoSchedule"},
            ),
            only_lint=([{"key": "a", "value": each, "effect": "NoSchedule"} for each in ("x", "y")],)
            if is_pool
            else (),
        )
    yield Field(f"{root}expireAfter", right=(*DURATIONS, "Never"), wrong=(*NO_DURATIONS, "never", 720))
    yield Field(f"{root}terminationGracePeriod", right=DURATIONS, wrong=(*NO_DURATIONS, "Never"))


def pool_fields() -> Iterator[Field]:
    """Those of a NodePool."""
    yield Field("template", wrong=(ABSENT, "a"))
    yield Field("template.spec", wrong=(ABSENT,))
    yield Field(
        "template.metadata", right=({}, {"labels": {"a": "b"}, "annotations": {"c": "d"}}), wrong=({"name": "a"},)
    )
    yield Field(
        "template.metadata.labels",
        right=(
            {},
            {"a": ""},
            {"example.com/a": NAME},
            {f"a{number}": "b" for number in range(100)},
            {"node-role.kubernetes.io/a": "b", "kubernetes.io/b": "c"},
            {"karpenter.sh/capacity-type": "spot"},
            *({key: "a"} for key in (*AWS_KEYS, "karpenter.k8s.aws/ec2nodeclass")),
        ),
        wrong=(
            {f"a{number}": "b" for number in range(101)},
            {"a": f"{NAME}x"},
            {"a": "b c"},
            {"a": "-b"},
            {"a": True},
            {"a": 1},
            {"karpenter.sh/nodepool": "a"},
            *({key: "a"} for key in RESTRICTED_KEYS),
        ),
        only_lint=({"a b": "c"}, {"a/b/c": "d"}),
    )
    yield Field("template.metadata.annotations", right=({}, {"a": "b c, d"}), wrong=({"a": 1}, {"a": True}))
    yield from _template("template.spec.", is_pool=True)
    yield Field("disruption", right=(ABSENT, {}, {"consolidateAfter": "0s"}), wrong=("a",))
    yield Field("disruption.consolidateAfter", right=(*DURATIONS, "Never"), wrong=NO_DURATIONS)
    yield Field(
        "disruption.consolidationPolicy",
        right=("WhenEmpty", "WhenEmptyOrUnderutilized", "Balanced"),
        wrong=("WhenUnderutilized", "whenEmpty", ""),
    )
    yield Field(
        "disruption.budgets",
        right=(
            [],
            [{}],
            [{"nodes": "10%"}] * 50,
            *([{"nodes": each}] for each in ("0", "0%", "100%", "99%", "7", "12345")),
            [{"nodes": "1", "reasons": ["Underutilized", "Empty", "Drifted"]}],
            *(
                [{"nodes": "0", "schedule": each, "duration": "8h"}]
                for each in ("@daily", "@yearly", "0 9 * * mon-fri", "*/5 1,2 1-3 jan 0")
            ),
            *(
                [{"nodes": "0", "schedule": "@daily", "duration": each}]
                for each in ("8h", "30m", "1h30m", "1h30m0s", "8h0s")
            ),
        ),
        wrong=(
            [{"nodes": "10%"}] * 51,
            *([{"nodes": each}] for each in ("101%", "-1", "10 %", "1.5", "a", "", 1)),
            [{"nodes": "1", "reasons": ["Expired"]}],
            [{"nodes": "1", "reasons": ["Empty", "Empty"]}],
            [{"nodes": "0", "schedule": "@daily"}],
            [{"nodes": "0", "duration": "8h"}],
            [{"nodes": "0", "schedule": "daily", "duration": "8h"}],
            [{"nodes": "0", "schedule": "0 9 * *", "duration": "8h"}],
            *(
                [{"nodes": "0", "schedule": "@daily", "duration": each}]
                for each in ("8", "90s", "1d", "30m1h", "8h30s")
            ),
        ),
        only_lint=([{"nodes": "0", "schedule": "61 9 * * *", "duration": "8h"}],),
    )
    yield Field(
        "limits",
        right=({}, {"nodes": "5"}, {"nvidia.com/gpu": 1}, *({"cpu": each} for each in (*QUANTITIES, 20))),
        wrong=(*({"cpu": each} for each in NO_QUANTITIES), [], {"cpu": True}, {"cpu": 1.5}),
    )
    yield Field("weight", right=(1, 100, ABSENT), wrong=(0, 101, -1, "10", 1.5))
    yield Field("replicas", right=(0, 5, ABSENT), wrong=(-1, "5"))
    yield Field("replicas", right=(5,), beside={"limits": {"nodes": "10"}})
    yield Field("replicas", right=(5,), beside={"limits": {}})
    yield Field("replicas", wrong=(5,), beside={"limits": {"cpu": "10"}})
    yield Field("replicas", wrong=(5,), beside={"limits": {"cpu": "10", "nodes": "10"}})
    yield Field("replicas", wrong=(5,), beside={"weight": 10})


def claim_fields() -> Iterator[Field]:
    """Those of a NodeClaim."""
    yield from _template("", is_pool=False)
    yield Field("resources", right=({}, {"requests": {}}), wrong=("a", {"limits": {}}))
    yield Field(
        "resources.requests",
        right=({"cpu": 1, "memory": "1Gi", "pods": "5"},),
        wrong=({"cpu": "a"}, {"cpu": "1 Gi"}),
    )


def _selectors() -> Iterator[Field]:
    tags = {"tags": {"a": "b"}}
    for name, prefix in (("subnetSelectorTerms", "subnet"), ("securityGroupSelectorTerms", "sg")):
        yield Field(
            name,
            right=([{"id": f"{prefix}-0a1"}], [tags], [{"tags": {"a": "*"}}] * 30),
            wrong=(
                ABSENT,
                [],
                [tags] * 31,
                [{}],
                [tags, {}],
                [{"id": "i-1"}],
                [{"id": f"{prefix}-"}],
                [{"id": f"{prefix}-A"}],
                [{"id": f"{prefix}-1", **tags}],
                [{"tags": {"": "b"}}],
                [{"tags": {"a": ""}}],
                [{"tags": {f"a{number}": "b" for number in range(21)}}],
            ),
        )
    yield Field("securityGroupSelectorTerms", right=([{"name": "a"}],), wrong=([{"name": "a", **tags}],))
    yield Field(
        "capacityReservationSelectorTerms",
        right=(
            [],
            [{"id": "cr-1"}],
            [tags],
            [{"instanceMatchCriteria": "open"}],
            [{**tags, "ownerID": "012345678901", "instanceMatchCriteria": "targeted"}],
            [tags] * 30,
        ),
        wrong=(
            [tags] * 31,
            [{}],
            [{"ownerID": "012345678901"}],
            [{"id": "r-1"}],
            [{**tags, "ownerID": "12"}],
            [{"instanceMatchCriteria": "any"}],
            [{"id": "cr-1", **tags}],
            [{"id": "cr-1", "ownerID": "012345678901"}],
        ),
    )
    yield Field(
        "placementGroupSelector", right=({"name": "a"}, {"id": "pg-1"}), wrong=({}, {"name": "a", "id": "pg-1"})
    )
    yield Field("placementGroupSelector.name", right=("a",), wrong=("",))
    yield Field("placementGroupSelector.id", right=("pg-0a",), wrong=("pg-", "a", "pg-A"))


def _images() -> Iterator[Field]:
    families = ("al2", "al2023", "bottlerocket")
    windows = ("windows2019", "windows2022", "windows2025")
    yield Field(
        "amiSelectorTerms",
        right=(
            *([{"alias": f"{each}@latest"}] for each in (*families, *windows)),
            *([{"alias": f"{each}@v1"}] for each in families),
        ),
        wrong=(
            ABSENT,
            [],
            *([{"alias": f"{each}@v1"}] for each in windows),
            *([{"alias": each}] for each in ("al2023", "ubuntu@latest", "@latest", "al2023@", f"al2023@{NAME}")),
            [{"alias": "al2023@latest"}, {"id": "ami-1"}],
            [{"alias": "al2023@latest", "id": "ami-1"}],
            [{"alias": "al2023@latest", "name": "a"}],
            [{"alias": "al2023@latest", "owner": "self"}],
            [{"alias": "al2023@latest", "tags": {"a": "b"}}],
            [{"id": "ami-1"}],
        ),
    )
    yield Field(
        "amiSelectorTerms",
        right=(
            [{"id": "ami-0a"}],
            [{"tags": {"a": "b"}}, {"name": "a*", "owner": "self"}, {"ssmParameter": "/a/b"}],
            [{"id": "ami-1"}] * 30,
        ),
        wrong=(
            [{"id": "ami-1"}] * 31,
            [{"owner": "self"}],
            [{}],
            [{"id": "i-1"}],
            [{"id": "ami-1", "name": "a"}],
            [{"id": "ami-1", "owner": "self"}],
            [{"id": "ami-1", "tags": {"a": "b"}}],
            [{"tags": {"a": ""}}],
        ),
        beside={"amiFamily": "AL2023"},
    )
    yield Field("amiFamily", right=(ABSENT, "AL2023", "Custom"), wrong=("AL2", "Bottlerocket", "Ubuntu", ""))
    names = ("AL2", "AL2023", "Bottlerocket", "Custom", "Windows2019", "Windows2022", "Windows2025")
    yield Field("amiFamily", right=names, wrong=(ABSENT,), beside={"amiSelectorTerms": [{"id": "ami-1"}]})


def _instances() -> Iterator[Field]:
    for name in ("associatePublicIPAddress", "detailedMonitoring"):
        yield Field(name, right=(True, False, ABSENT), wrong=("true", 1))
    yield Field("ipPrefixCount", right=(0, 5), wrong=(-1, "5"))
    yield Field("userData", right=("", "#!/bin/sh\n"), wrong=(1,))
    yield Field("context", right=("a",), wrong=(1,))
    yield Field("role", right=("node",), wrong=(ABSENT, "", 1))
    yield Field("instanceProfile", wrong=("profile",))
    yield Field("instanceProfile", right=("profile",), wrong=("", ABSENT), beside={"role": ABSENT})
    yield Field(
        "tags",
        right=({}, {"a": "", "Name": "b"}, {"karpenter.sh/discovery": "c"}),
        wrong=(
            {"": "a"},
            {"eks:eks-cluster-name": "a"},
            {"kubernetes.io/cluster/a": "owned"},
            {"kubernetes.io/cluster": "a"},
            {"karpenter.sh/nodepool": "a"},
            {"karpenter.sh/nodeclaim": "a"},
            {"karpenter.k8s.aws/ec2nodeclass": "a"},
            {"a": 1},
        ),
    )
    yield Field("instanceStorePolicy", right=("RAID0",), wrong=("RAID1", ""))
    for name in ("httpEndpoint", "httpProtocolIPv6"):
        yield Field(f"metadataOptions.{name}", right=("enabled", "disabled"), wrong=("on", True))
    yield Field("metadataOptions.httpPutResponseHopLimit", right=(1, 64), wrong=(0, 65, "1"))
    yield Field("metadataOptions.httpTokens", right=("required", "optional"), wrong=("none",))
    yield Field("metadataOptions", right=({}, ABSENT), wrong=("a",))
    yield Field("connectionTracking", wrong=({},))
    for name, least, most in (
        ("tcpEstablishedTimeout", 60, 432000),
        ("udpStreamTimeout", 60, 180),
        ("udpTimeout", 30, 60),
    ):
        yield Field(f"connectionTracking.{name}", right=(least, most), wrong=(least - 1, most + 1, "60"))
    yield Field("cpuOptions", right=({},), wrong=("a",))
    yield Field("cpuOptions.nestedVirtualization", right=("enabled", "disabled"), wrong=("on", True))
    yield Field(
        "networkInterfaces",
        right=(
            [],
            [_interface(0, 0)],
            [_interface(0, 0), _interface(1, 1, "efa-only"), _interface(2, 1, "efa-only"), _interface(0, 1)],
            [_interface(0, 0), *(_interface(card, 1) for card in range(1, 150))],
        ),
        wrong=(
            [_interface(0, 0), *(_interface(card, 1) for card in range(1, 151))],
            [_interface(1, 0)],
            [_interface(0, 0, "efa-only")],
            [_interface(0, 0), _interface(0, 0)],
            [_interface(0, 0), _interface(1, 1, "efa-only"), _interface(1, 2, "efa-only")],
            [_interface(0, 0), _interface(-1, 0)],
            [_interface(0, 0), _interface(1, -1)],
            [_interface(0, 0), _interface(1, 0, "efa")],
            *([{key: value for key, value in _interface(0, 0).items() if key != name}] for name in _interface(0, 0)),
        ),
    )


def _interface(card: int, device: int, kind: str = "interface") -> dict[str, Any]:
    return {"networkCardIndex": card, "deviceIndex": device, "interfaceType": kind}


def _disks() -> Iterator[Field]:
    def disk(**ebs: Any) -> list[Any]:
        return [{"deviceName": "/dev/xvda", "ebs": ebs}]

    sizes = ("1Gi", "20Gi", "59000Gi", "64000G", "1Ti", "58Ti", "64T", "1T")
    no_sizes = ("0Gi", "59001Gi", "64001G", "59Ti", "65T", "20", "20GB", "1.5Gi", "Gi", 20)
    kinds = ("standard", "io1", "io2", "gp2", "sc1", "st1", "gp3")
    yield Field(
        "blockDeviceMappings",
        right=(
            [],
            [{"deviceName": "/dev/xvda"}],
            [{"rootVolume": True, **disk(volumeSize="1Gi")[0]}, {"rootVolume": False, **disk(volumeSize="1Gi")[0]}],
            disk(volumeSize="1Gi") * 50,
            *(disk(volumeSize=each) for each in sizes),
            *(disk(volumeSize="1Gi", volumeType=each) for each in kinds),
            disk(snapshotID="snap-1"),
            *(disk(snapshotID="snap-1", volumeInitializationRate=each) for each in (100, 300)),
            disk(volumeSize="1Gi", deleteOnTermination=True, encrypted=False, iops=3000, throughput=125, kmsKeyID="k"),
        ),
        wrong=(
            disk(volumeSize="1Gi") * 51,
            [{"rootVolume": True, **disk(volumeSize="1Gi")[0]}] * 2,
            disk(),
            disk(encrypted=True),
            *(disk(volumeSize=each) for each in no_sizes),
            disk(volumeSize="1Gi", volumeType="gp4"),
            *(disk(snapshotID="snap-1", volumeInitializationRate=each) for each in (99, 301)),
            disk(volumeSize="1Gi", volumeInitializationRate=100),
            disk(volumeSize="1Gi", volumeInitializationRate=100, snapshotID=""),
            *(
                disk(volumeSize="1Gi", **{name: "a"})
                for name in ("iops", "throughput", "encrypted", "deleteOnTermination")
            ),
            [{"rootVolume": "yes"}],
        ),
    )


def _kubelet() -> Iterator[Field]:
    yield Field("kubelet", right=({},), wrong=("a",))
    yield Field("kubelet.clusterDNS", right=([], ["10.0.0.10", "fd00::a"]), wrong=("10.0.0.10",))
    yield Field("kubelet.podsPerCore", right=(0, 110), wrong=(-1, "110"))
    yield Field("kubelet.maxPods", right=(0, 110, "110", "min(110, max_pods)"), wrong=(-1, True, 1.5))
    yield Field("kubelet.maxPods", only_lint=("many", "min(110,", "instance_type"))
    for name in ("systemReserved", "kubeReserved"):
        yield Field(
            f"kubelet.{name}",
            right=(
                {},
                *({key: "1"} for key in ("cpu", "memory", "ephemeral-storage", "pid")),
                *({"cpu": each} for each in QUANTITIES),
            ),
            wrong=({"gpu": "1"}, {"cpu": "-1"}, {"cpu": 1}),
            # An expression may stand there, so the API server does not look into the text.
            only_lint=tuple({"cpu": each} for each in NO_QUANTITIES),
        )
        yield Field(f"kubelet.{name}", right=({"cpu": "max(60, vcpus * 30)", "memory": "11 * max_pods + 255"},))
    signals = (
        "memory.available",
        "nodefs.available",
        "nodefs.inodesFree",
        "imagefs.available",
        "imagefs.inodesFree",
        "pid.available",
    )
    yield Field(
        "kubelet.evictionHard",
        right=({}, *({each: "5%"} for each in signals), *({signals[0]: each} for each in PERCENT_OR_QUANTITY)),
        wrong=({"memory": "5%"}, {signals[0]: "101%"}, {signals[0]: "5 %"}, {signals[0]: "a"}),
    )
    both = {signals[0]: "5%"}
    yield Field("kubelet.evictionSoft", wrong=(both,))
    yield Field("kubelet.evictionSoftGracePeriod", wrong=({signals[0]: "1m"},))
    yield Field(
        "kubelet",
        right=[{"evictionSoft": both, "evictionSoftGracePeriod": {signals[0]: each}} for each in ("1m", "1m30s")],
        wrong=(
            {"evictionSoft": both, "evictionSoftGracePeriod": {signals[1]: "1m"}},
            {"evictionSoft": both, "evictionSoftGracePeriod": {signals[0]: "1d"}},
            {"evictionSoft": {"a": "5%"}, "evictionSoftGracePeriod": {"a": "1m"}},
            {"imageGCHighThresholdPercent": 50, "imageGCLowThresholdPercent": 50},
            {"imageGCHighThresholdPercent": 50, "imageGCLowThresholdPercent": 60},
        ),
    )
    yield Field("kubelet", right=({"imageGCHighThresholdPercent": 60, "imageGCLowThresholdPercent": 50},))
    yield Field("kubelet.evictionMaxPodGracePeriod", right=(60,), wrong=("60",))
    for name in ("imageGCHighThresholdPercent", "imageGCLowThresholdPercent"):
        yield Field(f"kubelet.{name}", right=(0, 100), wrong=(-1, 101, "50"))
    yield Field("kubelet.cpuCFSQuota", right=(True, False), wrong=("true",))
    passed_on: dict[str, Any] = {
        "featureGates": {"Foo": True},
        "registryPullQPS": 7,
        "memorySwap": {"swapBehavior": "NoSwap"},
        "reservedMemory": [{"numaNode": 0, "limits": {"memory": "1Gi"}}],
        "evictionMinimumReclaim": {"memory.available": "5%"},
        "shutdownGracePeriod": "30s",
        "memoryThrottlingFactor": 0.9,
    }
    yield Field("kubelet", right=(passed_on,))
    not_passed_on: tuple[dict[str, Any], ...] = (
        {"registryPullQps": 7},
        {"registryPullQPS": "7"},
        {"featureGates": {"Foo": "true"}},
        {"memorySwap": {"behavior": "NoSwap"}},
        {"containerLogMaxSize": 50},
        {"evictionMinimumReclaim": {"memory": "5%"}},
        {"registerWithTaints": []},
    )
    yield Field("kubelet", only_lint=not_passed_on)
    yield Field("kubelet", right=(passed_on,), beside={"amiFamily": "Custom"})
    bottlerocket = {"amiSelectorTerms": [{"alias": "bottlerocket@latest"}]}
    yield Field("kubelet", only_lint=(passed_on,), beside=bottlerocket)


def node_class_fields() -> Iterator[Field]:
    """Those of an EC2NodeClass."""
    yield from _selectors()
    yield from _images()
    yield from _instances()
    yield from _disks()
    yield from _kubelet()


@dataclass(frozen=True)
class Case:
    """One manifest, and whether it is right; a wrong one may be one that only lint refuses."""

    name: str
    manifest: Mapping[str, Any]
    is_right: bool
    is_only_lint: bool = False


BASES: Final = {
    "NodePool": ("karpenter.sh/v1", POOL, pool_fields),
    "NodeClaim": ("karpenter.sh/v1", CLAIM, claim_fields),
    "EC2NodeClass": ("karpenter.k8s.aws/v1", NODE_CLASS, node_class_fields),
}


def cases(kind: str) -> Iterator[Case]:
    """Every case of a kind."""
    _, _, fields = BASES[kind]
    for each in fields():
        for values, is_right, is_only_lint in (
            (each.right, True, False),
            (each.wrong, False, False),
            (each.only_lint, False, True),
        ):
            for value in values:
                shown = "absent" if value is ABSENT else str(value)[:100]
                manifest = _manifest(kind, {**each.beside, each.path: value})
                yield Case(f"{each.path}={shown}", manifest, is_right, is_only_lint)


def _manifest(kind: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    api_version, base, _ = BASES[kind]
    spec: dict[str, Any] = copy.deepcopy(dict(base))
    for path, value in changes.items():
        *way, last = path.split(".")
        at = spec
        for step in way:
            at = at.setdefault(step, {})
        if value is ABSENT:
            at.pop(last, None)
        else:
            at[last] = value
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, "spec": spec}
