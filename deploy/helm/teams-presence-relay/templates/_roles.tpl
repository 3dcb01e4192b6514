{{/* Which roles run, and what their pods are like. */}}

{{/* The components that run, as {"items": [...]}: "all", or the roles; the console is one of its own beside both. */}}
{{- define "teams-presence-relay.components" -}}
{{- $items := list -}}
{{- if eq .Values.mode "all" -}}
{{- $items = list "all" -}}
{{- else -}}
{{- range list "edge" "worker" "webhook" "web" -}}
{{- if (get $.Values .).enabled -}}
{{- $items = append $items . -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if .Values.console.enabled -}}
{{- $items = append $items "console" -}}
{{- end -}}
{{- dict "items" $items | toJson -}}
{{- end -}}

{{/* The roles in a component, as {"items": [...]}. Takes root and component. */}}
{{- define "teams-presence-relay.roles" -}}
{{- $items := list .component -}}
{{- if eq .component "all" -}}
{{- $items = list -}}
{{- range list "edge" "worker" "webhook" "web" -}}
{{- if (get $.root.Values .).enabled -}}
{{- $items = append $items . -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "items" $items | toJson -}}
{{- end -}}

{{/* The component whose pods serve a role. Takes root and role. */}}
{{- define "teams-presence-relay.component-of" -}}
{{- ternary "all" .role (eq .root.Values.mode "all") -}}
{{- end -}}

{{/* Values of a component: those of `pod`, under its own. Takes root and component. */}}
{{- define "teams-presence-relay.role" -}}
{{- mergeOverwrite (deepCopy .root.Values.pod) (deepCopy (get .root.Values .component)) | toJson -}}
{{- end -}}

{{/* Pods that run at the least. Takes role. */}}
{{- define "teams-presence-relay.replicas" -}}
{{- if .role.autoscaling.enabled -}}
{{- .role.autoscaling.minReplicas -}}
{{- else if hasKey .role "replicas" -}}
{{- .role.replicas -}}
{{- else -}}
{{- ternary 1 2 (has .component (list "all" "console")) -}}
{{- end -}}
{{- end -}}

{{/* Seconds from the deletion of a pod to the end of its process. Takes root and component. */}}
{{- define "teams-presence-relay.least-grace" -}}
{{- $shutdown := .root.Values.shutdown -}}
{{- $drain := ternary $shutdown.drainSeconds 0 (or (eq .component "edge") (eq .component "all")) -}}
{{- add $shutdown.preStopSeconds $drain $shutdown.marginSeconds -}}
{{- end -}}

{{- define "teams-presence-relay.grace" -}}
{{- default (include "teams-presence-relay.least-grace" . | int) .role.terminationGracePeriodSeconds -}}
{{- end -}}

{{/* Whether change notifications are used: GCC High and DoD have none. Empty means no. */}}
{{- define "teams-presence-relay.notifies" -}}
{{- $cloud := dig "cloud" "name" "global" .Values.config -}}
{{- if and .Values.webhook.enabled (not (has $cloud (list "gcc-high" "dod"))) -}}true{{- end -}}
{{- end -}}

{{/* Up at once, down one pod at a time, and not before its streams could move. */}}
{{- define "teams-presence-relay.scaling-behavior" -}}
behavior:
  scaleUp:
    stabilizationWindowSeconds: 0
  scaleDown:
    stabilizationWindowSeconds: {{ .role.autoscaling.scaleDownWindowSeconds }}
    policies:
      - type: Pods
        value: 1
        periodSeconds: {{ max 60 (include "teams-presence-relay.grace" . | int) }}
{{- end -}}
