{{/* Pods: what every one has, whatever runs in it. */}}

{{/* The fields of a pod that runs under Pod Security `restricted`. OpenShift refuses users and groups that it did not choose. */}}
{{- define "teams-presence-relay.pod-security" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  {{- if not .Values.openshift }}
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{- define "teams-presence-relay.container-security" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* Where a pod may run. Takes root, component and role. Valkey's image has other architectures than the relay's. */}}
{{- define "teams-presence-relay.placement" -}}
{{- with .role.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .role.runtimeClassName }}
runtimeClassName: {{ . | quote }}
{{- end }}
{{- with .role.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .role.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $affinity := deepCopy .role.affinity }}
{{- with ternary (list) .root.Values.image.architectures (eq .component "valkey") }}
{{- $term := dict "key" "kubernetes.io/arch" "operator" "In" "values" . }}
{{- $node := default (dict) $affinity.nodeAffinity }}
{{- if not (hasKey $node "requiredDuringSchedulingIgnoredDuringExecution") }}
{{- $terms := dict "nodeSelectorTerms" (list (dict "matchExpressions" (list $term))) }}
{{- $_ := set $node "requiredDuringSchedulingIgnoredDuringExecution" $terms }}
{{- $_ := set $affinity "nodeAffinity" $node }}
{{- end }}
{{- end }}
{{- with $affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "teams-presence-relay.spread" -}}
{{- if hasKey .role "topologySpreadConstraints" }}
{{- with .role.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- else }}
topologySpreadConstraints:
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "teams-presence-relay.selector" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- end -}}

{{/* An HTTP probe on the ops port. Takes path and probe. */}}
{{- define "teams-presence-relay.probe" -}}
httpGet:
  path: {{ .path }}
  port: ops
periodSeconds: {{ .probe.periodSeconds }}
timeoutSeconds: {{ .probe.timeoutSeconds }}
failureThreshold: {{ .probe.failureThreshold }}
{{- end -}}

{{/* The wait between a pod's deletion and SIGTERM, in which Services and balancers learn that it goes. Needs no shell. */}}
{{- define "teams-presence-relay.pre-stop" -}}
{{- if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}
sleep:
  seconds: {{ .Values.shutdown.preStopSeconds }}
{{- else }}
exec:
  command: [sleep, {{ .Values.shutdown.preStopSeconds | quote }}]
{{- end }}
{{- end -}}

{{/* The chart's variables but those that the operator sets: a name that is there twice is refused by a server-side apply. Takes root,
     component, roles and role. */}}
{{- define "teams-presence-relay.env-beside" -}}
{{- $ours := include "teams-presence-relay.env" . | trim -}}
{{- if .role.extraEnv -}}
{{- $theirs := list -}}
{{- range .role.extraEnv -}}{{- $theirs = append $theirs (trimSuffix "_FILE" .name) -}}{{- end -}}
{{- $left := list -}}
{{- range fromYamlArray $ours -}}
{{- if not (has (trimSuffix "_FILE" .name) $theirs) -}}{{- $left = append $left . -}}{{- end -}}
{{- end -}}
{{- toYaml $left -}}
{{- else -}}
{{- $ours -}}
{{- end -}}
{{- end -}}

{{/* The relay's container. Takes root, component, roles and role. */}}
{{- define "teams-presence-relay.container" -}}
- name: relay
  image: {{ include "teams-presence-relay.image-of" (dict "root" .root "image" .root.Values.image) | quote }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  args:
    - serve
    {{- range .roles }}
    - {{ . }}
    {{- end }}
  {{- include "teams-presence-relay.container-security" . | nindent 2 }}
  env:
    {{- include "teams-presence-relay.env-beside" . | nindent 4 }}
    {{- with .role.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .role.extraEnvFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  ports:
    {{- range .roles }}
    {{- if ne . "worker" }}
    - name: {{ . }}
      containerPort: {{ get (dict "edge" 8443 "web" 8080 "webhook" 8081 "console" 8082) . }}
    {{- end }}
    {{- end }}
    - name: ops
      containerPort: 9090
  startupProbe:
    {{- include "teams-presence-relay.probe" (dict "path" "/livez" "probe" .role.startupProbe) | nindent 4 }}
  readinessProbe:
    {{- include "teams-presence-relay.probe" (dict "path" "/readyz" "probe" .role.readinessProbe) | nindent 4 }}
  livenessProbe:
    {{- include "teams-presence-relay.probe" (dict "path" "/livez" "probe" .role.livenessProbe) | nindent 4 }}
  {{- if .root.Values.shutdown.preStopSeconds }}
  lifecycle:
    preStop:
      {{- with include "teams-presence-relay.pre-stop" .root | trim }}
      {{- . | nindent 6 }}
      {{- end }}
  {{- end }}
  resources:
    {{- toYaml .role.resources | nindent 4 }}
  volumeMounts:
    - name: tmp
      mountPath: /tmp
    {{- with include "teams-presence-relay.volume-mounts" . | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with .role.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "teams-presence-relay.tmp-volume" -}}
- name: tmp
  emptyDir:
    medium: Memory
    sizeLimit: 64Mi
{{- end -}}

{{/* The container of a Job that runs a command of the relay. Takes root, component, roles, role, name, args, resources and,
     optionally, isEarly and extraMounts. */}}
{{- define "teams-presence-relay.command-container" -}}
- name: {{ .name }}
  image: {{ include "teams-presence-relay.image-of" (dict "root" .root "image" .root.Values.image) | quote }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  args:
    {{- toYaml .args | nindent 4 }}
  {{- include "teams-presence-relay.container-security" . | nindent 2 }}
  env:
    {{- include "teams-presence-relay.env-beside" . | nindent 4 }}
    {{- with .role.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .role.extraEnvFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  resources:
    {{- toYaml .resources | nindent 4 }}
  volumeMounts:
    - name: tmp
      mountPath: /tmp
    {{- with include "teams-presence-relay.volume-mounts" . | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with .extraMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
