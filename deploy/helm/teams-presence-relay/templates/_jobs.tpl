{{/* Pods that run once. Takes root and component; the caller writes containers and volumes. */}}

{{- define "teams-presence-relay.hook" -}}
helm.sh/hook: {{ .hook }}
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{/* The pod of a Job up to its containers. Takes root, component, role and, optionally, serviceAccount and hasToken. */}}
{{- define "teams-presence-relay.job-pod" -}}
metadata:
  labels:
    {{- include "teams-presence-relay.labels" (dict "root" .root "component" .component "labels" .role.podLabels "isPod" true) | nindent 4 }}
  {{- with .role.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  restartPolicy: Never
  {{- with include "teams-presence-relay.pull-secrets" .root | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  serviceAccountName: {{ .serviceAccount | default "default" | quote }}
  {{- $security := include "teams-presence-relay.pod-security" .root }}
  {{- if .hasToken }}
  {{- $security = $security | replace "automountServiceAccountToken: false" "automountServiceAccountToken: true" }}
  {{- end }}
  {{- $security | nindent 2 }}
  {{- with include "teams-presence-relay.placement" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}
