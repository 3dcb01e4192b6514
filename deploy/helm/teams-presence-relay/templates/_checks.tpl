{{/* Combinations of values that cannot work. Each check returns lines that say what is wrong and what to do; all are told together. */}}

{{- define "teams-presence-relay.checks" -}}
{{- include "teams-presence-relay.refuse" (dict "root" $ "checks" (list "nulls")) -}}
{{- include "teams-presence-relay.refuse" (dict "root" $ "checks" (list "shapes" "image" "mode" "roles" "tls" "exposure" "services" "redis" "secrets" "scaling" "budget" "shutdown" "webhook" "console" "mail" "monitoring" "jobs" "additions")) -}}
{{- end -}}

{{- define "teams-presence-relay.refuse" -}}
{{- $faults := list -}}
{{- range $check := .checks -}}
{{- range $line := splitList "\n" (include (printf "teams-presence-relay.check-%s" $check) $.root) -}}
{{- with trim $line -}}{{- $faults = append $faults . -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- with $faults -}}
{{- fail (printf "\n\nThese values cannot work:\n  - %s\n" (join "\n  - " .)) -}}
{{- end -}}
{{- end -}}

{{- define "teams-presence-relay.check-image" -}}
{{- if not .Values.image.repository }}
image.repository is empty: build the image (`make image`), push it to your registry, and name it here.
{{- end }}
{{- range $name, $image := dict "image" .Values.image "valkey.image" .Values.valkey.image }}
{{- if eq $image.tag "latest" }}
{{ $name }}.tag is latest, so pods of one release could run different releases: name a version or a digest.
{{- end }}
{{- end }}
{{- end -}}

{{/* Values of pods that do not run, which would be left unread. */}}
{{- define "teams-presence-relay.check-mode" -}}
{{- $roles := list "edge" "worker" "webhook" "web" }}
{{- $unused := ternary $roles (list "all") (eq .Values.mode "all") }}
{{- range $name := $unused }}
{{- range $key, $_ := get $.Values $name }}
{{- if or (hasKey $.Values.pod $key) (has $key (list "replicas" "terminationGracePeriodSeconds" "topologySpreadConstraints")) }}
{{ $name }}.{{ $key }} has no effect with mode {{ $.Values.mode }}: set {{ if eq $.Values.mode "all" }}all.{{ $key }}{{ else }}pod.{{ $key }}, or that of a role{{ end }}.
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "teams-presence-relay.check-roles" -}}
{{- $hosts := dict }}
{{- $running := 0 }}
{{- range $name := list "edge" "worker" "webhook" "web" }}
{{- $role := get $.Values $name }}
{{- if $role.enabled }}
{{- $running = add $running 1 }}
{{- if ne $name "worker" }}
{{- if not $role.host }}
{{ $name }}.host is empty: set the DNS name at which {{ get (dict "edge" "suites reach the edge" "web" "browsers reach the pages" "webhook" "Microsoft reaches the webhook") $name }}{{ if eq $name "webhook" }}, or set webhook.enabled to false to poll only{{ end }}.
{{- else if hasKey $hosts $role.host }}
{{ $name }}.host is the same as {{ get $hosts $role.host }}.host: give each a DNS name of its own.
{{- else }}
{{- $_ := set $hosts $role.host $name }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if not $running }}
No role is enabled: set edge.enabled, worker.enabled, webhook.enabled or web.enabled to true.
{{- end }}
{{- end -}}

{{/* Whether a certificate would be renewed at all. Takes path and given. */}}
{{- define "teams-presence-relay.renewal" -}}
{{- $lifetime := include "teams-presence-relay.milliseconds" .given.duration | int64 }}
{{- if and $lifetime (ge (include "teams-presence-relay.milliseconds" .given.renewBefore | int64) $lifetime) }}
{{ .path }}.renewBefore is {{ .given.renewBefore }}, and the certificate lives {{ .given.duration }}: lower renewBefore, or raise duration.
{{- end }}
{{- end -}}

{{- define "teams-presence-relay.check-tls" -}}
{{- range $name := list "edge" "web" "webhook" }}
{{- $role := get $.Values $name }}
{{- if $role.enabled }}
{{- $own := and $role.tls.enabled $role.tls.certManager.enabled }}
{{- if and $role.tls.enabled (not $role.tls.existingSecret) (not $own) }}
{{ $name }}.tls is enabled and there is no certificate: set {{ $name }}.tls.existingSecret, or {{ $name }}.tls.certManager.enabled with an issuer.
{{- end }}
{{- if and $own $role.tls.existingSecret }}
{{ $name }}.tls has both an existingSecret and certManager: keep one of the two.
{{- end }}
{{- if and $own (not $role.tls.certManager.issuerRef.name) }}
{{ $name }}.tls.certManager.issuerRef.name is empty: name the issuer.
{{- end }}
{{- if $own }}
{{- include "teams-presence-relay.renewal" (dict "path" (printf "%s.tls.certManager" $name) "given" $role.tls.certManager) }}
{{- end }}
{{- if and (not $role.tls.enabled) (or $role.tls.existingSecret $role.tls.certManager.enabled) }}
{{ $name }}.tls has a certificate and is not enabled: set {{ $name }}.tls.enabled to true, or remove the certificate.
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.edge.enabled (not .Values.edge.tls.enabled) }}
{{- if ne .Values.edge.service.type "ClusterIP" }}
edge.tls.enabled is false although edge.service.type is {{ .Values.edge.service.type }}: suite keys would cross the network in the clear. Serve TLS in the pod, or set edge.service.type to ClusterIP and put a gateway in front.
{{- end }}
{{- if .Values.edge.tlsRoute.enabled }}
edge.tlsRoute passes TLS through to the pod, which serves none: set edge.tls.enabled to true, or use edge.grpcRoute.
{{- end }}
{{- end }}
{{- end -}}

{{- define "teams-presence-relay.check-exposure" -}}
{{- range $name := list "edge" "web" "webhook" }}
{{- $role := get $.Values $name }}
{{- if $role.enabled }}
{{- $used := list }}
{{- range $way := list "tlsRoute" "grpcRoute" "httpRoute" "ingress" }}
{{- $given := get $role $way }}
{{- if and $given $given.enabled }}
{{- $used = append $used $way }}
{{- if and (ne $way "ingress") (not $given.parentRefs) }}
{{ $name }}.{{ $way }}.parentRefs is empty: name the gateway.
{{- end }}
{{- end }}
{{- end }}
{{- with $role.httpRoute }}
{{- if and .enabled $role.tls.enabled (not .backendTLS.enabled) }}
{{ $name }}.httpRoute ends TLS at the gateway, and the pod expects TLS too: set {{ $name }}.httpRoute.backendTLS.enabled to true, or {{ $name }}.tls.enabled to false.
{{- end }}
{{- if and .backendTLS.enabled (not $role.tls.enabled) }}
{{ $name }}.httpRoute.backendTLS is enabled and the pod serves no TLS: set {{ $name }}.tls.enabled to true, or remove backendTLS.
{{- end }}
{{- end }}
{{- if and $used (eq $role.service.type "LoadBalancer") }}
{{ $name }} has a balancer of its own beside its {{ first $used }}, and could be reached past it: set {{ $name }}.service.type to ClusterIP.
{{- end }}
{{- if gt (len $used) 1 }}
{{ $name }} is exposed in {{ len $used }} ways ({{ join ", " $used }}): keep one of them.
{{- end }}
{{- end }}
{{- end }}
{{- $edge := .Values.edge }}
{{- if and $edge.grpcRoute.enabled $edge.tls.enabled (not $edge.grpcRoute.backendTLS.enabled) }}
edge.grpcRoute ends TLS at the gateway, and the pod expects TLS too: set edge.grpcRoute.backendTLS.enabled to true, or edge.tls.enabled to false.
{{- end }}
{{- if and $edge.grpcRoute.backendTLS.enabled (not $edge.tls.enabled) }}
edge.grpcRoute.backendTLS is enabled and the pod serves no TLS: set edge.tls.enabled to true.
{{- end }}
{{- end -}}

{{/* What a Service of another type has no use for. */}}
{{- define "teams-presence-relay.check-services" -}}
{{- range $name := list "edge" "web" "webhook" }}
{{- $role := get $.Values $name }}
{{- if $role.enabled }}
{{- $service := $role.service }}
{{- $type := $service.type }}
{{- if and (hasKey $service "nodePort") (eq $type "ClusterIP") }}
{{ $name }}.service.nodePort is {{ $service.nodePort }}, and a Service of type ClusterIP has none: set {{ $name }}.service.type to NodePort, or remove nodePort.
{{- end }}
{{- if and (eq $service.clusterIP "None") (ne $type "ClusterIP") }}
{{ $name }}.service.clusterIP is None, and a Service of type {{ $type }} needs an address: remove clusterIP, or set {{ $name }}.service.type to ClusterIP.
{{- end }}
{{- if and $service.loadBalancerSourceRanges (ne $type "LoadBalancer") }}
{{ $name }}.service.loadBalancerSourceRanges has no effect with type {{ $type }}, and everybody would be let in: set networkPolicy.{{ $name }}.from, or {{ $name }}.service.type to LoadBalancer.
{{- end }}
{{- if and $service.loadBalancerClass (ne $type "LoadBalancer") }}
{{ $name }}.service.loadBalancerClass has no effect with type {{ $type }}: remove it, or set {{ $name }}.service.type to LoadBalancer.
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "teams-presence-relay.check-monitoring" -}}
{{- $metrics := .Values.metrics }}
{{- if and $metrics.podMonitor.enabled $metrics.serviceMonitor.enabled }}
metrics.podMonitor and metrics.serviceMonitor are both enabled, and every metric would be scraped twice: keep one of the two.
{{- end }}
{{- range $name := list "podMonitor" "serviceMonitor" }}
{{- $given := get $metrics $name }}
{{- if and $given.enabled (gt (include "teams-presence-relay.milliseconds" $given.scrapeTimeout | int64) (include "teams-presence-relay.milliseconds" $given.interval | int64)) }}
metrics.{{ $name }}.scrapeTimeout is {{ $given.scrapeTimeout }}, more than interval, {{ $given.interval }}: lower scrapeTimeout, or raise interval.
{{- end }}
{{- end }}
{{- range $name, $content := $metrics.dashboards.extra }}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?$" $name) }}
metrics.dashboards.extra.{{ $name }} becomes the name of an object: write it in lower-case letters, digits and -, at most 42.
{{- end }}
{{- if hasKey (fromJson $content) "Error" }}
metrics.dashboards.extra.{{ $name }} is not JSON: export the dashboard from Grafana again, or read it with --set-file.
{{- end }}
{{- end }}
{{- end -}}

{{/* Numbers as texts with spaces between. Values from a file are floats, others are not. */}}
{{- define "teams-presence-relay.texts" -}}
{{- range $index, $number := . }}{{ if $index }} {{ end }}{{ $number | int }}{{ end -}}
{{- end -}}

{{- define "teams-presence-relay.check-redis" -}}
{{- $values := .Values }}
{{- $ways := list }}
{{- if $values.redis.url }}{{ $ways = append $ways "redis.url" }}{{ end }}
{{- if $values.redis.existingSecret }}{{ $ways = append $ways "redis.existingSecret" }}{{ end }}
{{- if $values.valkey.enabled }}{{ $ways = append $ways "valkey.enabled" }}{{ end }}
{{- if not $ways }}
There is no Redis: set redis.existingSecret to a Secret with the URL, or valkey.enabled to true for a trial.
{{- else if gt (len $ways) 1 }}
{{ join " and " $ways }} are both set: keep one of them.
{{- end }}
{{- if and $values.valkey.enabled (or $values.vault.url $values.vault.existingSecret) }}
valkey.enabled is for trials and keeps everything: remove vault, or use a Redis of your own with redis.existingSecret.
{{- end }}
{{- if and $values.valkey.enabled (not (dig "redis" "plaintext" true $values.config)) }}
config.redis.plaintext is false, and the chart's Valkey serves no TLS: remove it, or use a Redis of your own.
{{- end }}
{{- if and $values.valkey.enabled (gt (dig "vault" "replicas" 0 $values.config | int) 0) }}
config.vault.replicas asks for replicas, and the chart's Valkey has none: remove it, or use a Redis of your own.
{{- end }}
{{- if ne ($values.valkey.replicas | int) 1 }}
valkey.replicas is {{ $values.valkey.replicas }}, and the chart's Valkey is one server: set it to 1, or use a replicated Redis of your own with redis.existingSecret.
{{- end }}
{{- range $name := list "redis" "vault" }}
{{- $given := get $values $name }}
{{- if and (eq $name "vault") $given.url $given.existingSecret }}
vault.url and vault.existingSecret are both set: keep one of them.
{{- end }}
{{- if and $given.keys (not $given.existingSecret) }}
{{ $name }}.keys has no effect without a Secret: set {{ $name }}.existingSecret, or remove keys.
{{- end }}
{{- if and $given.url $values.networkPolicy.enabled }}
{{- $usual := ternary "26379" "6379" (contains "+sentinel:" $given.url) }}
{{- range $server := regexReplaceAll "^[^/]*//([^/@]*@)?([^/?]*).*$" $given.url "${2}" | splitList "," }}
{{- $port := regexFind ":[0-9]+$" $server | trimPrefix ":" | default $usual }}
{{- if not (has $port (include "teams-presence-relay.texts" $values.networkPolicy.redis.ports | splitList " ")) }}
{{ $name }}.url uses port {{ $port }}, which networkPolicy.redis.ports closes: add it there.
{{- break }}
{{- end }}
{{- end }}
{{- end }}
{{- if regexMatch "(://[^/@]*:[^/@]*@|[?&](sentinel_)?password=)" $given.url }}
{{ $name }}.url has a password, which everybody could read who may read the Deployment: put the URL into a Secret and name it as {{ $name }}.existingSecret.
{{- end }}
{{- $plaintext := dig $name (ternary "plaintext" "redisPlaintext" (eq $name "redis")) false $values.config }}
{{- if and (regexMatch "^redis(\\+[a-z]+)?://" $given.url) (not $plaintext) }}
{{ $name }}.url is redis:// to another host, which shows presence and consents to the network: use rediss://, or set config.{{ ternary "redis.plaintext" "vault.redisPlaintext" (eq $name "redis") }} to true if a mesh encrypts it.
{{- end }}
{{- end }}
{{- end -}}

{{- define "teams-presence-relay.check-secrets" -}}
{{- $values := .Values }}
{{- if and $values.keyRing.existingSecret $values.keyRing.create }}
keyRing.existingSecret and keyRing.create are both set: keep existingSecret.
{{- end }}
{{- if and (or $values.edge.enabled $values.worker.enabled $values.web.enabled $values.console.enabled) (not $values.keyRing.existingSecret) (not $values.keyRing.create) }}
There is no key ring: run `presence-relay keyring new key-ring.json`, make a Secret of key-ring.json and key-ring.json.pub, and name it as keyRing.existingSecret; or set keyRing.create to true.
{{- end }}
{{- if and (or $values.worker.enabled $values.webhook.enabled $values.web.enabled) (not $values.entra.clientId) }}
entra.clientId is empty: set the application id of the app registration.
{{- end }}
{{- if and (or $values.worker.enabled $values.web.enabled) (not $values.entra.credential.existingSecret) }}
entra.credential.existingSecret is empty: make a Secret with the certificate or the client secret of the app registration, and name it.
{{- end }}
{{- if and $values.entra.secondCredential.existingSecret (not $values.entra.credential.existingSecret) }}
entra.secondCredential is set without entra.credential: call it the first.
{{- end }}
{{- if and $values.entra.credential.existingSecret (eq (toJson $values.entra.secondCredential) (toJson $values.entra.credential)) }}
entra.secondCredential is the same as entra.credential: name the other Secret, or remove it.
{{- end }}
{{- end -}}

{{- define "teams-presence-relay.check-scaling" -}}
{{- range $component := (include "teams-presence-relay.components" . | fromJson).items }}
{{- $role := include "teams-presence-relay.role" (dict "root" $ "component" $component) | fromJson }}
{{- $scaling := $role.autoscaling }}
{{- if $scaling.enabled }}
{{- if hasKey $role "replicas" }}
{{ $component }}.replicas is set although {{ $component }}.autoscaling is enabled: remove replicas, or turn autoscaling off.
{{- end }}
{{- if gt ($scaling.minReplicas | int) ($scaling.maxReplicas | int) }}
{{ $component }}.autoscaling.minReplicas is {{ $scaling.minReplicas }}, more than maxReplicas, {{ $scaling.maxReplicas }}: raise maxReplicas.
{{- end }}
{{- if and $scaling.keda.enabled (not $scaling.keda.triggers) }}
{{ $component }}.autoscaling.keda.triggers is empty: name at least one trigger.
{{- end }}
{{- if and (not $scaling.keda.enabled) (not $scaling.cpuPercent) (not $scaling.metric.name) }}
{{ $component }}.autoscaling has nothing to follow: set cpuPercent, or metric.name.
{{- end }}
{{- if and (not $scaling.keda.enabled) $scaling.cpuPercent (not (dig "requests" "cpu" "" $role.resources)) (not (dig "limits" "cpu" "" $role.resources)) }}
{{ $component }}.autoscaling follows CPU in per cent of the request, and there is none: set {{ $component }}.resources.requests.cpu, or cpuPercent to 0.
{{- end }}
{{- end }}
{{- if and $scaling.keda.enabled (not $scaling.enabled) }}
{{ $component }}.autoscaling.keda is enabled and {{ $component }}.autoscaling is not: set {{ $component }}.autoscaling.enabled to true.
{{- end }}
{{- if ge ($role.minReadySeconds | int) ($role.progressDeadlineSeconds | int) }}
{{ $component }}.minReadySeconds is {{ $role.minReadySeconds }}, and a rollout has failed after progressDeadlineSeconds, {{ $role.progressDeadlineSeconds }}: lower minReadySeconds, or raise progressDeadlineSeconds.
{{- end }}
{{- end }}
{{- end -}}

{{/* Budgets that Kubernetes refuses, or that let nobody drain a node. */}}
{{- define "teams-presence-relay.check-budget" -}}
{{- range $component := (include "teams-presence-relay.components" . | fromJson).items }}
{{- $role := include "teams-presence-relay.role" (dict "root" $ "component" $component) | fromJson }}
{{- $budget := $role.podDisruptionBudget }}
{{- $pods := include "teams-presence-relay.replicas" (dict "role" $role "component" $component) | int }}
{{- if and (hasKey $role.podDisruptionBudget "minAvailable") (hasKey $role.podDisruptionBudget "maxUnavailable") }}
{{ $component }}.podDisruptionBudget has minAvailable and maxUnavailable, and Kubernetes takes one: keep one of the two.
{{- else if and $budget.enabled (ge $pods 2) }}
{{- $least := get $budget "minAvailable" | default 0 }}
{{- /* Kubernetes rounds a share up. */}}
{{- $share := trimSuffix "%" ($least | toString) | int }}
{{- $isAll := gt (mul $share $pods | int) (mul 100 (sub $pods 1) | int) }}
{{- if not (hasSuffix "%" ($least | toString)) }}{{ $isAll = ge ($least | int) $pods }}{{ end }}
{{- if $isAll }}
{{ $component }}.podDisruptionBudget.minAvailable is {{ $least }}, and {{ $pods }} pods run at the least, so that no node could be drained: lower it, or raise the number of pods.
{{- end }}
{{- if and (hasKey $budget "maxUnavailable") (has ($budget.maxUnavailable | toString) (list "0" "0%")) }}
{{ $component }}.podDisruptionBudget.maxUnavailable is {{ $budget.maxUnavailable }}, so that no node could be drained: set it to 1 or more.
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A duration like 5s, 500ms or 1m30s in milliseconds. */}}
{{- define "teams-presence-relay.milliseconds" -}}
{{- $sum := 0 -}}
{{- range regexFindAll "[0-9]+([.][0-9]+)?(ms|s|m|h|d)" (toString .) -1 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- $sum = addf $sum (mulf (trimSuffix $unit . | float64) (get (dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000) $unit)) -}}
{{- end -}}
{{- $sum | int64 -}}
{{- end -}}

{{- define "teams-presence-relay.check-shutdown" -}}
{{- range $component := (include "teams-presence-relay.components" . | fromJson).items }}
{{- $role := include "teams-presence-relay.role" (dict "root" $ "component" $component) | fromJson }}
{{- $about := dict "root" $ "component" $component "role" $role }}
{{- $least := include "teams-presence-relay.least-grace" $about | int }}
{{- if lt (include "teams-presence-relay.grace" $about | int) $least }}
{{ $component }}.terminationGracePeriodSeconds is {{ $role.terminationGracePeriodSeconds }}, and the pod needs {{ $least }} to stop (shutdown.preStopSeconds + drainSeconds + marginSeconds): remove it, or lower shutdown.drainSeconds.
{{- end }}
{{- end }}
{{- if .Values.edge.enabled }}
{{- $age := dig "edge" "connectionAge" "5s" .Values.config }}
{{- if lt (mul .Values.shutdown.drainSeconds 1000 | int) (mul 2 (include "teams-presence-relay.milliseconds" $age | int) | int) }}
shutdown.drainSeconds is {{ .Values.shutdown.drainSeconds }}, less than twice config.edge.connectionAge, {{ $age }}: raise drainSeconds, or lower connectionAge.
{{- end }}
{{- end }}
{{- end -}}

{{- define "teams-presence-relay.check-webhook" -}}
{{- if .Values.webhook.enabled }}
{{- $cloud := dig "cloud" "name" "global" .Values.config }}
{{- if has $cloud (list "gcc-high" "dod") }}
webhook.enabled is true, and {{ $cloud }} has no change notifications: set webhook.enabled to false.
{{- end }}
{{- $encryption := .Values.webhook.encryption }}
{{- if and (not $encryption.existingSecret) (not $encryption.certManager.enabled) }}
There is no certificate that Microsoft can encrypt notifications for: set webhook.encryption.existingSecret, or webhook.encryption.certManager.enabled with an issuer; or set webhook.enabled to false to poll only.
{{- end }}
{{- if and $encryption.existingSecret $encryption.certManager.enabled }}
webhook.encryption has both an existingSecret and certManager: keep one of the two.
{{- end }}
{{- if $encryption.certManager.enabled }}
{{- include "teams-presence-relay.renewal" (dict "path" "webhook.encryption.certManager" "given" $encryption.certManager) }}
{{- end }}
{{- if and $encryption.certManager.enabled (not $encryption.certManager.issuerRef.name) }}
webhook.encryption.certManager.issuerRef.name is empty: name the issuer; a self-signed one is enough.
{{- end }}
{{- end }}
{{- end -}}

{{- define "teams-presence-relay.check-console" -}}
{{- $console := .Values.console }}
{{- if $console.enabled }}
{{- $host := regexReplaceAll "^https?://([^/:]*).*$" $console.browserUrl "${1}" }}
{{- $isLocal := has $host (list "localhost" "127.0.0.1") }}
{{- if not $console.browserUrl }}
console.browserUrl is empty: set http://localhost:8082 for a port-forward, or the internal URL at which operators open the console.
{{- else if not (regexMatch "^https?://[^/ ]+$" $console.browserUrl) }}
console.browserUrl is {{ $console.browserUrl }}: write https:// and an internal name, without a path.
{{- else if and (hasPrefix "http://" $console.browserUrl) (not $isLocal) }}
console.browserUrl is {{ $console.browserUrl }}: begin it with https://, because browsers keep our cookies only then.
{{- end }}
{{- range $name := list "edge" "web" "webhook" }}
{{- if and (get $.Values $name).enabled $host (eq $host (get $.Values $name).host) }}
console.browserUrl has the host of {{ $name }}.host, which the internet reaches: give the console an internal name.
{{- end }}
{{- end }}
{{- if not .Values.web.enabled }}
console.enabled is true and web.enabled is not: invitations lead to the pages, so run them, or turn the console off.
{{- end }}
{{- $isEntra := or $console.entra.clientId $console.entra.tenantId $console.entra.credential.existingSecret }}
{{- if and $isEntra $console.token.existingSecret }}
console.entra and console.token are both set: keep one way to sign in.
{{- else if and (not $isEntra) (not $console.token.existingSecret) }}
Nobody could sign in to the console: set console.entra.tenantId, clientId and credential.existingSecret, or for a trial console.token.existingSecret.
{{- else if $isEntra }}
{{- range $key := list "tenantId" "clientId" }}
{{- if not (get $console.entra $key) }}
console.entra.{{ $key }} is empty: set it, so that operators can sign in.
{{- end }}
{{- end }}
{{- if not $console.entra.credential.existingSecret }}
console.entra.credential.existingSecret is empty: make a Secret with the certificate or the client secret of the console's app registration, and name it.
{{- end }}
{{- else if not $isLocal }}
console.token is for a trial with a URL on localhost: set console.browserUrl to http://localhost:8082, or use console.entra.
{{- end }}
{{- if and $console.tls.enabled (not $console.tls.existingSecret) }}
console.tls is enabled and there is no certificate: set console.tls.existingSecret.
{{- else if and $console.tls.existingSecret (not $console.tls.enabled) }}
console.tls has a certificate and is not enabled: set console.tls.enabled to true, or remove the certificate.
{{- end }}
{{- if and $console.service.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.console.from) }}
console.service is enabled and networkPolicy.console.from is empty, so nobody could reach it: name your internal gateway there.
{{- end }}
{{- end }}
{{- end -}}

{{- define "teams-presence-relay.check-mail" -}}
{{- $mail := default (dict) .Values.config.mail }}
{{- if and $mail.user (not .Values.mail.existingSecret) }}
config.mail.user is set without a password: put the password into a Secret and name it as mail.existingSecret.
{{- end }}
{{- if and .Values.mail.existingSecret (not $mail.user) }}
mail.existingSecret is set without a user: set config.mail.user.
{{- end }}
{{- if and $mail.host (not $mail.from) }}
config.mail.from is empty: set the sender address of e-mail.
{{- end }}
{{- if and $mail.from (not $mail.host) }}
config.mail.host is empty: set the mail server.
{{- end }}
{{- end -}}

{{- define "teams-presence-relay.check-jobs" -}}
{{- if .Values.preflight.enabled }}
{{- range $name, $is := dict "keyRing.create" .Values.keyRing.create "valkey.enabled" .Values.valkey.enabled }}
{{- if $is }}
preflight.enabled is true, and the preflight runs before what {{ $name }} makes: set preflight.enabled to false.
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.test }}
{{- if and .suiteKey.existingSecret (not .user) }}
test.user is empty: name the user whom `helm test` watches with the suite key.
{{- end }}
{{- if and .suiteKey.existingSecret (not $.Values.edge.tls.enabled) (not .address) }}
test.address is empty, and a suite key goes over TLS only: set the address of the gateway in front of the edge.
{{- end }}
{{- end }}
{{- with .Values.backup }}
{{- if .enabled }}
{{- if not .publicKey.existingSecret }}
backup.publicKey.existingSecret is empty: run `presence-relay backup new-key backup.key` on another machine, make a Secret of backup.key.pub, and name it.
{{- end }}
{{- if and .upload.container (not .upload.container.image) }}
backup.upload.container has no image: name the image that takes the backup elsewhere.
{{- end }}
{{- if and .persistence.create .persistence.existingClaim }}
backup.persistence has both an existingClaim and create: keep one of the two.
{{- end }}
{{- if and (not .persistence.create) (not .persistence.existingClaim) (not .upload.container) }}
Backups would be lost with their pod: set backup.persistence.existingClaim or backup.persistence.create, or backup.upload.container.
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Names of an operator's additions that the chart uses itself. */}}
{{- define "teams-presence-relay.check-additions" -}}
{{- range $object := .Values.extraObjects }}
{{- if kindIs "string" $object }}
{{- $text := tpl $object $ | trim }}
{{- if and $text (not (and (regexMatch "(?m)^apiVersion:" $text) (regexMatch "(?m)^kind:" $text))) }}
extraObjects has a text that is no object: write apiVersion, kind and metadata, each at the beginning of a line.
{{- end }}
{{- end }}
{{- end }}
{{- range $component := (include "teams-presence-relay.components" . | fromJson).items }}
{{- $role := include "teams-presence-relay.role" (dict "root" $ "component" $component) | fromJson }}
{{- $roles := (include "teams-presence-relay.roles" (dict "root" $ "component" $component) | fromJson).items }}
{{- range $container := concat $role.extraContainers $role.extraInitContainers }}
{{- if eq $container.name "relay" }}
A container in {{ $component }}.extraContainers or extraInitContainers is called relay, as the chart's own: give it another name.
{{- end }}
{{- end }}
{{- $ours := append (keys (include "teams-presence-relay.mounts" (dict "root" $ "component" $component "roles" $roles) | fromJson).mounts) "tmp" }}
{{- range $volume := $role.extraVolumes }}
{{- if has $volume.name $ours }}
A volume in {{ $component }}.extraVolumes is called {{ $volume.name }}, as one of the chart's own: give it another name.
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
