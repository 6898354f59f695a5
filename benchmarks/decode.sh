#!/usr/bin/env bash
# Speed, latency, start-up and memory of decoding beside others: makes the standard model and its
# exports, the peers and their models, and runs benchmarks/decode.py. Its options follow:
#
#   SEQ2SEQ_DATA=folder-that-holds-multi30k [MODEL=folder] [SYSTEMS="int8 eole"] \
#       benchmarks/decode.sh [--rounds 3] [--resume]...
#
# Models are trained for a few updates only: all translations are made equally long, and speed does
# not depend on the weights. MODEL: a trained model of ours to take instead. Nothing else should
# run. Everything is made in local/, once; the exports are made again if the code changes.
set -euo pipefail
cd "$(dirname "$0")/.."
SYSTEMS=${SYSTEMS:-pytorch-fp32 fp32 int8 shortlist eole opennmt ctranslate2}
EVERY=4 UPDATES=8 DEVICE=cpu
. benchmarks/peers_common.sh
DECODE=$LOCAL/decode
export PYTHONPATH=$PWD
mkdir -p "$DECODE"

environments
[ -f "$PEERS/test.source" ] || pieces

# The standard model, and its exports.
if [ -n "${MODEL:-}" ]; then
    ln -sfn "$(realpath "$MODEL")" "$DECODE/model"
elif [ ! -e "$DECODE/model" ]; then
    rm -rf "$DECODE/run"
    $PYTHON -m seq2seq train benchmarks/standard.toml --out "$DECODE/run" \
        --set training.updates=20 --set validation.every=20 --set validation.metric=loss >&2
    ln -sfn run/model "$DECODE/model"
fi
stamp=$(cat seq2seq/export/*.py "$DECODE/model/manifest.json" | sha256sum)
if [ "$stamp" != "$(cat "$DECODE/stamp" 2> /dev/null)" ]; then
    $PYTHON -m seq2seq export "$DECODE/model" -o "$DECODE/fp32" --precision fp32 >&2
    $PYTHON -m seq2seq export "$DECODE/model" -o "$DECODE/int8" >&2
    $PYTHON -m seq2seq export "$DECODE/model" -o "$DECODE/shortlist" --shortlist >&2
    echo "$stamp" > "$DECODE/stamp"
fi

# The peers' models.
(
    cd "$PEERS"
    if wanted eole && [ ! -f eole/config.json ]; then
        eole_settings fp32 > eole.yaml
        "$LOCAL/eole/bin/eole" train -config eole.yaml > eole.log 2>&1 || { tail eole.log; exit 1; }
    fi
    if wanted opennmt && [ ! -f opennmt.pt ]; then
        opennmt_settings 0 > opennmt.yaml
        "$LOCAL/opennmt/bin/onmt_train" -config opennmt.yaml > opennmt.log 2>&1 ||
            { tail opennmt.log; exit 1; }
        mv "opennmt_step_$UPDATES.pt" opennmt.pt
    fi
    if wanted ctranslate2 && [ ! -d transformer ]; then
        "$LOCAL/eole/bin/python" ../../benchmarks/decoders/random_transformer.py \
            vocabulary transformer
    fi
)

# Unquoted: a list. bf16 is measured too where the processor has it.
grep -q avx512_bf16 /proc/cpuinfo && wanted pytorch-fp32 && SYSTEMS="$SYSTEMS pytorch-bf16"
exec $PYTHON benchmarks/decode.py "$DECODE" "$TEST" --picture benchmarks/decode.svg \
    --systems $SYSTEMS "$@"
