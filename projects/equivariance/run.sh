#!/usr/bin/env bash
# iBOT, SimCLR and VICReg, alone and with each equivariant task, three seeds; run it again to continue. Arguments go to compare.py.
set -euo pipefail
cd "$(dirname "$0")/../.."
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
exec "${PYTHON:-python}" tools/analysis/compare.py \
    projects/equivariance/configs/{ibot,simclr,vicreg}{,_recon,_crossattn,_sie}.py \
    --seeds 0 1 2 --work-dir work_dirs/equivariance --interval 40 \
    --pairs ibot_{recon,crossattn,sie}=ibot simclr_{recon,crossattn,sie}=simclr vicreg_{recon,crossattn,sie}=vicreg \
    --curves knn_top1 r2/rotation/all/mlp r2/mean/all/mlp \
    --measures knn_top1 rankme feature_std minutes r2/{rotation,translation,color,blur,mean}/all/mlp \
    --cfg-options data_root=cifar10 default_hooks.checkpoint.interval=40 "$@"
