#!/usr/bin/env bash
# jobmanager: runs the jobs (more arguments are theirs). taskmanager: works for it. Anything else is
# run as it is, as Flink's Kubernetes operator does.
set -euo pipefail

state=${FLINK_STATE:-/state}
bind=${FLINK_BIND:-0.0.0.0}
mkdir -p "$state"
# The bounds of one host; a Kubernetes operator brings a configuration of its own.
settings=(
  "-Djobmanager.rpc.address=${FLINK_JOBMANAGER:-localhost}"
  "-Djobmanager.bind-host=$bind"
  "-Dtaskmanager.bind-host=$bind"
  "-Dtaskmanager.host=${FLINK_TASKMANAGER_HOST:-$(hostname -i | cut -d' ' -f1)}"
  "-Dtaskmanager.numberOfTaskSlots=2"
  "-Drest.address=${FLINK_JOBMANAGER:-localhost}"
  "-Drest.bind-address=$bind"
  "-Dweb.submit.enable=false"
  "-Dweb.cancel.enable=false"
  "-Djobmanager.memory.process.size=1200m"
  "-Dtaskmanager.memory.process.size=${FLINK_TASKMANAGER_MEMORY:-3g}"
  # 256 MB a slot are the least that all windows of the jobs begin with.
  "-Dtaskmanager.memory.managed.size=768m"
  "-Dexecution.checkpointing.interval=${FLINK_CHECKPOINT_INTERVAL:-10 s}"
  "-Dexecution.checkpointing.dir=file://$state/checkpoints"
  "-Dexecution.checkpointing.savepoint-dir=file://$state/savepoints"
  "-Dexecution.checkpointing.externalized-checkpoint-retention=RETAIN_ON_CANCELLATION"
  "-Dexecution.checkpointing.num-retained=2"
  "-Dexecution.checkpointing.incremental=true"
  "-Dstate.backend.type=${SEGUE_FLINK_STATE:-hashmap}"
  "-Drestart-strategy.type=exponential-delay"
  "-Dmetrics.reporter.prometheus.factory.class=org.apache.flink.metrics.prometheus.PrometheusReporterFactory"
  "-Dmetrics.reporter.prometheus.port=${FLINK_PROMETHEUS:-9249}"
  "-Dpython.executable=$(command -v python)"
  "-Dpython.client.executable=$(command -v python)"
)

# The newest complete checkpoint or savepoint: the last run wrote it, the next one resumes there.
newest() {
  find "$state" -name _metadata -printf '%T@ %h\n' 2>/dev/null | sort -n | tail -1 | cut -d' ' -f2-
}

# Each copy of state holds listeners' names. Before a start: delete all checkpoints but the newest
# copy, and savepoints after 30 days (`-mtime +30` would mean 31 days or more).
age_out() {
  find "$state" -mindepth 3 -maxdepth 3 -path "$state/checkpoints/*/chk-*" ! -path "$1" -exec rm -rf {} +
  find "$state" -mindepth 2 -maxdepth 2 -path "$state/savepoints/*" ! -path "$1" -mmin +43200 -exec rm -rf {} +
}

# If a Python worker dies, its task manager logs the worker's environment. The password is not needed
# there: settings come with the job.
case "$*" in
  *taskmanager*) unset SEGUE_KAFKA_PASSWORD ;;
esac

case "${1:-}" in
  jobmanager)
    shift
    from=$(newest)
    age_out "$from"
    case "$from" in
      */checkpoints/*) claim=CLAIM ;; # the run deletes it when it has a newer one
      *) claim=NO_CLAIM ;;
    esac
    exec standalone-job.sh start-foreground "${settings[@]}" \
      ${from:+"-Dexecution.state-recovery.path=file://$from"} \
      ${from:+"-Dexecution.state-recovery.claim-mode=$claim"} \
      --job-classname org.apache.flink.client.python.PythonDriver -pym streams.flink "$@"
    ;;
  taskmanager)
    exec taskmanager.sh start-foreground "${settings[@]}"
    ;;
  *)
    exec "$@"
    ;;
esac
