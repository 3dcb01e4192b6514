{{/* Names, labels and images. Every name of an object goes through "teams-presence-relay.name", so that no release name makes one too long. */}}

{{- define "teams-presence-relay.chart-name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "teams-presence-relay.base" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains (include "teams-presence-relay.chart-name" .) .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "teams-presence-relay.chart-name" .) -}}
{{- end -}}
{{- end -}}

{{/* A name of at most 52 characters, as CronJobs and StatefulSets need it, without points and with a letter first, as Services do. Takes (dict "root" $ "suffix" "edge").
     One that is too long is cut, and a hash keeps it apart from others that are cut at the same place. */}}
{{- define "teams-presence-relay.name" -}}
{{- $base := include "teams-presence-relay.base" .root | replace "." "-" -}}
{{- if regexMatch "^[0-9]" $base -}}{{- $base = printf "r-%s" $base -}}{{- end -}}
{{- $suffix := ternary (printf "-%s" .suffix) "" (ne (default "" .suffix) "") -}}
{{- $room := sub 52 (len $suffix) | int -}}
{{- if gt (len $base) $room -}}
{{- $base = printf "%s-%s" ($base | trunc (sub $room 7 | int) | trimSuffix "-") (sha256sum $base | trunc 6) -}}
{{- end -}}
{{- printf "%s%s" $base $suffix -}}
{{- end -}}

{{/* Labels that never change between versions: the selectors of workloads are immutable. Takes root and component. */}}
{{- define "teams-presence-relay.selector" -}}
app.kubernetes.io/name: {{ include "teams-presence-relay.chart-name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* All labels of an object. Takes root, component and, optionally, labels. Ours win: selectors need them. */}}
{{- define "teams-presence-relay.labels" -}}
{{- $ours := include "teams-presence-relay.selector" . | fromYaml -}}
{{- $_ := set $ours "app.kubernetes.io/part-of" "teams-presence-relay" -}}
{{- $_ := set $ours "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- if not .isPod -}}
{{- $_ := set $ours "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- $_ := set $ours "app.kubernetes.io/version" (.root.Chart.AppVersion | toString) -}}
{{- end -}}
{{- $given := mergeOverwrite (dict) (deepCopy .root.Values.commonLabels) (deepCopy (default (dict) .labels)) -}}
{{- toYaml (mergeOverwrite $given $ours) -}}
{{- end -}}

{{/* The head of an object: name, namespace, labels, annotations. Takes root, component, suffix, labels, annotations. */}}
{{- define "teams-presence-relay.metadata" -}}
name: {{ include "teams-presence-relay.name" (dict "root" .root "suffix" .suffix) }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "teams-presence-relay.labels" . | nindent 2 }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* An image's reference. Takes root and image. */}}
{{- define "teams-presence-relay.image-of" -}}
{{- $registry := default .image.registry (default (dict) .root.Values.global).imageRegistry -}}
{{- $name := ternary (printf "%s/%s" $registry .image.repository) .image.repository (ne (default "" $registry) "") -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.image.tag | default .root.Chart.AppVersion | toString) -}}
{{- end -}}
{{- end -}}

{{- define "teams-presence-relay.pull-secrets" -}}
{{- $names := list -}}
{{- /* A parent chart may write names, or objects with a name. */ -}}
{{- range concat (default (list) (default (dict) .Values.global).imagePullSecrets) .Values.image.pullSecrets -}}
{{- $names = append $names (kindIs "map" . | ternary (get (kindIs "map" . | ternary . (dict)) "name") .) -}}
{{- end -}}
{{- with uniq $names }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* The service account of a component. Takes root, component and role. */}}
{{- define "teams-presence-relay.service-account" -}}
{{- if .role.serviceAccount.name -}}
{{- .role.serviceAccount.name -}}
{{- else if .role.serviceAccount.create -}}
{{- include "teams-presence-relay.name" (dict "root" .root "suffix" .component) -}}
{{- else -}}
default
{{- end -}}
{{- end -}}
