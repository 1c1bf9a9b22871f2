{{- define "segue.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "segue.labels" -}}
app.kubernetes.io/name: segue
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* Call with the root and a component: (list $ "api") */ -}}
{{- define "segue.selector" -}}
app.kubernetes.io/name: segue
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- /* The log: its addresses, how clients reach them, its number of partitions. */ -}}
{{- define "segue.kafkaEnv" -}}
- {name: SEGUE_NAMESPACE, value: {{ .Values.prefix | quote }}}
- {name: SEGUE_KAFKA, value: {{ .Values.kafka.brokers | quote }}}
- {name: SEGUE_PARTITIONS, value: {{ .Values.kafka.partitions | quote }}}
- {name: SEGUE_KAFKA_SECURITY, value: {{ .Values.kafka.security | quote }}}
- {name: SEGUE_KAFKA_MECHANISM, value: {{ .Values.kafka.mechanism | quote }}}
{{- if and .Values.caSecretName (hasSuffix "SSL" .Values.kafka.security) }}
- {name: SEGUE_KAFKA_CA, value: /certs/ca.crt}
{{- end }}
{{- end }}

{{- /* The login of a process that uses Kafka. Call with the root and the worker: (list $ "api").
Without `kafka.user` it is the principal that `segue acls` prints for that worker. */ -}}
{{- define "segue.kafkaLogin" -}}
{{- $values := (index . 0).Values -}}
{{- if hasPrefix "SASL" $values.kafka.security }}
- {name: SEGUE_KAFKA_USER, value: {{ $values.kafka.user | default (printf "%s-%s" $values.prefix (index . 1)) | quote }}}
- {name: SEGUE_KAFKA_PASSWORD, valueFrom: {secretKeyRef: {name: {{ $values.secretName }}, key: {{ ternary "kafka-password" (printf "kafka-%s-password" (index . 1)) (ne $values.kafka.user "") }}}}}
{{- end }}
{{- end }}

{{- /* What the Flink jobs read: the log and `settings`. */ -}}
{{- define "segue.flinkEnv" -}}
{{ include "segue.kafkaEnv" . }}
{{- include "segue.kafkaLogin" (list . "flink") }}
{{- range $name, $value := .Values.settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

{{- /* Call with the root and the database login: (list $ "sink") */ -}}
{{- define "segue.env" -}}
{{- $root := index . 0 -}}
{{- $secret := $root.Values.secretName -}}
- {name: SEGUE_HOME, value: /data}
{{ include "segue.kafkaEnv" $root }}
- {name: SEGUE_PLAYS_RETENTION_DAYS, value: {{ $root.Values.kafka.retentionDays | quote }}}
- {name: SEGUE_REDIS_URL, valueFrom: {secretKeyRef: {name: {{ $secret }}, key: redis-url}}}
- {name: SEGUE_POSTGRES_DSN, valueFrom: {secretKeyRef: {name: {{ $secret }}, key: postgres-{{ index . 1 }}-dsn}}}
{{- if $root.Values.lake.url }}
- {name: SEGUE_LAKE, value: {{ $root.Values.lake.url | quote }}}
- {name: SEGUE_S3_ENDPOINT, value: {{ $root.Values.lake.endpoint | quote }}}
- {name: SEGUE_S3_REGION, value: {{ $root.Values.lake.region | quote }}}
- {name: SEGUE_S3_KEY, valueFrom: {secretKeyRef: {name: {{ $secret }}, key: s3-key}}}
- {name: SEGUE_S3_SECRET, valueFrom: {secretKeyRef: {name: {{ $secret }}, key: s3-secret}}}
{{- end }}
- {name: SEGUE_HOST, value: 0.0.0.0}
- {name: SEGUE_TRUSTED_PROXIES, value: {{ prepend $root.Values.trustedProxies (printf "%s-web-pods" $root.Release.Name) | join "," | quote }}}
- {name: SEGUE_HOST_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
- {name: SEGUE_API_URL, value: "http://{{ $root.Release.Name }}-api:8000"}
- {name: SEGUE_PUBLIC_URL, value: {{ $root.Values.publicUrl | quote }}}
- {name: SEGUE_WEB_URL, value: {{ $root.Values.webUrl | quote }}}
{{- if $root.Values.relay.enabled }}
- {name: SEGUE_RELAY, value: "1"}
{{- end }}
{{- if $root.Values.flink.enabled }}
- {name: SEGUE_FLINK, value: "http://{{ $root.Release.Name }}-flink-rest:8081"}
{{- end }}
{{- range $name, $value := $root.Values.settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

{{- /* Call with the root, the user's role, the key of the Secret and the prefix of the user's variables
("": SEGUE_SNOWFLAKE): (list $ "LOADER" "loader" "") */ -}}
{{- define "segue.snowflakeEnv" -}}
{{- $values := (index . 0).Values.snowflake -}}
{{- if $values.enabled }}
- {name: SEGUE_SNOWFLAKE_ACCOUNT, value: {{ $values.account | quote }}}
- {name: SEGUE_SNOWFLAKE_DATABASE, value: {{ $values.database | quote }}}
- {name: {{ index . 3 | default "SEGUE_SNOWFLAKE" }}_USER, value: {{ printf "%s_%s" $values.database (index . 1) | quote }}}
- {name: {{ index . 3 | default "SEGUE_SNOWFLAKE" }}_PRIVATE_KEY, valueFrom: {secretKeyRef: {name: {{ $values.secretName }}, key: {{ index . 2 }}}}}
{{- end }}
{{- end }}

{{- define "segue.hardened" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- /* What every pod has. No process in it calls the API of Kubernetes. */ -}}
{{- define "segue.pod" -}}
automountServiceAccountToken: false
terminationGracePeriodSeconds: 45
securityContext: {runAsNonRoot: true, runAsUser: 10001, runAsGroup: 10001, fsGroup: 10001}
{{- end }}

{{- define "segue.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "segue.selector" . | nindent 8 }}
{{- end }}

{{- define "segue.homeVolume" -}}
- name: home
  persistentVolumeClaim: {claimName: {{ .Values.home.existingClaim | default (printf "%s-home" .Release.Name) }}}
{{ include "segue.otherVolumes" . }}
{{- end }}

{{- define "segue.otherVolumes" -}}
- {name: tmp, emptyDir: {}}
{{- include "segue.caVolume" . }}
{{- end }}

{{- define "segue.homeMounts" -}}
- {name: home, mountPath: /data}
- {name: tmp, mountPath: /tmp}
{{- include "segue.caMount" . }}
{{- end }}

{{- /* The authority that signed the certificates of your servers. */ -}}
{{- define "segue.caVolume" -}}
{{- if .Values.caSecretName }}
- name: certs
  secret: {secretName: {{ .Values.caSecretName }}, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- end }}

{{- define "segue.caMount" -}}
{{- if .Values.caSecretName }}
- {name: certs, mountPath: /certs, readOnly: true}
{{- end }}
{{- end }}

{{- /* Numba passes over compiled kernels in a folder it may not write to, and the root file system
is read-only: so they are copied into a folder that is writable and mounted in their place. */ -}}
{{- define "segue.kernelsInit" -}}
- name: kernels
  image: {{ include "segue.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [cp, -a, "{{ .Values.image.packages }}/online_model/__pycache__/.", /kernels/]
  securityContext: {{- include "segue.hardened" . | nindent 4 }}
  resources: {requests: {cpu: 100m, memory: 32Mi}, limits: {memory: 64Mi}}
  volumeMounts: [{name: kernels, mountPath: /kernels}]
{{- end }}

{{- define "segue.kernelsMount" -}}
- {name: kernels, mountPath: "{{ .Values.image.packages }}/online_model/__pycache__"}
{{- end }}

{{- /* A worker's container: (dict "root" $ "name" "lake-sink" "values" .Values.lakeSink) */ -}}
{{- define "segue.container" -}}
{{- $root := .root -}}
- name: {{ .name }}
  image: {{ include "segue.image" $root }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  args: [worker, {{ .name }}]
  securityContext: {{- include "segue.hardened" $root | nindent 4 }}
  resources: {{- toYaml .values.resources | nindent 4 }}
{{- end }}
