"""The kubelet's settings beyond those that nodesmith reads: name to type, as in kubelet.config.k8s.io/v1beta1.

The names and types are Kubernetes' (KubeletConfiguration of release 1.35). They are only checked and handed on: a node
of AL2023 gets them as they are. `registerWithTaints` is missing on purpose: taints are the NodePool's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final


def _names(text: str) -> list[str]:
    return text.split()


_TEXTS: Final = _names("""
    address apiVersion cgroupDriver cgroupRoot clusterDomain configMapAndSecretChangeDetectionStrategy
    containerLogMaxSize containerRuntimeEndpoint contentType cpuManagerPolicy hairpinMode healthzBindAddress
    imagePullCredentialsVerificationPolicy imageServiceEndpoint kind kubeReservedCgroup kubeletCgroups
    memoryManagerPolicy podCIDR podLogsDir providerID reservedSystemCPUs resolvConf showHiddenMetricsForVersion
    staticPodPath staticPodURL systemCgroups systemReservedCgroup tlsCertFile tlsMinVersion tlsPrivateKeyFile
    topologyManagerPolicy topologyManagerScope volumePluginDir
""")
_DURATIONS: Final = _names("""
    containerLogMonitorInterval cpuCFSQuotaPeriod cpuManagerReconcilePeriod evictionPressureTransitionPeriod
    fileCheckFrequency httpCheckFrequency imageMaximumGCAge imageMinimumGCAge nodeStatusReportFrequency
    nodeStatusUpdateFrequency runtimeRequestTimeout shutdownGracePeriod shutdownGracePeriodCriticalPods
    streamingConnectionIdleTimeout syncFrequency volumeStatsAggPeriod
""")
_NUMBERS: Final = _names("""
    containerLogMaxFiles containerLogMaxWorkers eventBurst eventRecordQPS healthzPort iptablesDropBit
    iptablesMasqueradeBit kubeAPIBurst kubeAPIQPS maxOpenFiles maxParallelImagePulls nodeLeaseDurationSeconds
    nodeStatusMaxImages oomScoreAdj podPidsLimit port readOnlyPort registryBurst registryPullQPS
""")
_SWITCHES: Final = _names("""
    cgroupsPerQOS enableContentionProfiling enableControllerAttachDetach enableDebugFlagsHandler
    enableDebuggingHandlers enableProfilingHandler enableServer enableSystemLogHandler enableSystemLogQuery
    failCgroupV1 failSwapOn kernelMemcgNotification localStorageCapacityIsolation makeIPTablesUtilChains
    mergeDefaultEvictionSettings protectKernelDefaults registerNode rotateCertificates runOnce seccompDefault
    serializeImagePulls serverTLSBootstrap singleProcessOOMKill
""")
_LISTS: Final = _names("""
    allowedUnsafeSysctls enforceNodeAllocatable preloadedImagesVerificationAllowlist tlsCipherSuites
""")
_TABLES: Final = _names("cpuManagerPolicyOptions qosReserved topologyManagerPolicyOptions")

_OUTPUT: Final = {"splitStream": bool, "infoBufferSize": str}
_NESTED: Final[Mapping[str, Any]] = {
    "authentication": {
        "anonymous": {"enabled": bool},
        "webhook": {"cacheTTL": str, "enabled": bool},
        "x509": {"clientCAFile": str},
    },
    "authorization": {"mode": str, "webhook": {"cacheAuthorizedTTL": str, "cacheUnauthorizedTTL": str}},
    "crashLoopBackOff": {"maxContainerRestartPeriod": str},
    "featureGates": Mapping[str, bool],
    "logging": {
        "flushFrequency": int | str,
        "format": str,
        "options": {"json": _OUTPUT, "text": _OUTPUT},
        "verbosity": int,
        "vmodule": tuple[Any, ...],
    },
    "memorySwap": {"swapBehavior": str},
    "memoryThrottlingFactor": float,
    "reservedMemory": tuple[Any, ...],
    "shutdownGracePeriodByPodPriority": tuple[Any, ...],
    "staticPodURLHeader": Mapping[str, tuple[str, ...]],
    "tracing": {"endpoint": str, "samplingRatePerMillion": int},
    "userNamespaces": {"idsPerPod": int},
}

OTHER_FIELDS: Final[Mapping[str, Any]] = {
    **dict.fromkeys((*_TEXTS, *_DURATIONS), str),
    **dict.fromkeys(_NUMBERS, int),
    **dict.fromkeys(_SWITCHES, bool),
    **dict.fromkeys(_LISTS, tuple[str, ...]),
    **dict.fromkeys(_TABLES, Mapping[str, str]),
    **_NESTED,
}
"""Field to the type of its value; a mapping instead of a type is an object with such fields."""
