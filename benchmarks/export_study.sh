#!/usr/bin/env bash
# BLEU of int8 exports beside fp32, over two corpora, two cells and two contexts: trains eight small
# models (about ten minutes each on one core) and runs benchmarks/export_quality.py on validation.
#
#   SEQ2SEQ_DATA=folder-that-holds-multi30k-and-tatoeba_deu_eng benchmarks/export_study.sh
#
# Everything is made in local/study. A stopped run continues.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${SEQ2SEQ_DATA:?set it to the folder that holds multi30k/ and tatoeba_deu_eng/}"
STUDY=$PWD/local/study
PYTHON=${PYTHON:-$PWD/.venv/bin/python}
export OMP_NUM_THREADS=1
mkdir -p "$STUDY"

[ -f "$STUDY/tatoeba/valid.en" ] ||
    $PYTHON recipes/tatoeba/prepare.py "$SEQ2SEQ_DATA/tatoeba_deu_eng" "$STUDY/tatoeba"
mkdir -p "$STUDY/multi30k"
for side in en de; do
    zcat -f "$SEQ2SEQ_DATA/multi30k/val.$side"* > "$STUDY/multi30k/valid.$side"
done

COMMON="training.updates=500 training.batch_tokens=1500 training.learning_rate=0.002
    training.warmup=200 training.schedule=cosine training.ema_decay=0.99 training.label_smoothing=0.1
    training.threads=1 training.precision=fp32 validation.every=2000 validation.metric=loss"
MODELS=()
for corpus in multi30k tatoeba; do
    for cell in gru lstm; do
        for context in "kind=cosine" "kind=fixed"; do
            run=$STUDY/$corpus-$cell-${context#kind=}
            settings="$COMMON encoder.cell=$cell decoder.cell=$cell context.$context"
            [ "$corpus" = multi30k ] ||
                settings+=" data.train=$STUDY/tatoeba/train data.valid=$STUDY/tatoeba/valid"
            flags=()
            for setting in $settings; do flags+=(--set "$setting"); done
            [ ! -d "$run" ] || flags+=(--resume)
            $PYTHON -m seq2seq train benchmarks/standard.toml --out "$run" "${flags[@]}" >&2
            MODELS+=("$run/model:$STUDY/$corpus/valid.en:$STUDY/$corpus/valid.de")
        done
    done
done
$PYTHON benchmarks/export_quality.py "$STUDY/multi30k/valid.en" "$STUDY/multi30k/valid.de" "${MODELS[@]}"
