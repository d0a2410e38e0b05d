#!/usr/bin/env bash
# Base methods with and without rotation prediction, three seeds; run it again to continue. Arguments go to compare.py.
set -euo pipefail
cd "$(dirname "$0")/../.."
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
exec "${PYTHON:-python}" tools/analysis/compare.py \
    {configs/bases/simclr,projects/effssl/configs/simclr_rotation}_cifar10.py \
    {configs/bases/byol,projects/effssl/configs/byol_rotation}_cifar10.py \
    {configs/bases/swav,projects/effssl/configs/swav_rotation}_cifar10.py \
    {configs/bases/simsiam,projects/effssl/configs/simsiam_rotation}_cifar10.py \
    --seeds 0 1 2 --work-dir work_dirs/effssl --interval 50 \
    --pairs simclr_rotation_cifar10=simclr_cifar10 byol_rotation_cifar10=byol_cifar10 \
    swav_rotation_cifar10=swav_cifar10 simsiam_rotation_cifar10=simsiam_cifar10 \
    --curves knn_top1 r2/rotation/cls/ridge --measures knn_top1 rankme feature_std minutes r2/rotation/cls/ridge \
    --cfg-options train_cfg.max_iters=100 default_hooks.checkpoint.interval=50 evaluation.limits.train=5000 \
    evaluation.tasks.equivariance.train=2000 evaluation.tasks.equivariance.test=1000 "$@"
