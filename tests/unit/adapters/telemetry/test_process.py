from nodesmith.adapters.clock import RealClock
from nodesmith.adapters.telemetry.metrics import PrometheusMetrics
from nodesmith.adapters.telemetry.process import build_labels, tell_process
from nodesmith.ports.log import NoLog


def test_what_runs_is_told_in_upstreams_words_and_what_it_uses_in_prometheus_own() -> None:
    metrics = PrometheusMetrics(RealClock(), NoLog())
    tell_process(metrics)
    text = metrics.text()[0].decode()
    assert build_labels()["version"]
    assert f'karpenter_build_info{{commit="",goarch="{build_labels()["goarch"]}"' in text
    used = {line.split()[0]: float(line.split()[1]) for line in text.splitlines() if line.startswith("process_")}
    assert used["process_resident_memory_bytes"] > 1_000_000
    assert used["process_cpu_seconds_total"] > 0
