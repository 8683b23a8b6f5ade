"""The chart, through Helm itself, and what it makes, through a real API server."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodesmith.settings import load
from tests.e2e.controlplane import ControlPlane

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "nodesmith"
VALUES = sorted((Path(__file__).parent / "data" / "values").glob("*.yaml"))
Manifest = dict[str, Any]

every_value_set = pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)


class Helm:
    def __init__(self, programs: Path, home: Path) -> None:
        self._program = programs / "helm"
        self._environment = {"HOME": str(home)}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self._program), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=self._environment, timeout=60)

    def template(self, *arguments: str, chart: Path = CHART) -> list[Manifest]:
        command = ("template", "karpenter", str(chart), "--namespace=kube-system", "--kube-version=1.34", *arguments)
        done = self.run(*command)
        assert done.returncode == 0, done.stderr
        return [each for each in yaml.safe_load_all(done.stdout) if each]


@pytest.fixture
def helm(programs: Path, tmp_path: Path) -> Helm:
    return Helm(programs, tmp_path)


def only(manifests: list[Manifest], kind: str) -> Manifest:
    [found] = [each for each in manifests if each["kind"] == kind]
    return found


def controller_of(manifests: list[Manifest]) -> Manifest:
    container: Manifest = only(manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    return container


def environment_of(manifests: list[Manifest]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in controller_of(manifests)["env"] if "value" in each}


@pytest.mark.parametrize("chart", ["nodesmith", "nodesmith-crd"])
def test_helm_finds_nothing_wrong(helm: Helm, chart: str) -> None:
    settings = ["--set=settings.clusterName=shop"] if chart == "nodesmith" else []
    done = helm.run("lint", "--strict", str(ROOT / "charts" / chart), *settings)
    assert done.returncode == 0, done.stdout


@every_value_set
def test_an_api_server_accepts_what_is_made(helm: Helm, bare_plane: ControlPlane, values: Path, tmp_path: Path) -> None:
    made = [each for each in helm.template(f"--values={values}") if each["kind"] != "ServiceMonitor"]
    manifests = tmp_path / "manifests.yaml"
    manifests.write_text(yaml.safe_dump_all(made))
    done = bare_plane.kubectl(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", f"--filename={manifests}"
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(made)


@every_value_set
def test_the_controller_understands_its_settings(helm: Helm, values: Path) -> None:
    settings = load([], environment_of(helm.template(f"--values={values}")))
    assert settings.cluster_name == "shop"


def test_a_values_file_for_karpenter_does_what_it_says(helm: Helm) -> None:
    made = helm.template(f"--values={CHART.parents[1] / 'tests/e2e/data/values/as-written.yaml'}")
    account = only(made, "ServiceAccount")["metadata"]
    assert (account["namespace"], account["name"]) == ("kube-system", "karpenter")
    assert account["annotations"]["eks.amazonaws.com/role-arn"].endswith(":role/KarpenterControllerRole")
    deployment = only(made, "Deployment")["spec"]
    assert deployment["replicas"] == 1
    [term] = deployment["template"]["spec"]["affinity"]["nodeAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]["nodeSelectorTerms"]
    assert [each["key"] for each in term["matchExpressions"]] == [
        "karpenter.sh/nodepool",
        "eks.amazonaws.com/nodegroup",
    ]
    assert controller_of(made)["resources"]["requests"] == {"cpu": "50m", "memory": "512Mi"}
    assert environment_of(made)["INTERRUPTION_QUEUE"] == "Karpenter-shop-SpotInterruptionQueue"


def test_no_means_no(helm: Helm) -> None:
    made = helm.template(f"--values={CHART.parents[1] / 'tests/e2e/data/values/switched-off.yaml'}")
    settings = load([], environment_of(made))
    assert settings.ignore_dra_requests is False
    assert settings.vm_memory_overhead_percent == 0
    assert settings.feature_gates.reserved_capacity is False
    assert {each["kind"] for each in made} & {"ServiceAccount", "PodDisruptionBudget"} == set()


def test_the_role_is_about_the_lease_that_the_controller_is_told(helm: Helm) -> None:
    def lease_of(*arguments: str) -> tuple[str, str]:
        made = helm.template("--set=settings.clusterName=shop", *arguments)
        [role] = [each for each in made if each["kind"] == "Role" and each["metadata"]["name"] == "karpenter"]
        [named] = [rule for rule in role["rules"] if "resourceNames" in rule]
        return role["metadata"]["namespace"], named["resourceNames"][0]

    assert lease_of() == ("kube-system", "karpenter-leader-election")
    name = "--set=controller.env[0].name=LEADER_ELECTION_NAME,controller.env[0].value=mine"
    assert lease_of(name) == ("kube-system", "mine")
    namespace = "controller.env[1].name=LEADER_ELECTION_NAMESPACE,controller.env[1].value=other"
    assert lease_of(f"{name},{namespace}") == ("other", "mine")


def test_the_role_knows_overlays_and_buffers_when_they_are_switched_on(helm: Helm) -> None:
    def resources(*gates: str) -> set[str]:
        made = helm.template("--set=settings.clusterName=shop", *(f"--set=settings.featureGates.{on}" for on in gates))
        [role] = [each for each in made if each["kind"] == "ClusterRole" and each["metadata"]["name"] == "karpenter"]
        return {resource for rule in role["rules"] for resource in rule["resources"]}

    plain = resources()
    assert resources("nodeOverlay=true") - plain == {"nodeoverlays", "nodeoverlays/status"}
    buffers = {
        "capacitybuffers",
        "capacitybuffers/status",
        "deployments",
        "replicasets",
        "statefulsets",
        "podtemplates",
    }
    assert resources("capacityBuffer=true") - plain == buffers


def test_what_nobody_says_is_as_in_karpenters_chart(helm: Helm) -> None:
    made = helm.template("--set=settings.clusterName=shop")
    deployment = only(made, "Deployment")["spec"]
    assert (deployment["replicas"], deployment["revisionHistoryLimit"]) == (2, 10)
    assert deployment["strategy"] == {"rollingUpdate": {"maxUnavailable": 1}}
    pod = deployment["template"]["spec"]
    assert pod["priorityClassName"] == "system-cluster-critical"
    assert pod["securityContext"] == {"fsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    assert pod["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert pod["tolerations"] == [{"key": "CriticalAddonsOnly", "operator": "Exists"}]
    assert (pod["dnsPolicy"], "hostNetwork" in pod) == ("ClusterFirst", False)
    [term] = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": "karpenter.sh/nodepool", "operator": "DoesNotExist"}]
    [apart] = pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert apart["topologyKey"] == "kubernetes.io/hostname"
    [spread] = pod["topologySpreadConstraints"]
    assert (spread["maxSkew"], spread["topologyKey"], spread["whenUnsatisfiable"]) == (
        1,
        "topology.kubernetes.io/zone",
        "DoNotSchedule",
    )
    container = controller_of(made)
    assert "resources" not in container
    assert {each["name"]: each["containerPort"] for each in container["ports"]} == {"http-metrics": 8080, "http": 8081}
    probes = {name: container[name] for name in ("livenessProbe", "readinessProbe")}
    assert {
        name: (each["httpGet"], each["initialDelaySeconds"], each["timeoutSeconds"]) for name, each in probes.items()
    } == {
        "livenessProbe": ({"path": "/healthz", "port": "http"}, 30, 30),
        "readinessProbe": ({"path": "/readyz", "port": "http"}, 5, 30),
    }


def test_the_charts_settings_are_the_programs_defaults(helm: Helm) -> None:
    environment = environment_of(helm.template("--set=settings.clusterName=shop"))
    assert load([], environment) == load(["--cluster-name=shop", "--karpenter-service=karpenter"], {})


def test_the_budget_the_service_and_the_monitor_are_about_the_controllers_pods(helm: Helm) -> None:
    made = helm.template(f"--values={CHART.parents[1] / 'tests/e2e/data/values/monitored.yaml'}")
    labels = only(made, "Deployment")["spec"]["template"]["metadata"]["labels"].items()
    budget = only(made, "PodDisruptionBudget")
    assert (budget["metadata"]["name"], budget["spec"]["maxUnavailable"]) == ("karpenter", 1)
    service, monitor = only(made, "Service"), only(made, "ServiceMonitor")
    for selector in (budget["spec"]["selector"]["matchLabels"], service["spec"]["selector"]):
        assert selector
        assert selector.items() <= labels
    [port] = service["spec"]["ports"]
    assert (port["name"], port["port"], port["targetPort"]) == ("http-metrics", 8080, "http-metrics")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": [service["metadata"]["namespace"]]}
    assert monitor["spec"]["sampleLimit"] == 50000
    assert monitor["spec"]["endpoints"] == [{"port": "http-metrics", "path": "/metrics", "interval": "30s"}]


def test_the_controller_is_told_what_it_was_given(helm: Helm) -> None:
    made = helm.template(f"--values={CHART.parents[1] / 'tests/e2e/data/values/as-written.yaml'}")
    told = {each["name"]: each["valueFrom"] for each in controller_of(made)["env"] if "valueFrom" in each}
    assert {name: told[name]["resourceFieldRef"]["resource"] for name in ("CPU_REQUESTS", "MEMORY_LIMIT")} == {
        "CPU_REQUESTS": "requests.cpu",
        "MEMORY_LIMIT": "limits.memory",
    }
    assert told["CPU_REQUESTS"]["resourceFieldRef"]["divisor"] == "1m"
    assert told["SYSTEM_NAMESPACE"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}


def test_who_administers_the_cluster_may_change_the_manifests(helm: Helm) -> None:
    roles = [each for each in helm.template("--set=settings.clusterName=shop") if each["kind"] == "ClusterRole"]
    [admin] = [each for each in roles if each["metadata"]["name"] == "karpenter-admin"]
    assert admin["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-admin"] == "true"
    assert {resource for rule in admin["rules"] for resource in rule["resources"]} >= {
        "nodepools",
        "nodeclaims",
        "ec2nodeclasses",
    }


def test_the_crds_are_the_same_in_a_chart_of_their_own(helm: Helm) -> None:
    shipped = {
        each["metadata"]["name"]: each
        for file in (CHART / "crds").glob("*.yaml")
        for each in [yaml.safe_load(file.read_text())]
    }
    made = {each["metadata"]["name"]: each for each in helm.template(chart=ROOT / "charts" / "nodesmith-crd")}
    assert made == shipped
    assert len(made) == 5
    marked = helm.template("--set=additionalAnnotations.owner=platform", chart=ROOT / "charts" / "nodesmith-crd")
    assert {each["metadata"]["annotations"]["owner"] for each in marked} == {"platform"}


def test_terms_without_a_selector_mean_the_controllers_own_pods(helm: Helm) -> None:
    pod = only(helm.template("--set=settings.clusterName=shop"), "Deployment")["spec"]["template"]
    [apart] = pod["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    [spread] = pod["spec"]["topologySpreadConstraints"]
    for selector in (apart["labelSelector"], spread["labelSelector"]):
        assert selector["matchLabels"]
        assert selector["matchLabels"].items() <= pod["metadata"]["labels"].items()


def test_the_container_can_do_nothing_it_need_not(helm: Helm) -> None:
    context = controller_of(helm.template("--set=settings.clusterName=shop"))["securityContext"]
    assert context == {
        "privileged": False,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "clusterName"),
        (["--set=settings.clusterName=shop,settings.interruptionQueu=q"], "interruptionQueu"),
        (["--set=settings.clusterName=shop,settings.batchIdleDuration=1"], "batchIdleDuration"),
        (["--set=settings.clusterName=shop,logLevel=loud"], "logLevel"),
        (["--set=settings.clusterName=shop,replica=3"], "replica"),
    ],
)
def test_values_that_are_wrong_are_refused(helm: Helm, arguments: list[str], says: str) -> None:
    done = helm.run("template", "karpenter", str(CHART), "--kube-version=1.34", *arguments)
    assert done.returncode != 0
    assert says in done.stderr
