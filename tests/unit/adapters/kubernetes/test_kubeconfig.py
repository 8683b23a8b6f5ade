import base64
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from nodesmith.adapters.kubernetes import kubeconfig
from nodesmith.adapters.kubernetes.kubeconfig import ClientCertificate, Exec, KubeconfigError

EKS = """
apiVersion: v1
kind: Config
current-context: prod
clusters:
  - name: prod
    cluster:
      server: https://ABC.gr7.ap-northeast-2.eks.amazonaws.com/
      certificate-authority-data: Y2EtcGVt
contexts:
  - name: prod
    context: {cluster: prod, user: aws, namespace: web}
  - name: other
    context: {cluster: prod, user: nobody}
users:
  - name: aws
    user:
      exec:
        apiVersion: client.authentication.k8s.io/v1beta1
        command: aws
        args: [eks, get-token, --cluster-name, prod]
        env: [{name: AWS_PROFILE, value: dev}]
        installHint: install the AWS CLI
        provideClusterInfo: false
"""


def written(folder: Path, text: str, name: str = "config") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_what_eks_writes_is_understood(tmp_path: Path) -> None:
    connection = kubeconfig.load([written(tmp_path, EKS)])
    assert connection.server == "https://ABC.gr7.ap-northeast-2.eks.amazonaws.com"
    assert connection.ca == b"ca-pem"
    assert connection.namespace == "web"
    assert connection.exec is not None
    assert connection.exec.arguments == ("eks", "get-token", "--cluster-name", "prod")
    assert connection.exec.command == "aws"
    assert connection.exec.environment == (("AWS_PROFILE", "dev"),)
    assert connection.exec.install_hint == "install the AWS CLI"
    assert connection.exec.api_version == "client.authentication.k8s.io/v1beta1"


def test_files_are_read_beside_the_kubeconfig_and_data_goes_before_them(tmp_path: Path) -> None:
    (tmp_path / "pki").mkdir()
    for name in ("ca", "crt", "key"):
        (tmp_path / "pki" / name).write_text(name)
    cluster = {"server": "https://127.0.0.1:6443", "certificate-authority": "pki/ca", "tls-server-name": "kubernetes"}
    user = {
        "client-certificate": "pki/crt",
        "client-certificate-data": base64.b64encode(b"other").decode(),
        "client-key": "pki/key",
    }
    connection = kubeconfig.load([written(tmp_path, config_of(cluster, user))])
    assert connection.ca == b"ca"
    assert connection.tls_server_name == "kubernetes"
    assert connection.certificate == ClientCertificate(b"other", b"key")


def test_the_first_of_several_files_wins(tmp_path: Path) -> None:
    first = written(tmp_path, config_of({"server": "https://first"}, {"token": "t"}), "first")
    second = written(tmp_path, EKS, "second")
    paths = kubeconfig.default_paths({"KUBECONFIG": f"{first}:{second}:{tmp_path / 'missing'}"})
    assert kubeconfig.load(paths).server == "https://first"
    assert kubeconfig.load(paths, context="prod").exec is not None


def test_everything_that_a_kubeconfig_says_is_heard(tmp_path: Path) -> None:
    cluster = {"server": "https://x", "insecure-skip-tls-verify": True, "proxy-url": "http://proxy:3128"}
    plugin = {
        "command": "./bin/token",
        "env": [{"name": "LEVEL", "value": 3}],
        "provideClusterInfo": True,
        "installHint": "ask the platform team",
    }
    user = {"tokenFile": "run/token", "username": "who", "password": "word", "exec": plugin}
    connection = kubeconfig.load([written(tmp_path, config_of(cluster, user))])
    assert (connection.verifies, connection.proxy) == (False, "http://proxy:3128")
    assert connection.token_file == tmp_path / "run" / "token"
    assert connection.basic == ("who", "word")
    assert connection.exec == Exec(
        str(tmp_path / "bin" / "token"),
        environment=(("LEVEL", "3"),),
        provides_cluster_info=True,
        install_hint="ask the platform team",
    )
    plain = kubeconfig.load([written(tmp_path, config_of({"server": "https://x"}, {"token": "t"}))])
    assert (plain.verifies, plain.proxy, plain.token, plain.namespace) == (True, "", "t", "default")


@pytest.mark.parametrize(
    ("context", "says"),
    [("missing", "no context 'missing' .it has: other, prod."), ("other", "no user 'nobody'")],
)
def test_a_name_that_is_not_there_is_told_with_those_that_are(tmp_path: Path, context: str, says: str) -> None:
    with pytest.raises(KubeconfigError, match=says):
        kubeconfig.load([written(tmp_path, EKS)], context=context)


@pytest.mark.parametrize(
    ("user", "says"),
    [
        ({"as": "admin"}, "'as', which is not supported"),
        ({"auth-provider": {"name": "gcp"}}, "not supported"),
        ({"client-certificate-data": "eA=="}, "without its key"),
        ({"client-certificate-data": "not base64!"}, "cannot be read"),
        ({"exec": {"args": []}}, "no command"),
    ],
)
def test_a_user_we_cannot_be_is_an_error(tmp_path: Path, user: dict[str, object], says: str) -> None:
    with pytest.raises(KubeconfigError, match=says):
        kubeconfig.load([written(tmp_path, config_of({"server": "https://x"}, user))])


@pytest.mark.parametrize("text", ["[", "just words", "current-context: a"])
def test_what_is_no_kubeconfig_is_said_so(tmp_path: Path, text: str) -> None:
    with pytest.raises(KubeconfigError):
        kubeconfig.load([written(tmp_path, text)])


def test_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match="no kubeconfig at"):
        kubeconfig.load([tmp_path / "none"])
    assert kubeconfig.default_paths({}) == [Path("~/.kube/config").expanduser()]


def test_inside_a_pod(tmp_path: Path) -> None:
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    with pytest.raises(KubeconfigError, match="no service account is mounted"):
        kubeconfig.in_cluster(environment, tmp_path)
    (tmp_path / "ca.crt").write_text("pem")
    (tmp_path / "namespace").write_text("kube-system\n")
    connection = kubeconfig.in_cluster(environment, tmp_path)
    assert connection is not None
    assert connection.server == "https://[fd00::1]:443"
    assert connection.namespace == "kube-system"
    assert connection.token_file == tmp_path / "token"
    assert connection.ca == b"pem"
    assert kubeconfig.in_cluster({}, tmp_path) is None


def config_of(cluster: Mapping[str, object], user: Mapping[str, object]) -> str:
    return yaml.safe_dump(
        {
            "current-context": "x",
            "clusters": [{"name": "c", "cluster": dict(cluster)}],
            "users": [{"name": "u", "user": dict(user)}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        }
    )
