{{/* Rules of NetworkPolicies. A rule names ports always, and peers where they are known. */}}

{{/* An egress rule. Takes ports, to (a list of peers; empty: anywhere) and, optionally, udp. */}}
{{- define "teams-presence-relay.egress" -}}
- ports:
    {{- range .ports }}
    {{- if $.udp }}
    - protocol: UDP
      port: {{ . }}
    {{- end }}
    - protocol: TCP
      port: {{ . }}
    {{- end }}
  {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* The port of an address like https://collector:4317 or http://[fd00::1]:4318/v1/traces. */}}
{{- define "teams-presence-relay.port-of" -}}
{{- $port := regexReplaceAll "^https?://([^/?]*).*$" . "${1}" | regexFind ":[0-9]+$" | trimPrefix ":" -}}
{{- $port | default (ternary "443" "80" (hasPrefix "https" .)) -}}
{{- end -}}

{{- define "teams-presence-relay.dns-rules" -}}
{{- $dns := .Values.networkPolicy.dns }}
{{ include "teams-presence-relay.egress" (dict "ports" $dns.ports "to" $dns.to "udp" true) }}
{{- if .Values.openshift }}
{{- $servers := dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" "openshift-dns")) }}
{{ include "teams-presence-relay.egress" (dict "ports" (list 5353) "to" (list $servers) "udp" true) }}
{{- end }}
{{- end -}}

{{/* What a process may reach. Takes root and roles. */}}
{{- define "teams-presence-relay.egress-rules" -}}
{{- $policy := .root.Values.networkPolicy }}
{{- $config := .root.Values.config }}
{{ include "teams-presence-relay.dns-rules" .root | trim }}
{{- if .root.Values.valkey.enabled }}
{{- $valkey := dict "podSelector" (dict "matchLabels" (include "teams-presence-relay.selector" (dict "root" .root "component" "valkey") | fromYaml)) }}
{{ include "teams-presence-relay.egress" (dict "ports" (list 6379) "to" (list $valkey)) }}
{{- else }}
{{ include "teams-presence-relay.egress" (dict "ports" $policy.redis.ports "to" $policy.redis.to) }}
{{- end }}
{{- if or (has "worker" .roles) (has "web" .roles) (has "webhook" .roles) (has "console" .roles) }}
{{ include "teams-presence-relay.egress" (dict "ports" $policy.microsoft.ports "to" $policy.microsoft.to) }}
{{- end }}
{{- if and (dig "mail" "host" "" $config) (or (has "worker" .roles) (has "web" .roles)) }}
{{ include "teams-presence-relay.egress" (dict "ports" (list (dig "mail" "port" 587 $config | int)) "to" $policy.mail.to) }}
{{- end }}
{{- with dig "telemetry" "otlpEndpoint" "" $config }}
{{ include "teams-presence-relay.egress" (dict "ports" (list (include "teams-presence-relay.port-of" . | int)) "to" $policy.otlp.to) }}
{{- end }}
{{- end -}}
