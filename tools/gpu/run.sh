#!/usr/bin/env bash
# Everything that a GPU can tell, by worth, in at most 9 minutes: `bash tools/gpu/run.sh`.
#
# For a bare machine without network (Python 3.12, torch 2.11): `python tools/gpu/pack.py` before, and carry .gpu along.
# Each step writes its result as soon as it has it and does not depend on the one before:
#   correctness.jsonl   losses against the CPU, crops cut on the device, bf16, fp16, host reads; every base method
#   throughput.jsonl    ViT-S and ViT-L: images/s, share of the matrix product rate, peak memory
#   kernels.txt         where a step of ViT-S spends its time
#   trainings.jsonl     real trainings on CIFAR-10, shortest first
#   summary.txt         what each step printed
#
# DEVICE=cpu STEPS=2 tries all of it on a CPU, small. OUT: folder of the results (default work_dirs/gpu_results), WORK: of the
# unpacked images and the trainings (work_dirs/gpu), PACK: the pack (.gpu), PYTHON, MINUTES (9), BASES: patterns in configs/ for
# the first step, TRAININGS: names for the last, EPOCHS: of each instead of its config's, AT_ONCE: so many side by side.
# Started again, it measures anew, and unfinished trainings go on.
set -uo pipefail
cd "$(dirname "$0")/../.."
DEVICE=${DEVICE:-cuda} STEPS=${STEPS:-} OUT=${OUT:-work_dirs/gpu_results} WORK=${WORK:-work_dirs/gpu} PACK=${PACK:-.gpu} PYTHON=${PYTHON:-python3}
SECONDS_ALL=$((${MINUTES:-9} * 60))
END=$(($(date +%s) + SECONDS_ALL))
mkdir -p "$OUT"
export PYTHONUNBUFFERED=1 PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
STOP=75 # seconds that trainings have for saving
status=0

left() { echo $((END - $(date +%s) - SECONDS_ALL * ${1:-0} / 100)); }

step() { # name, percent of all time kept for later steps, command
    local name=$1 limit; limit=$(left "$2"); shift 2
    if [ "$limit" -lt 10 ]; then echo "== $name: no time left"; status=1; return; fi
    echo "== $name (at most $limit s)"
    timeout --kill-after=90 "$limit" "$@" 2>&1 | tee "$OUT/$name.txt" || { echo "== $name ended with an error"; status=1; }
}

if [ -d "$PACK/wheels" ]; then
    SITE=$(mktemp -d)
    trap 'rm -rf "$SITE"' EXIT
    "$PYTHON" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$SITE" "$PACK"/wheels/*.whl || exit 1
    export PYTHONPATH="$SITE:$PYTHONPATH"
fi
DATA=cifar10
if [ -d "$PACK/cifar10" ]; then
    DATA=$WORK/data
    [ -f "$DATA/test_images.npy" ] || "$PYTHON" tools/gpu/pack.py "$PACK" --unpack "$DATA" || exit 1
fi

small=() throughput=() images=()
if [ -n "$STEPS" ]; then
    small=(--steps "$STEPS")
    images=(--images 8)
    throughput=(--steps "$STEPS" --batch 1 1 --configs ibot_vits --eager)
fi
step correctness 60 "$PYTHON" tools/gpu/correctness.py --device "$DEVICE" --data-root "$DATA" "${small[@]}" "${images[@]}" \
    ${BASES:+--configs $BASES} --out "$OUT/correctness.jsonl"
step throughput 37 "$PYTHON" tools/gpu/throughput.py --device "$DEVICE" "${throughput[@]}" \
    --seconds "$(left 41)" --out "$OUT/throughput.jsonl"
step trainings 0 "$PYTHON" tools/gpu/trainings.py --data-root "$DATA" "${small[@]}" --seconds "$(($(left) - STOP))" \
    ${TRAININGS:+--configs $TRAININGS} ${EPOCHS:+--epochs $EPOCHS} ${AT_ONCE:+--at-once $AT_ONCE} \
    --work-dirs "$WORK" --out "$OUT/trainings.jsonl"
cat "$OUT"/{correctness,throughput,trainings}.txt > "$OUT/summary.txt" 2> /dev/null
exit $status
