"""Settings against Karpenter's flags: names, defaults, and what it takes and refuses."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import nodesmith
from nodesmith.api.schedulerconfig import parse_scheduler_config
from nodesmith.settings import SETTINGS, SettingsError, flag_of, load, unheeded, variable_of

PEER: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data" / "api" / "defaults.json").read_text())
NEEDED = {"CLUSTER_NAME": "shop"}


def test_every_flag_is_there_under_the_same_names() -> None:
    ours = {flag_of(name): variable_of(name) for name in SETTINGS}
    assert {each["flag"]: each["env"] for each in PEER["flags"]}.items() <= ours.items()


@pytest.mark.parametrize("flag", PEER["flags"], ids=lambda flag: flag["flag"])
def test_the_default_is_what_karpenter_s_default_means(flag: dict[str, str]) -> None:
    name = flag["flag"].replace("-", "_")
    if not SETTINGS[name].is_required:
        stated = SETTINGS[name].parse(flag["default"])
        assert getattr(load([], NEEDED), name) == stated


@pytest.mark.parametrize("trial", PEER["trials"], ids=lambda trial: " ".join(trial["args"]))
def test_it_takes_and_refuses_what_karpenter_does(trial: dict[str, Any]) -> None:
    if trial["isRefused"]:
        with pytest.raises(SettingsError):
            load(trial["args"], {})
    else:
        load(trial["args"], {})


def test_flags_win_and_may_be_written_in_three_ways() -> None:
    settings = load(["--metrics-port=1", "--isolated-vpc", "-log-level", "debug"], NEEDED | {"METRICS_PORT": "2"})
    assert (settings.metrics_port, settings.isolated_vpc, settings.log_level) == (1, True, "debug")
    assert load([], NEEDED | {"ISOLATED_VPC": "true", "BATCH_IDLE_DURATION": ""}).isolated_vpc


def test_all_faults_are_told_at_once_each_with_its_name() -> None:
    with pytest.raises(SettingsError) as caught:
        load(
            ["--metrics-prt=1", "--metrics-port"],
            {"LOG_LEVEL": "loud", "RESERVED_ENIS": "-1", "HEALTH_PROBE_PORT": "70000"},
        )
    assert caught.value.faults == (
        "--metrics-prt=1: is not a setting; did you mean --metrics-port?",
        "--metrics-port: needs a value",
        "--cluster-name or CLUSTER_NAME: must be set",
        "RESERVED_ENIS: -1 is below 0",
        "HEALTH_PROBE_PORT: 70000 is no port: the highest is 65535",
        'LOG_LEVEL: "loud" is not one of debug, info, error',
    )


def test_the_idle_window_is_within_the_longest() -> None:
    batch = load([], NEEDED | {"BATCH_IDLE_DURATION": "2s"}).batch
    assert (batch.idle, batch.longest) == (timedelta(seconds=2), timedelta(seconds=10))
    with pytest.raises(SettingsError, match="batch-idle-duration"):
        load([], NEEDED | {"BATCH_IDLE_DURATION": "11s"})


def test_two_servers_need_two_ports() -> None:
    with pytest.raises(SettingsError) as caught:
        load(["--metrics-port=8081", "--batch-idle-duration=20s"], NEEDED)
    assert list(caught.value.faults) == [
        "--batch-idle-duration: must not be above --batch-max-duration",
        "--health-probe-port: 8081 is the --metrics-port too",
    ]
    assert load(["--metrics-port=0", "--health-probe-port=0"], NEEDED).metrics_port == 0


def test_gates_keep_their_defaults_unless_named() -> None:
    gates = load(["--feature-gates=NodeRepair=true,reservedcapacity=false,Unheard=true"], NEEDED).feature_gates
    assert (gates.node_repair, gates.reserved_capacity, gates.static_capacity) == (True, False, False)
    assert load([], NEEDED | {"AWS_FEATURE_GATES": "NodeClassCEL=true"}).aws_feature_gates.node_class_cel


def test_a_cpu_request_of_nothing_is_the_default() -> None:
    assert load(["--cpu-requests=0"], NEEDED).cpu_request_milli == 1000
    assert load(["--cpu-requests=2500"], NEEDED).cpu_request_milli == 2500


def test_the_scheduler_s_default_spread_is_read() -> None:
    text = (
        "podTopologySpread: {defaultConstraints: [{maxSkew: 2, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]}"
    )
    [constraint] = load([f"--scheduler-config={text}"], NEEDED).scheduler_config
    assert (constraint.max_skew, constraint.topology_key, constraint.is_hard) == (2, "zone", False)


def _config(arguments: str) -> str:
    profile = f"{{pluginConfig: [{{name: NodeAffinity}}, {{name: PodTopologySpread, args: {arguments}}}]}}"
    return f"{{kind: KubeSchedulerConfiguration, profiles: [{{schedulerName: other}}, {profile}]}}"


def test_the_scheduler_s_own_configuration_is_read_too() -> None:
    listed = (
        "{defaultingType: List, defaultConstraints: [{maxSkew: 2, topologyKey: z, whenUnsatisfiable: DoNotSchedule}]}"
    )
    [constraint] = parse_scheduler_config(_config(listed))
    assert (constraint.max_skew, constraint.topology_key, constraint.is_hard) == (2, "z", True)
    assert parse_scheduler_config(_config("{defaultingType: List}")) == ()
    for system in (_config("{}"), _config("{defaultingType: System}"), "{kind: KubeSchedulerConfiguration}"):
        told = [(each.topology_key, each.max_skew, each.is_hard) for each in parse_scheduler_config(system)]
        assert told == [("kubernetes.io/hostname", 3, False), ("topology.kubernetes.io/zone", 5, False)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[", "not YAML"),
        ("{kind: KubeSchedulerConfiguration, profiles: 1}", "profiles must be a list"),
        (_config("{defaultConstraints: [{maxSkew: 1}]}"), "not heeded without `defaultingType: List`"),
        (_config("{defaultingType: List, defaultConstraints: [{maxSkew: 0}]}"), "maxSkew must be a number above 0"),
        ("[1]", "the document must be an object"),
        ("{podTopologySpred: {}}", "`podTopologySpred` is not a field"),
        ("{podTopologySpread: {defaultConstraints: 1}}", "must be a list"),
        ("{podTopologySpread: {defaultConstraints: [1]}}", "must be an object"),
        ("{podTopologySpread: {defaultConstraints: [{maxSkew: 0}]}}", "maxSkew must be a number above 0"),
        ("{podTopologySpread: {defaultConstraints: [{labelSelector: {}}]}}", "comes from the pod"),
        ("{podTopologySpread: {defaultConstraints: [{maxSkw: 1}]}}", "did you mean `maxSkew`?"),
        (
            (
                "podTopologySpread: {defaultConstraints: ["
                "{maxSkew: 1, topologyKey: z, whenUnsatisfiable: DoNotSchedule}, "
                "{maxSkew: 2, topologyKey: z, whenUnsatisfiable: DoNotSchedule}]}"
            ),
            "z with DoNotSchedule is listed twice",
        ),
    ],
)
def test_a_wrong_scheduler_config_is_refused(text: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load([], NEEDED | {"SCHEDULER_CONFIG": text})
    assert says in str(caught.value)


def test_a_setting_that_changes_nothing_is_told_when_somebody_chose_it() -> None:
    assert unheeded(load([], NEEDED)) == []
    assert unheeded(load(["--aws-feature-gates=NodeClassCEL=true"], NEEDED)) == []
    of_the_chart = {"MEMORY_LIMIT": "1073741824", "KARPENTER_SERVICE": "karpenter", "EKS_CONTROL_PLANE": "false"}
    assert unheeded(load([], NEEDED | of_the_chart)) == []
    chosen = [
        "--aws-feature-gates=RebootForRepair=true",
        "--memory-limit=1",
        "--legacy-node-repair",
        "--feature-gates=TerminateFirstDrift=true",
    ]
    assert unheeded(load(chosen, NEEDED)) == [
        "legacy-node-repair",
        "feature-gates: terminate_first_drift",
        "aws-feature-gates: reboot_for_repair",
    ]


def test_a_setting_is_read_somewhere_or_said_to_be_without_effect() -> None:
    package = Path(str(nodesmith.__file__)).parent
    texts = [path.read_text() for path in package.rglob("*.py") if path.name != "settings.py" or "aws" in path.parts]
    batch = {"batch_idle_duration", "batch_max_duration"}
    for name, each in SETTINGS.items():
        is_read = any(f"settings.{name}" in text for text in texts)
        assert is_read is each.is_heeded or name in batch, name


def test_improving_is_limited_by_the_batch_unless_somebody_says_how_long() -> None:
    assert load([], NEEDED | {"PRICING_DEADLINE": ""}).pricing_deadline is None
    assert load(["--pricing-deadline=0s"], NEEDED).pricing_deadline == timedelta(0)
    assert load([], NEEDED | {"PRICING_DEADLINE": "5s"}).pricing_deadline == timedelta(seconds=5)
