#!/usr/bin/env bash
# A voice from a few minutes of recordings: the stages of ../ljspeech/run.sh, with its options,
# starting from the weights of ../ljspeech/warmstart/kathleen.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# Of two equal options the later one counts: what the user says comes last. A voice of so few
# sentences is easily thrown off by the rounding of int8, which stage 5 then refuses: hence fp32.
exec "$here/../ljspeech/run.sh" --conf "$here/conf/finetune.yaml" --init-from kathleen --keep 0.6 \
    --vocoder hifigan --profile fp32 --datadir "$here/data" --expdir "$here/exp" "$@"
