#!/usr/bin/env bash
# Train under Slurm: tools/slurm_train.sh PARTITION JOB_NAME CONFIG PROCESSES [flags of tools/train.py]
#   GPUS_PER_NODE (default 4), CPUS_PER_TASK (default 12), SRUN_ARGS for anything else.
#   Slurm sends SIGUSR1 two minutes before the time limit: the run saves and exits with 75. In a batch script, requeue on 75:
#     tools/slurm_train.sh ... --resume || { [ $? -eq 75 ] && scontrol requeue "$SLURM_JOB_ID"; }
set -euo pipefail
if [ $# -lt 4 ]; then
    echo "error: usage: tools/slurm_train.sh PARTITION JOB_NAME CONFIG PROCESSES [flags of tools/train.py]" >&2
    exit 2
fi
PARTITION=$1
JOB_NAME=$2
CONFIG=$3
PROCESSES=$4
shift 4
GPUS_PER_NODE=${GPUS_PER_NODE:-4}
CPUS_PER_TASK=${CPUS_PER_TASK:-12}
PER_NODE=$((PROCESSES < GPUS_PER_NODE ? PROCESSES : GPUS_PER_NODE))
HERE=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-python}
export PYTHONPATH="$(dirname "$HERE")${PYTHONPATH:+:$PYTHONPATH}"
"$PYTHON" "$HERE/train.py" "$CONFIG" "$@" --check "$PROCESSES"
# shellcheck disable=SC2086  # SRUN_ARGS is a list of words
srun -p "$PARTITION" --job-name="$JOB_NAME" --ntasks="$PROCESSES" --ntasks-per-node="$PER_NODE" \
    --gres="gpu:$PER_NODE" --cpus-per-task="$CPUS_PER_TASK" --kill-on-bad-exit=1 --signal=USR1@120 ${SRUN_ARGS:-} \
    bash -c 'export MASTER_ADDR=${MASTER_ADDR:-$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)}; exec "$@"' _ \
    "$PYTHON" -u "$HERE/train.py" "$CONFIG" --launcher slurm "$@"
