{{/* Environment variables and mounted Secrets of the relay's processes. Each Secret is a folder under /etc/presence-relay, because a
     file that is mounted alone is never updated. */}}

{{- define "teams-presence-relay.folder" -}}/etc/presence-relay{{- end -}}

{{/* The Secrets that roles mount, as {"mounts": {NAME: {secret, items}}}. Takes root, component, roles and, optionally, isEarly: for
     a process that runs before anything of the release exists, which mounts no Secret that cert-manager makes. */}}
{{- define "teams-presence-relay.mounts" -}}
{{- $values := .root.Values -}}
{{- $mounts := dict -}}
{{- range $name := list "redis" "vault" -}}
{{- $given := get $values $name -}}
{{- if $given.existingSecret -}}
{{- $key := default $given.key (get $given.keys $.component) -}}
{{- $_ := set $mounts (printf "%s-url" $name) (dict "secret" $given.existingSecret "items" (dict $key "url")) -}}
{{- end -}}
{{- with (get $values $name).ca -}}
{{- if .existingSecret -}}
{{- $_ := set $mounts (printf "%s-ca" $name) (dict "secret" .existingSecret "items" (dict .key "ca.crt")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $ring := $values.keyRing -}}
{{- $secret := include "teams-presence-relay.key-ring-secret" .root -}}
{{- if include "teams-presence-relay.opens-grants" .roles -}}
{{- $_ := set $mounts "key-ring" (dict "secret" $secret "items" (dict $ring.key "key-ring.json")) -}}
{{- else if has "edge" .roles -}}
{{- $_ := set $mounts "mark-keys" (dict "secret" $secret "items" (dict $ring.publicKey "key-ring.json.pub")) -}}
{{- end -}}
{{- if or (has "worker" .roles) (has "web" .roles) -}}
{{- range $name := list "credential" "secondCredential" -}}
{{- $given := get $values.entra $name -}}
{{- if $given.existingSecret -}}
{{- $items := dict -}}
{{- if $given.clientSecretKey -}}
{{- $items = dict $given.clientSecretKey "client-secret" -}}
{{- else -}}
{{- $items = dict $given.certificateKey "tls.crt" $given.privateKeyKey "tls.key" -}}
{{- end -}}
{{- $_ := set $mounts (kebabcase $name) (dict "secret" $given.existingSecret "items" $items) -}}
{{- end -}}
{{- end -}}
{{- if $values.mail.existingSecret -}}
{{- $_ := set $mounts "mail" (dict "secret" $values.mail.existingSecret "items" (dict $values.mail.key "password")) -}}
{{- end -}}
{{- if and (include "teams-presence-relay.notifies" .root) (not .isEarly) -}}
{{- $encryption := $values.webhook.encryption -}}
{{- if $encryption.existingSecret -}}
{{- $_ := set $mounts "encryption" (dict "secret" $encryption.existingSecret) -}}
{{- else -}}
{{- $name := include "teams-presence-relay.name" (dict "root" .root "suffix" "encryption") -}}
{{- $_ := set $mounts "encryption" (dict "secret" $name "items" (dict "tls-combined.pem" "cert-manager.pem")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $authority := $values.trust -}}
{{- $isReached := or (has "worker" $.roles) (has "web" $.roles) (and (eq $name "microsoft") (or (has "webhook" $.roles) (has "console" $.roles))) -}}
{{- if and $authority.existingSecret $isReached -}}
{{- $_ := set $mounts (printf "trust-%s" $name) (dict "secret" $authority.existingSecret "items" (dict $authority.key "ca.crt")) -}}
{{- end -}}
{{- end -}}
{{- if has "console" .roles -}}
{{- $credential := $values.console.entra.credential -}}
{{- if $credential.existingSecret -}}
{{- $items := dict $credential.certificateKey "tls.crt" $credential.privateKeyKey "tls.key" -}}
{{- if $credential.clientSecretKey -}}
{{- $items = dict $credential.clientSecretKey "client-secret" -}}
{{- end -}}
{{- $_ := set $mounts "console-credential" (dict "secret" $credential.existingSecret "items" $items) -}}
{{- end -}}
{{- with $values.console.token.existingSecret -}}
{{- $_ := set $mounts "console-token" (dict "secret" . "items" (dict $values.console.token.key "token")) -}}
{{- end -}}
{{- end -}}
{{- range $role := list "edge" "web" "webhook" "console" -}}
{{- if and (has $role $.roles) (get $values $role).tls.enabled (or (get $values $role).tls.existingSecret (not $.isEarly)) -}}
{{- $secret := include "teams-presence-relay.tls-secret" (dict "root" $.root "role" $role) -}}
{{- $_ := set $mounts (printf "%s-tls" $role) (dict "secret" $secret "items" (dict "tls.crt" "tls.crt" "tls.key" "tls.key")) -}}
{{- end -}}
{{- end -}}
{{- dict "mounts" $mounts | toJson -}}
{{- end -}}

{{- define "teams-presence-relay.opens-grants" -}}
{{- if or (has "worker" .) (has "web" .) (has "console" .) (has "backup" .) -}}true{{- end -}}
{{- end -}}

{{- define "teams-presence-relay.key-ring-secret" -}}
{{- .Values.keyRing.existingSecret | default (include "teams-presence-relay.name" (dict "root" . "suffix" "key-ring")) -}}
{{- end -}}

{{/* The Secret with a role's TLS certificate. Takes root and role. */}}
{{- define "teams-presence-relay.tls-secret" -}}
{{- $tls := (get .root.Values .role).tls -}}
{{- $tls.existingSecret | default (include "teams-presence-relay.name" (dict "root" .root "suffix" (printf "%s-tls" .role))) -}}
{{- end -}}

{{- define "teams-presence-relay.volumes" -}}
{{- range $name, $mount := (include "teams-presence-relay.mounts" . | fromJson).mounts }}
- name: {{ $name }}
  secret:
    secretName: {{ $mount.secret | quote }}
    defaultMode: 0440
    {{- with $mount.items }}
    items:
      {{- range $key, $path := . }}
      - key: {{ $key | quote }}
        path: {{ $path | quote }}
      {{- end }}
    {{- end }}
{{- end }}
{{- end -}}

{{- define "teams-presence-relay.volume-mounts" -}}
{{- range $name, $_ := (include "teams-presence-relay.mounts" . | fromJson).mounts }}
- name: {{ $name }}
  mountPath: {{ include "teams-presence-relay.folder" $ }}/{{ $name }}
  readOnly: true
{{- end }}
{{- end -}}

{{/* A variable and its value. */}}
{{- define "teams-presence-relay.variable" -}}
- name: {{ index . 0 }}
  value: {{ index . 1 | toString | quote }}
{{ end -}}

{{/* The settings groups that roles read: each role is told only what it uses. */}}
{{- define "teams-presence-relay.groups" -}}
{{- $groups := list "redis" "vault" "log" "ops" "telemetry" "cloud" -}}
{{- if has "edge" . -}}{{- $groups = concat $groups (list "edge" "watch" "poll") -}}{{- end -}}
{{- if has "worker" . -}}{{- $groups = concat $groups (list "worker" "watch" "poll" "subscription" "mail" "notice" "web") -}}{{- end -}}
{{- if has "webhook" . -}}{{- $groups = concat $groups (list "webhook" "http") -}}{{- end -}}
{{- if has "web" . -}}{{- $groups = concat $groups (list "web" "http" "mail" "poll" "watch") -}}{{- end -}}
{{- if has "console" . -}}{{- $groups = concat $groups (list "console" "http" "web") -}}{{- end -}}
{{- dict "items" (uniq $groups) | toJson -}}
{{- end -}}

{{/* The variables of the values under `config`: config.GROUP.someSetting is RELAY_GROUP_SOME_SETTING. */}}
{{- define "teams-presence-relay.config" -}}
{{- $groups := (include "teams-presence-relay.groups" .roles | fromJson).items -}}
{{- range $group, $fields := .root.Values.config -}}
{{- if has $group $groups -}}
{{- range $field, $value := $fields -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $variable := ternary "RELAY_CLOUD" (printf "RELAY_%s_%s" (upper $group) (snakecase $field | upper)) (and (eq $group "cloud") (eq $field "name")) -}}
{{- $text := $value | toString -}}
{{- if and (kindIs "float64" $value) (eq (floor $value) $value) -}}
{{- $text = $value | int64 | toString -}}
{{- end -}}
{{- include "teams-presence-relay.variable" (list $variable $text) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* All variables of a process. Takes root, component, roles and, optionally, isEarly. */}}
{{- define "teams-presence-relay.env" -}}
{{- $values := .root.Values -}}
{{- $folder := include "teams-presence-relay.folder" . -}}
{{- $mounts := (include "teams-presence-relay.mounts" . | fromJson).mounts -}}
{{- range $name, $variable := dict "redis" "RELAY_REDIS_URL" "vault" "RELAY_VAULT_REDIS_URL" -}}
{{- if (get $values $name).existingSecret -}}
{{- include "teams-presence-relay.variable" (list (printf "%s_FILE" $variable) (printf "%s/%s-url/url" $folder $name)) -}}
{{- else if (get $values $name).url -}}
{{- include "teams-presence-relay.variable" (list $variable (get $values $name).url) -}}
{{- end -}}
{{- end -}}
{{- if $values.valkey.enabled -}}
{{- include "teams-presence-relay.valkey-env" . -}}
{{- end -}}
{{- if hasKey $mounts "key-ring" -}}
{{- include "teams-presence-relay.variable" (list "RELAY_VAULT_KEY_RING_FILE" (printf "%s/key-ring/key-ring.json" $folder)) -}}
{{- end -}}
{{- if hasKey $mounts "mark-keys" -}}
{{- include "teams-presence-relay.variable" (list "RELAY_EDGE_MARK_KEYS_FILE" (printf "%s/mark-keys/key-ring.json.pub" $folder)) -}}
{{- end -}}
{{- if or (has "worker" .roles) (has "web" .roles) (has "webhook" .roles) (has "console" .roles) -}}
{{- include "teams-presence-relay.variable" (list "RELAY_CLOUD_CLIENT_ID" $values.entra.clientId) -}}
{{- range $name, $prefix := dict "credential" "RELAY_CLOUD_" "secondCredential" "RELAY_CLOUD_SECOND_" -}}
{{- $mount := kebabcase $name -}}
{{- if hasKey $mounts $mount -}}
{{- if (get $values.entra $name).clientSecretKey -}}
{{- include "teams-presence-relay.variable" (list (printf "%sCLIENT_SECRET_FILE" $prefix) (printf "%s/%s/client-secret" $folder $mount)) -}}
{{- else -}}
{{- include "teams-presence-relay.variable" (list (printf "%sCERTIFICATE_FILE" $prefix) (printf "%s/%s/tls.crt" $folder $mount)) -}}
{{- include "teams-presence-relay.variable" (list (printf "%sPRIVATE_KEY_FILE" $prefix) (printf "%s/%s/tls.key" $folder $mount)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if hasKey $mounts "trust-microsoft" -}}
{{- include "teams-presence-relay.variable" (list "RELAY_CLOUD_CA_FILE" (printf "%s/trust-microsoft/ca.crt" $folder)) -}}
{{- end -}}
{{- if or (has "worker" .roles) (has "web" .roles) -}}
{{- if hasKey $mounts "mail" -}}
{{- include "teams-presence-relay.variable" (list "RELAY_MAIL_PASSWORD_FILE" (printf "%s/mail/password" $folder)) -}}
{{- end -}}
{{- if hasKey $mounts "trust-mail" -}}
{{- include "teams-presence-relay.variable" (list "RELAY_MAIL_CA_FILE" (printf "%s/trust-mail/ca.crt" $folder)) -}}
{{- end -}}
{{- if hasKey $mounts "trust-notices" -}}
{{- include "teams-presence-relay.variable" (list "RELAY_NOTICE_CA_FILE" (printf "%s/trust-notices/ca.crt" $folder)) -}}
{{- end -}}
{{- if $values.web.enabled -}}
{{- include "teams-presence-relay.variable" (list "RELAY_WEB_PUBLIC_URL" (printf "https://%s" $values.web.host)) -}}
{{- include "teams-presence-relay.variable" (list "RELAY_WEB_SUITE_ADDRESS" (printf "%s:%d" $values.edge.host (int $values.edge.service.port))) -}}
{{- end -}}
{{- if hasKey $mounts "encryption" -}}
{{- include "teams-presence-relay.variable" (list "RELAY_WEBHOOK_URL" (printf "https://%s" $values.webhook.host)) -}}
{{- include "teams-presence-relay.variable" (list "RELAY_WEBHOOK_CERTIFICATES" (printf "%s/encryption" $folder)) -}}
{{- end -}}
{{- end -}}
{{- if has "console" .roles -}}
{{- include "teams-presence-relay.console-env" (dict "root" .root "mounts" $mounts "folder" $folder) -}}
{{- end -}}
{{- range $role := list "edge" "web" "webhook" "console" -}}
{{- $mount := printf "%s-tls" $role -}}
{{- if hasKey $mounts $mount -}}
{{- include "teams-presence-relay.variable" (list (printf "RELAY_%s_TLS_CERT_FILE" (upper $role)) (printf "%s/%s/tls.crt" $folder $mount)) -}}
{{- include "teams-presence-relay.variable" (list (printf "RELAY_%s_TLS_KEY_FILE" (upper $role)) (printf "%s/%s/tls.key" $folder $mount)) -}}
{{- end -}}
{{- end -}}
{{- if has "edge" .roles -}}
{{- if not (hasKey $mounts "edge-tls") -}}
{{- include "teams-presence-relay.variable" (list "RELAY_EDGE_PLAIN_TEXT" "true") -}}
{{- end -}}
{{- include "teams-presence-relay.variable" (list "RELAY_EDGE_DRAIN_DELAY" (printf "%ds" (int $values.shutdown.drainSeconds))) -}}
{{- end -}}
{{- if ne $values.listenAddress "0.0.0.0" -}}
{{- range $role := append (without .roles "worker" "console" "backup") "ops" -}}
{{- include "teams-presence-relay.variable" (list (printf "RELAY_%s_HOST" (upper $role)) $values.listenAddress) -}}
{{- end -}}
{{- end -}}
{{- include "teams-presence-relay.config" . -}}
{{- end -}}

{{/* The console's own variables. Takes root, mounts and folder. */}}
{{- define "teams-presence-relay.console-env" -}}
{{- $console := .root.Values.console -}}
{{- include "teams-presence-relay.variable" (list "RELAY_CONSOLE_URL" $console.browserUrl) -}}
{{- include "teams-presence-relay.variable" (list "RELAY_WEB_PUBLIC_URL" (printf "https://%s" .root.Values.web.host)) -}}
{{- if $console.service.enabled -}}
{{- include "teams-presence-relay.variable" (list "RELAY_CONSOLE_HOST" .root.Values.listenAddress) -}}
{{- end -}}
{{- if $console.entra.clientId -}}
{{- include "teams-presence-relay.variable" (list "RELAY_CONSOLE_TENANT" $console.entra.tenantId) -}}
{{- include "teams-presence-relay.variable" (list "RELAY_CONSOLE_CLIENT_ID" $console.entra.clientId) -}}
{{- end -}}
{{- if hasKey .mounts "console-credential" -}}
{{- if $console.entra.credential.clientSecretKey -}}
{{- include "teams-presence-relay.variable" (list "RELAY_CONSOLE_CLIENT_SECRET_FILE" (printf "%s/console-credential/client-secret" .folder)) -}}
{{- else -}}
{{- include "teams-presence-relay.variable" (list "RELAY_CONSOLE_CERTIFICATE_FILE" (printf "%s/console-credential/tls.crt" .folder)) -}}
{{- include "teams-presence-relay.variable" (list "RELAY_CONSOLE_PRIVATE_KEY_FILE" (printf "%s/console-credential/tls.key" .folder)) -}}
{{- end -}}
{{- end -}}
{{- if hasKey .mounts "console-token" -}}
{{- include "teams-presence-relay.variable" (list "RELAY_CONSOLE_TOKEN_FILE" (printf "%s/console-token/token" .folder)) -}}
{{- end -}}
{{- end -}}

{{/* Where the chart's own Valkey is. A password is expanded by Kubernetes, and stands in no object of the chart. */}}
{{- define "teams-presence-relay.valkey-env" -}}
{{- $host := include "teams-presence-relay.name" (dict "root" .root "suffix" "valkey") -}}
{{- with .root.Values.valkey.auth.existingSecret -}}
- name: VALKEY_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ . | quote }}
      key: {{ $.root.Values.valkey.auth.key | quote }}
{{ include "teams-presence-relay.variable" (list "RELAY_REDIS_URL" (printf "redis://:$(VALKEY_PASSWORD)@%s:6379/0" $host)) -}}
{{- else -}}
{{- include "teams-presence-relay.variable" (list "RELAY_REDIS_URL" (printf "redis://%s:6379/0" $host)) -}}
{{- end -}}
{{- if not (hasKey (default (dict) .root.Values.config.redis) "plaintext") -}}
{{- include "teams-presence-relay.variable" (list "RELAY_REDIS_PLAINTEXT" "true") -}}
{{- end -}}
{{- end -}}
