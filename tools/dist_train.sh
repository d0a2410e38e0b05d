#!/usr/bin/env bash
# Train on several processes: tools/dist_train.sh CONFIG PROCESSES [flags of tools/train.py]
#   PROCESSES counts all processes of the job; each node starts PROCESSES / NNODES of them.
#   several nodes: NNODES=4 NODE_RANK=0 MASTER_ADDR=host0 MASTER_PORT=29500 tools/dist_train.sh CONFIG 32
#   without GPUs the processes talk over gloo.
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "error: usage: tools/dist_train.sh CONFIG PROCESSES [flags of tools/train.py]" >&2
    exit 2
fi
CONFIG=$1
PROCESSES=$2
shift 2
NNODES=${NNODES:-1}
NODE_RANK=${NODE_RANK:-0}
MASTER_ADDR=${MASTER_ADDR:-127.0.0.1}
HERE=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-python}
export PYTHONPATH="$(dirname "$HERE")${PYTHONPATH:+:$PYTHONPATH}"
if ! [[ $PROCESSES =~ ^[1-9][0-9]*$ ]]; then
    echo "error: PROCESSES=$PROCESSES is no number of processes; usage: tools/dist_train.sh CONFIG PROCESSES" >&2
    exit 2
fi
if [ "$((PROCESSES % NNODES))" -ne 0 ]; then
    echo "error: $PROCESSES processes cannot be divided over NNODES=$NNODES nodes" >&2
    exit 2
fi
# Config and data are checked once before the launch: one clear line instead of one traceback per rank.
"$PYTHON" "$HERE/train.py" "$CONFIG" "$@" --check "$PROCESSES"
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
if [ "$NNODES" -eq 1 ] && [ -z "${MASTER_PORT:-}" ]; then
    MEETING=(--standalone)  # any free port: several jobs on one machine do not meet
else
    MEETING=(--nnodes "$NNODES" --node_rank "$NODE_RANK" --master_addr "$MASTER_ADDR" --master_port "${MASTER_PORT:-29500}")
fi
exec "$PYTHON" -m torch.distributed.run "${MEETING[@]}" \
    --nproc_per_node "$((PROCESSES / NNODES))" \
    "$HERE/train.py" "$CONFIG" --launcher pytorch "$@"
