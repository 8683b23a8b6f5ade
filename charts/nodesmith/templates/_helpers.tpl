{{/* The name of everything that is made; Karpenter's unless another is chosen. */}}
{{- define "nodesmith.fullname" -}}
{{- .Values.fullnameOverride | default "karpenter" | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "nodesmith.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "nodesmith.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{- define "nodesmith.selectorLabels" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default "karpenter" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "nodesmith.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "nodesmith.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.additionalLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* metadata.annotations on lines of their own, when there are any: those of everything, and those given. */}}
{{- define "nodesmith.annotations" -}}
{{- with merge (dict) (.more | default dict) .root.Values.additionalAnnotations -}}
{{- dict "annotations" . | toYaml | nindent $.indent -}}
{{- end -}}
{{- end }}

{{- define "nodesmith.image" -}}
{{- $image := .Values.controller.image -}}
{{- if $image.digest -}}
{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* Gates as NAME=true,NAME=false, with the first letter in upper case, sorted. */}}
{{- define "nodesmith.gates" -}}
{{- $pairs := list -}}
{{- range $name, $on := . -}}
{{- $pairs = append $pairs (printf "%s%s=%t" (upper (substr 0 1 $name)) (substr 1 (len $name) $name) $on) -}}
{{- end -}}
{{- join "," ($pairs | sortAlpha) -}}
{{- end }}

{{/* Terms and constraints that name no pods mean the controller's own. */}}
{{- define "nodesmith.affinity" -}}
{{- $affinity := deepCopy .Values.affinity -}}
{{- $own := dict "matchLabels" (include "nodesmith.selectorLabels" . | fromYaml) -}}
{{- range $kind := list "podAffinity" "podAntiAffinity" -}}
{{- with index $affinity $kind -}}
{{- range (.requiredDuringSchedulingIgnoredDuringExecution | default list) -}}
{{- if not .labelSelector -}}{{- $_ := set . "labelSelector" $own -}}{{- end -}}
{{- end -}}
{{- range (.preferredDuringSchedulingIgnoredDuringExecution | default list) -}}
{{- if not .podAffinityTerm.labelSelector -}}{{- $_ := set .podAffinityTerm "labelSelector" $own -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $affinity -}}
{{- end }}

{{- define "nodesmith.topologySpread" -}}
{{- $own := dict "matchLabels" (include "nodesmith.selectorLabels" . | fromYaml) -}}
{{- $constraints := list -}}
{{- range .Values.topologySpreadConstraints -}}
{{- $constraints = append $constraints (merge (deepCopy .) (dict "labelSelector" $own)) -}}
{{- end -}}
{{- toYaml $constraints -}}
{{- end }}

{{/* A setting as an environment variable, whatever its value: false and 0 count too. Nothing and "" leave the default. */}}
{{- define "nodesmith.setting" -}}
{{- if and (not (kindIs "invalid" .value)) (ne (toString .value) "") }}
- name: {{ .name }}
  value: {{ .value | toString | quote }}
{{- end }}
{{- end }}

{{/* The value that controller.env gives a variable, or what is given as default. */}}
{{- define "nodesmith.variable" -}}
{{- $found := .default -}}
{{- range .root.Values.controller.env -}}
{{- if and (eq .name $.name) .value -}}{{- $found = .value -}}{{- end -}}
{{- end -}}
{{- $found -}}
{{- end }}

{{- define "nodesmith.leaseName" -}}
{{- include "nodesmith.variable" (dict "root" . "name" "LEADER_ELECTION_NAME" "default" "karpenter-leader-election") -}}
{{- end }}

{{- define "nodesmith.leaseNamespace" -}}
{{- include "nodesmith.variable" (dict "root" . "name" "LEADER_ELECTION_NAMESPACE" "default" .Release.Namespace) -}}
{{- end }}

{{- define "nodesmith.settings" -}}
{{- $settings := .Values.settings -}}
{{- range $name, $value := dict
  "CLUSTER_NAME" $settings.clusterName
  "CLUSTER_ENDPOINT" $settings.clusterEndpoint
  "CLUSTER_CA_BUNDLE" $settings.clusterCABundle
  "INTERRUPTION_QUEUE" $settings.interruptionQueue
  "BATCH_MAX_DURATION" $settings.batchMaxDuration
  "BATCH_IDLE_DURATION" $settings.batchIdleDuration
  "PREFERENCE_POLICY" $settings.preferencePolicy
  "MIN_VALUES_POLICY" $settings.minValuesPolicy
  "PRICING_POLICY" $settings.pricing.policy
  "PRICING_DEADLINE" $settings.pricing.deadline
  "PRICING_SPOT_RISK" $settings.pricing.spotRisk
  "ISOLATED_VPC" $settings.isolatedVPC
  "EKS_CONTROL_PLANE" $settings.eksControlPlane
  "VM_MEMORY_OVERHEAD_PERCENT" $settings.vmMemoryOverheadPercent
  "ENABLE_ZONAL_SHIFT" $settings.enableZonalShift
  "RESERVED_ENIS" $settings.reservedENIs
  "NOMINATE_PODS" $settings.nominatePods
  "SCHEDULER_CONFIG" $settings.schedulerConfig
  "IGNORE_DRA_REQUESTS" $settings.ignoreDRARequests
  "DISABLE_CLUSTER_STATE_OBSERVABILITY" $settings.disableClusterStateObservability
  "DISABLE_DRY_RUN" $settings.disableDryRun
  "AMI_REFRESH_INTERVAL" $settings.amiRefreshInterval
  "SUBNET_REFRESH_INTERVAL" $settings.subnetRefreshInterval
  "SECURITY_GROUP_REFRESH_INTERVAL" $settings.securityGroupRefreshInterval
  "FEATURE_GATES" (include "nodesmith.gates" $settings.featureGates)
  "AWS_FEATURE_GATES" (include "nodesmith.gates" $settings.awsFeatureGates)
  "LOG_LEVEL" .Values.logLevel
  "LOG_OUTPUT_PATHS" (join "," .Values.logOutputPaths)
  "LOG_ERROR_OUTPUT_PATHS" (join "," .Values.logErrorOutputPaths)
  "METRICS_PORT" .Values.controller.metrics.port
  "HEALTH_PROBE_PORT" .Values.controller.healthProbe.port
-}}
{{- include "nodesmith.setting" (dict "name" $name "value" $value) }}
{{- end -}}
{{- end }}
