#!/usr/bin/env bash
# Train yoyodyne 0.5.27 on letters to sounds or on inflection, and score it on dev: a peer of
# recipes/g2p and recipes/inflection.
#
#   SEQ2SEQ_DATA=folder benchmarks/yoyodyne.sh g2p dut                 # or another medium language
#   SEQ2SEQ_DATA=folder benchmarks/yoyodyne.sh inflection swa [MODEL]
#
# MODEL is SoftAttentionLSTM (the default) or PointerGeneratorLSTM. MINUTES (15) limits the CPU time of the
# training, on one thread, with Adam. For letters to sounds, the sizes are those of yoyodyne's own experiments on
# such data. For inflection, they are those of recipes/inflection, and a linear encoder reads the features;
# docs/transduction.md says why. The checkpoint with the best accuracy on dev is scored on dev, and with SCORE_TEST=1
# also on the test set. The program prints exact match and WER, and the words learned a second of CPU time.
set -euo pipefail
cd "$(dirname "$0")/.."
SYSTEMS=yoyodyne
source benchmarks/peers_common.sh

TASK=${1:?g2p or inflection} LANGUAGE=${2:?a language}
MODEL=${3:-SoftAttentionLSTM}
MINUTES=${MINUTES:-15}
TO=$LOCAL/yoyodyne-$TASK/$LANGUAGE-$MODEL
export OMP_NUM_THREADS=1 CUDA_VISIBLE_DEVICES=

environment yoyodyne "" yoyodyne==0.5.27
# The torchvision that it asks for is built for another torch, and nothing here needs it.
"$LOCAL/yoyodyne/bin/pip" uninstall --quiet --yes torchvision torchaudio 2> /dev/null
mkdir -p "$TO"
case $TASK in
g2p)
    for split in train dev test; do
        gunzip -c "$SEQ2SEQ_DATA/sigmorphon2021_g2p/medium/${LANGUAGE}_$split.tsv.gz" > "$TO/$split.tsv"
    done
    COLUMNS=(--data.target_sep " ")
    FEATURES=()
    HIDDEN=256
    TARGET=2
    ;;
inflection)
    for split in train:trn dev:dev test:tst; do
        gunzip -c "$SEQ2SEQ_DATA/sigmorphon2023_inflection/$LANGUAGE.${split#*:}.gz" > "$TO/${split%:*}.tsv"
    done
    COLUMNS=(--data.features_col 2 --data.target_col 3)
    FEATURES=(--model.init_args.features_encoder yoyodyne.models.modules.LinearEncoder
        --model.init_args.features_encoder.init_args.embedding_size 128)
    HIDDEN=128
    TARGET=3
    ;;
esac

rm -rf "$TO/model"
task() {
    "$LOCAL/yoyodyne/bin/python" benchmarks/yoyodyne_task.py "$@"
}
task train "$TO" --minutes "$MINUTES" \
    --data.model_dir "$TO/model" --data.train "$TO/train.tsv" --data.val "$TO/dev.tsv" \
    --model "yoyodyne.models.${MODEL}Model" "${COLUMNS[@]}" \
    --model.init_args.embedding_size 128 --model.init_args.decoder_hidden_size 256 \
    --model.init_args.decoder_dropout 0.3 \
    --model.init_args.source_encoder yoyodyne.models.modules.LSTMEncoder \
    --model.init_args.source_encoder.init_args.embedding_size 128 \
    --model.init_args.source_encoder.init_args.hidden_size "$HIDDEN" \
    --model.init_args.source_encoder.init_args.dropout 0.3 \
    ${FEATURES[@]+"${FEATURES[@]}"} \
    --model.init_args.optimizer torch.optim.Adam --model.init_args.optimizer.init_args.lr 0.001
for split in dev ${SCORE_TEST:+test}; do
    task translate "$TO" "$TO/$split.tsv" "$TO/$split.out"
    paste <(cut -f "$TARGET" "$TO/$split.tsv") "$TO/$split.out" |
        awk -F '\t' -v what="$TASK $LANGUAGE $MODEL $split" '
            $1 == $2 {right++}
            END {printf "%s: exact match %.2f (WER %.2f)\n", what, 100 * right / NR, 100 - 100 * right / NR}'
done
