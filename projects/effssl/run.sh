#!/usr/bin/env bash
# Base methods with and without rotation prediction, three seeds; run it again to continue. Arguments go to compare.py.
set -euo pipefail
cd "$(dirname "$0")/../.."
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
exec "${PYTHON:-python}" tools/analysis/compare.py \
    projects/effssl/configs/{simclr,byol,swav,simsiam}{,_rotation}.py \
    --seeds 0 1 2 --work-dir work_dirs/effssl \
    --curves knn_top1 r2/rotation/cls/ridge --measures r2/rotation/cls/ridge "$@"
