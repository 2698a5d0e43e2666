{{- define "svc-app.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "svc-app.fullname" -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- define "svc-app.probe" -}}
{{- if eq .root.Values.probes.kind "http" -}}
httpGet:
  path: {{ .path }}
  port: http
{{- else -}}
exec:
  command: {{ .command | toJson }}
{{- end }}
periodSeconds: {{ .root.Values.probes.periodSeconds }}
timeoutSeconds: 5
{{- end }}
