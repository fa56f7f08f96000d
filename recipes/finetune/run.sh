#!/usr/bin/env bash
# A voice from a few minutes of recordings: the stages of ../ljspeech/run.sh, with its options,
# starting from the weights of ../ljspeech/warmstart/kathleen.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# Of two equal options the later one counts: what the user says comes last.
exec "$here/../ljspeech/run.sh" --conf "$here/conf/finetune.yaml" --init-from kathleen \
    --datadir "$here/data" --expdir "$here/exp" "$@"
