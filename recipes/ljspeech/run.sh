#!/usr/bin/env bash
# From recordings to a speaking ONNX voice. Stages: see README.md beside this file.
set -euo pipefail

usage() {
    cat <<'USAGE'
Usage: ./run.sh [options]
  --stage N               first stage (default 0)
  --stop-stage N          last stage (default 5; 6 judges the voice beside the recordings,
                          7 measures how fast it is on this machine)
  --corpus DIR|NAME       LJSpeech-layout folder, `practice`, or `ljspeech` (default, downloaded)
  --conf FILE             configuration (default conf/ljspeech.yaml)
  --tag NAME              name of this run (default: the corpus' name)
  --datadir DIR           manifests go to DIR/TAG (default data, beside this script)
  --expdir DIR            results go to DIR/TAG (default exp, beside this script)
  --nproc N               training processes (default 1)
  --mixed_precision P     no, bf16 or fp16 (default no)
  --init-from DIR|NAME    folder with tacotron2/ and hifigan/ checkpoints to start from, or the
                          name of one in warmstart/, such as kathleen
  --keep SHARE            of the weights of --init-from in Tacotron2, from 0 to 1: once it is trained
                          it is averaged with them, before its postnet is (default: no average)
  --alignments DIR        forced alignments of the clips (default: made in stage 1 if the
                          configuration says train.acoustic.guided: alignments)
  --vocoder NAME          of the voice: hifigan-ft (default), or hifigan, which has learned from
                          recordings alone: stages 3 and 4 are left out
  --profile P             of the voice: int8 (default), int4 or fp32
  --wandb PROJECT         log to Weights & Biases as well
  --split-seed N          seed of the train/dev/test split (default 1234)
  --max-rejects SHARE     largest share of clips stage 0 may reject (default 0.01)
  --clips N               stage 6 speaks only N test clips (default all)
  --hard N                stage 6 speaks only N hard sentences (default all)
  --jobs N                processes of stage 6 (default 1)
  --force                 do the stages again even where nothing changed
USAGE
}

stage=0 stop_stage=5 corpus=ljspeech conf=conf/ljspeech.yaml tag="" datadir="" expdir=""
nproc=1 mixed_precision=no init_from="" keep="" alignments="" vocoder=hifigan-ft profile="" wandb=""
split_seed="" max_rejects="" force="" clips="" hard="" jobs=""

die() { echo "error: $1" >&2; exit 2; }

while [ $# -gt 0 ]; do
    case "$1" in
        -h|--help) usage; exit 0 ;;
        --force) force=--force; shift; continue ;;
        --stage|--stop-stage|--stop_stage|--corpus|--conf|--tag|--datadir|--expdir|--nproc|\
        --mixed_precision|--mixed-precision|--init-from|--init_from|--keep|--alignments|--vocoder|\
        --profile|--wandb|--split-seed|--max-rejects|--clips|--hard|--jobs) ;;
        *) die "unknown option $1; see ./run.sh --help" ;;
    esac
    [ $# -ge 2 ] || die "$1 needs a value; see ./run.sh --help"
    name=${1#--}
    printf -v "${name//-/_}" %s "$2"
    shift 2
done
for number in "$stage" "$stop_stage" "$nproc"; do
    [[ $number =~ ^[0-9]+$ ]] || die "$number is not a number; see ./run.sh --help"
done

if [ -n "$keep" ]; then
    [ -n "$init_from" ] || die "--keep is a share of --init-from: give both"
    [[ $keep =~ ^([01]|0?\.[0-9]+|1\.0+)$ ]] || die "--keep is a share from 0 to 1, not $keep"
fi
[[ $vocoder =~ ^hifigan(-ft)?$ ]] || die "--vocoder is hifigan or hifigan-ft, not $vocoder"
[ "$stage" -le "$stop_stage" ] && [ "$stop_stage" -le 7 ] || die "stages go from 0 to 7"
command -v tts-kit >/dev/null || {
    echo "error: tts-kit is not on the PATH: activate its environment (. .venv/bin/activate)" >&2
    exit 7
}

# Paths count from where the user stands; --conf may also name a file of the recipe's own conf/.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tag=${tag:-$(basename "$corpus")}
datadir=$(realpath -m "${datadir:-$here/data}") expdir=$(realpath -m "${expdir:-$here/exp}")
[ ! -e "$conf" ] || conf=$(realpath "$conf")
if [ -n "$init_from" ] && [ ! -e "$init_from" ] && [ -d "$here/warmstart/$init_from" ]; then
    init_from=$here/warmstart/$init_from
fi
[ -z "$init_from" ] || init_from=$(realpath -m "$init_from")
[ -z "$alignments" ] || alignments=$(realpath -m "$alignments")
case "$corpus" in ljspeech|practice) ;; *) corpus=$(realpath -m "$corpus") ;; esac
cd "$here"

# OpenMP threads that wait must sleep: spinning ones halve the speed as soon as anything else runs.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
data=$datadir/$tag exp=$expdir/$tag
runs() { [ "$stage" -le "$1" ] && [ "$1" -le "$stop_stage" ]; }
announce() { echo "== stage $1: $2" >&2; }
train() {  # module, then its options
    local start=(python -m)
    [ "$nproc" -eq 1 ] || start=(torchrun --standalone --nproc_per_node "$nproc" -m)
    "${start[@]}" "tts_kit.training.$1" --conf "$conf" --data "$data" \
        --mixed_precision "$mixed_precision" $force ${wandb:+--wandb "$wandb"} "${@:2}"
}

if runs 0; then
    announce 0 "data"
    tts-kit prepare --corpus "$corpus" --conf "$conf" --out "$data" $force \
        ${split_seed:+--seed "$split_seed"} ${max_rejects:+--max-rejects "$max_rejects"}
fi
if runs 1; then
    announce 1 "Tacotron2"
    if [ -z "$alignments" ]; then
        tts-kit align --if-guided --conf "$conf" --data "$data" --out "$data/alignments" $force
        [ ! -d "$data/alignments" ] || alignments=$data/alignments
    fi
    train acoustic --out "$exp/tacotron2" ${init_from:+--init-from "$init_from/tacotron2"} \
        ${alignments:+--alignments "$alignments"}
    acoustic=$exp/tacotron2
    if [ -n "$keep" ]; then
        tts-kit average --acoustic "$acoustic" --init-from "$init_from/tacotron2" --keep "$keep" \
            --out "$exp/averaged" $force
        acoustic=$exp/averaged
    fi
    tts-kit dump --coarse --conf "$conf" --data "$data" --acoustic "$acoustic" \
        --out "$exp/coarse" $force
    train postnet --out "$exp/postnet" --init-from "$acoustic" --mels "$exp/coarse"
fi
if runs 2; then
    announce 2 "HiFi-GAN"
    train vocoder --out "$exp/hifigan" ${init_from:+--init-from "$init_from/hifigan"}
fi
if [ "$vocoder" = hifigan ]; then
    for left_out in 3 4; do
        ! runs $left_out || announce $left_out "left out: --vocoder hifigan"
    done
else
    if runs 3; then
        announce 3 "dump mels"
        tts-kit dump --conf "$conf" --data "$data" --acoustic "$exp/postnet" --out "$exp/mels" \
            $force
    fi
    if runs 4; then
        announce 4 "finetune HiFi-GAN"
        train vocoder --out "$exp/hifigan-ft" --init-from "$exp/hifigan" --mels "$exp/mels"
    fi
fi
if runs 5; then
    announce 5 "export"
    tts-kit export "$exp/postnet" "$exp/$vocoder" -o "$exp/voice" --conf "$conf" \
        --name "$tag" --data "$data" ${profile:+--profile "$profile"} $force
fi
if runs 6; then
    announce 6 "report"
    tts-kit report "$exp/voice" --data "$data" --exp "$exp" --sentences hard_sentences.txt \
        -o "$exp/report" $force ${clips:+--clips "$clips"} ${hard:+--hard "$hard"} \
        ${jobs:+--jobs "$jobs"}
fi
if runs 7; then
    announce 7 "bench"
    tts-kit bench "$exp/voice" -o "$exp/bench.json" $force
fi
