{{/* How single values must be written. The schema knows types; a pattern of the schema would be shown to people as it is, so it is here, with words. */}}

{{/* Each value that is null although it has a default. Templates could not use it. */}}
{{- define "teams-presence-relay.check-nulls" -}}
{{- $sections := dict "" .Values }}
{{- range $path := splitList "\n" (include "teams-presence-relay.paths" .) }}
{{- $key := last (splitList "." $path) }}
{{- $above := trimSuffix "." (trimSuffix $key $path) }}
{{- with get $sections $above }}
{{- $value := get . $key }}
{{- if or (not (hasKey . $key)) (kindIs "invalid" $value) }}
{{ $path }} is null: remove it, and it has its default{{ if $.Release.IsUpgrade }}; if you did not write it, use --reset-then-reuse-values instead of --reuse-values{{ end }}.
{{- else if kindIs "map" $value }}
{{- $_ := set $sections $path $value }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "teams-presence-relay.check-shapes" -}}
{{- include "teams-presence-relay.shapes-below" (dict "path" "" "value" .Values "shapes" (include "teams-presence-relay.shapes" . | fromJson)) }}
{{- $endpoint := dig "telemetry" "otlpEndpoint" "" .Values.config }}
{{- if and $endpoint (not (regexMatch "^https?://[^/ ]+" $endpoint)) }}
config.telemetry.otlpEndpoint is {{ $endpoint }}: begin it with https://, such as https://collector.example.com:4317.
{{- end }}
{{- end -}}

{{/* The faults of all texts in a map and below. Takes path, value and shapes. */}}
{{- define "teams-presence-relay.shapes-below" -}}
{{- range $key, $value := .value }}
{{- $path := trimPrefix "." (printf "%s.%s" $.path $key) }}
{{- if kindIs "map" $value }}
{{- if not (regexMatch "^(config|global|.*[lL]abels|.*[aA]nnotations|.*resources|.*affinity|backup\\.upload\\.container|metrics\\.(dashboards\\.extra|prometheusRule\\.groups))$" $path) }}
{{- include "teams-presence-relay.shapes-below" (dict "path" $path "value" $value "shapes" $.shapes) }}
{{- end }}
{{- else if and (kindIs "string" $value) (hasKey $.shapes $key) }}
{{- $shape := get $.shapes $key }}
{{- if and $value (not (regexMatch $shape.like $value)) }}
{{ $path }} is {{ $value }}: {{ $shape.words }}.
{{- else if and (not $value) $shape.needed }}
{{ $path }} is empty: {{ $shape.words }}.
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The last key of a path -> how its text must be written, and the words for one that is not. `needed`: it may not be empty. */}}
{{- define "teams-presence-relay.shapes" -}}
{{- $name := dict "like" "^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$" "words" "write the name of an object of Kubernetes: lower-case letters, digits, points and hyphens" }}
{{- $host := dict "like" "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$" "words" "write the DNS name alone, in lower case, such as relay.example.com" }}
{{- $lifetime := dict "like" "^([0-9]+(h|m|s))+$" "words" "write hours, minutes or seconds, such as 2160h" }}
{{- $time := dict "like" "^([0-9]{1,5}(h|m|s|ms)){1,4}$" "words" "write a number and a unit, such as 30s" "needed" true }}
{{- $registry := dict "like" "^[A-Za-z0-9.-]+(:[0-9]+)?(/[a-z0-9._/-]+)?$" "words" "write the registry's name without https://, such as registry.example.com" }}
{{- dict
      "host" $host
      "hostname" $host
      "existingSecret" $name
      "existingClaim" $name
      "secretName" $name
      "caConfigMap" $name
      "name" (dict "like" "^[A-Za-z0-9]([-A-Za-z0-9._:]{0,251}[A-Za-z0-9])?$" "words" "write a name: letters, digits, points, hyphens and underscores")
      "url" (dict "like" "^rediss?(\\+(sentinel|cluster))?://[^ ]+$" "words" "begin it with rediss:// or redis://; for other topologies with rediss+sentinel:// or rediss+cluster://")
      "registry" $registry
      "imageRegistry" $registry
      "repository" (dict "like" "^([A-Za-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*$" "words" "write it in lower case and without a tag, which has a value of its own")
      "tag" (dict "like" "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$" "words" "write a tag such as 0.1.0; a digest goes into digest")
      "digest" (dict "like" "^sha256:[0-9a-f]{64}$" "words" "write sha256: and 64 hexadecimal digits")
      "size" (dict "like" "^[0-9]+(\\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$" "words" "write an amount such as 2Gi" "needed" true)
      "duration" $lifetime
      "renewBefore" $lifetime
      "requestTimeout" $time
      "interval" $time
      "scrapeTimeout" $time
      "schedule" (dict "like" "^(@(hourly|daily|midnight|weekly|monthly|yearly|annually)|[0-9*?/,A-Za-z-]+( +[0-9*?/,A-Za-z-]+){4})$" "words" "write the five fields of cron, minute first, such as 17 2 * * *" "needed" true)
      "clientId" (dict "like" "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$" "words" "copy the application (client) id of the app registration, 36 characters such as 00000000-0000-0000-0000-000000000000")
      "site" (dict "like" "^https?://[^ ?#]+$" "words" "begin it with https://, such as https://docs.example.com/relay")
      "address" (dict "like" "^[^/ ]+:[0-9]+$" "words" "write host:port, such as relay.example.com:443")
    | toJson }}
{{- end -}}
