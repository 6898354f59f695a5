#!/usr/bin/env bash
# Training speed and memory beside others, on one machine and in one run, everything in turn: the
# standard model with attention beside OpenNMT-py 3.5.1 (without and with input feeding), Eole 0.6.4
# and JoeyNMT 2.3.0 (both with), and with a fixed c beside the loop of the tutorials. Target tokens
# a second without padding, two threads, the same subwords, sizes and about 64 sentences a batch;
# theirs in fp32, all that they have on a CPU, but for Eole, which has bf16, too.
#
#   SEQ2SEQ_DATA=folder-that-holds-multi30k [ROUNDS=3] [SYSTEMS="ours joeynmt"] \
#       [DEVICE=cuda] benchmarks/peers.sh
#
# Makes an environment for each peer in local/ (packages from PyPI). Nothing else should run.
# SYSTEMS: which of ours, tutorial, opennmt, eole, joeynmt; all if unset. DEVICE: cpu if unset.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${SEQ2SEQ_DATA:?set it to the folder that holds multi30k/}"
ROUNDS=${ROUNDS:-3} DEVICE=${DEVICE:-cpu}
SYSTEMS=" ${SYSTEMS:-ours tutorial opennmt eole joeynmt} "
LOCAL=$PWD/local
PEERS=$LOCAL/peers
PYTHON=$PWD/.venv/bin/python
[ "$DEVICE" = cpu ] || GPU=true
# The peers tell their speed EVERY so many updates; the first WARM times do not count.
EVERY=8 WARM=3
UPDATES=$((EVERY * (WARM + 8)))

# Ours switches this on itself (seq2seq/runtime.py).
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184 MALLOC_TOP_PAD_=268435456
export OMP_NUM_THREADS=2

# wanted SYSTEM: whether it is one of those to be measured.
wanted() {
    [[ $SYSTEMS == *" $1 "* ]]
}

# environment NAME PACKAGES REQUIREMENTS: local/NAME with our torch. The packages come without what
# they ask for (another torch, an old protobuf, torchcodec); what they import is named in its place.
environment() {
    local to=$LOCAL/$1
    wanted "$1" || return 0
    [ ! -f "$to/ready" ] || return 0
    rm -rf "$to"
    python3 -m venv "$to"
    "$to/bin/pip" install --quiet "$(grep '^torch==' constraints.txt)"
    # Unquoted: lists.
    "$to/bin/pip" install --quiet $3
    "$to/bin/pip" install --quiet --no-deps $2
    touch "$to/ready"
}

environment opennmt OpenNMT-py==3.5.1 "configargparse pyonmttok sacrebleu waitress flask pyyaml
    tensorboard six ctranslate2 rapidfuzz spacy fasttext-wheel pyahocorasick"
environment eole "eole==0.6.4 torch-optimi" "configargparse datasets fastapi fasttext-wheel
    huggingface_hub pandas protobuf pyahocorasick pydantic pyonmttok pyyaml rapidfuzz rich sacrebleu
    safetensors sentencepiece six spacy subword-nmt tensorboard tokenizers uvicorn waitress aiohttp
    ctranslate2"
environment joeynmt joeynmt==2.3.0 "datasets setuptools<81 matplotlib packaging pandas pillow
    protobuf pyyaml sacrebleu sacremoses seaborn sentencepiece six subword-nmt tensorboard wrapt
    importlib_metadata"
# It insists on a scheduler, and torch's no longer knows this argument.
if wanted joeynmt; then
    sed -i '/"verbose": False,/d' "$LOCAL"/joeynmt/lib/python3*/site-packages/joeynmt/builders.py
fi

# The same pieces for all, and the vocabulary in a format that all of them read: a piece a line.
mkdir -p "$PEERS"
$PYTHON - benchmarks/standard.toml "$PEERS" << 'CODE'
import sys
from pathlib import Path

from seq2seq.config.toml import load_config
from seq2seq.text import preparation

chosen, peers = load_config(Path(sys.argv[1])), Path(sys.argv[2])
prepared = preparation.prepare_data(chosen, peers / "data")
tokenizer = prepared.codec.target
for side, name in enumerate(("source", "target")):
    rows = (prepared.train.ids(row, side) for row in range(len(prepared.train)))
    lines = [" ".join(tokenizer.pieces(ids)) + "\n" for ids in rows]
    (peers / f"train.{name}").write_text("".join(lines), encoding="utf-8")
    # JoeyNMT does not start without some, though it is never told to validate.
    (peers / f"dev.{name}").write_text("".join(lines[:8]), encoding="utf-8")
specials = {tokenizer.pad, tokenizer.unk, tokenizer.bos, tokenizer.eos}
pieces = tokenizer.pieces([i for i in range(len(tokenizer)) if i not in specials])
(peers / "vocabulary").write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
CODE

# imports NAME MODULES: kilobytes in memory when all that a training needs has been imported.
imports() {
    wanted "$1" || return 0
    "$LOCAL/$1/bin/python" -c "
import $2
print(open('/proc/self/status').read().split('VmRSS:')[1].split()[0])" 2> /dev/null | tail -n 1
}

declare -A IMPORTS
IMPORTS[opennmt]=$(imports opennmt "onmt.bin.train, onmt.trainer, onmt.train_single")
IMPORTS[eole]=$(imports eole eole.bin.main)
IMPORTS[joeynmt]=$(imports joeynmt joeynmt.__main__)

# peak COMMAND...: runs it; the highest memory it took, in kilobytes, on the last line.
peak() {
    $PYTHON -c '
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' "$@"
}

# median: of the numbers, one a line, after those of warm-up.
median() {
    tail -n +$((WARM + 1)) | sort -n |
        awk '{v[NR] = $1} END {print int((v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2)}'
}

# peer NAME TITLE SPEED PROGRAM ARGUMENT...: trains with a program of its environment, in the folder
# of the data, with the settings on standard input. SPEED matches the speed in its log.
peer() {
    wanted "$1" || return 0
    local name=$1 title=$2 program=$LOCAL/$1/bin/$4 speed highest
    (
        cd "$PEERS"
        cat > "$name.yaml"
        peak "$program" "${@:5}" > "$name.log" 2>&1 || { tail "$name.log" >&2; exit 1; }
        speed=$(grep -o "$3" "$name.log" | tr -dc '0-9\n' | median)
        highest=$(awk '/^peak/ {print $2}' "$name.log")
        echo "$title: $speed tokens/s," \
            "$(((highest - IMPORTS[$name]) / 1024)) MiB above imports"
    )
}

# opennmt TITLE INPUT_FEED
opennmt() {
    # Source/target tok/s, neither with padding.
    peer opennmt "$1" '/[ 0-9]* tok/s' onmt_train -config opennmt.yaml << YAML
data: {corpus_1: {path_src: train.source, path_tgt: train.target}}
src_vocab: vocabulary
tgt_vocab: vocabulary
share_vocab: true
save_model: unused
encoder_type: brnn
decoder_type: rnn
rnn_type: GRU
enc_layers: 1
dec_layers: 1
hidden_size: 512
word_vec_size: 256
global_attention: general
input_feed: $2
bridge: true
dropout: 0.2
label_smoothing: 0.1
optim: adam
learning_rate: 0.001
max_grad_norm: 1
batch_type: sents
batch_size: 64
bucket_size: 29000
num_workers: 0
report_every: $EVERY
${GPU:+world_size: 1}
${GPU:+gpu_ranks: [0]}
train_steps: $UPDATES
save_checkpoint_steps: 1000000
YAML
}

# eole TITLE PRECISION
eole() {
    # It logs as OpenNMT-py does. Its architecture "rnn" makes an encoder of one direction in
    # silence; with two, its bridge fails (64x512 and 256x256), so that it has none.
    peer eole "$1" '/[ 0-9]* tok/s' eole train -config eole.yaml << YAML
data: {corpus_1: {path_src: train.source, path_tgt: train.target}}
src_vocab: vocabulary
tgt_vocab: vocabulary
share_vocab: true
report_every: $EVERY
model:
    architecture: custom
    encoder: {encoder_type: brnn, rnn_type: GRU, layers: 1, hidden_size: 512}
    decoder:
        {decoder_type: rnn, rnn_type: GRU, layers: 1, hidden_size: 512, global_attention: general}
    embeddings: {word_vec_size: 256}
    input_feed: 1
training:
    model_path: eole
    ${GPU:+world_size: 1}
    ${GPU:+gpu_ranks: [0]}
    compute_dtype: $2
    dropout: [0.2]
    label_smoothing: 0.1
    optim: adam
    learning_rate: 0.001
    max_grad_norm: 1
    batch_type: sents
    batch_size: 64
    bucket_size: 29000
    num_workers: 0
    train_steps: $UPDATES
    save_checkpoint_steps: 1000000
YAML
}

# joeynmt TITLE
joeynmt() {
    # Target tokens without padding (its batch.py, ntokens). Half the updates: it is slow, and its
    # batches are not sorted by length, so that they are all alike. The scheduler acts when it
    # validates, which is never.
    peer joeynmt "$1" 'Tokens per Sec: *[0-9]*' \
        python -m joeynmt train joeynmt.yaml --skip-test << YAML
name: joeynmt
model_dir: joeynmt
use_cuda: ${GPU:-false}
data:
    train: train
    dev: dev
    src: {lang: source, level: word, voc_file: vocabulary}
    trg: {lang: target, level: word, voc_file: vocabulary}
model:
    encoder:
        type: recurrent
        rnn_type: gru
        bidirectional: true
        num_layers: 1
        hidden_size: 256
        embeddings: {embedding_dim: 256}
        dropout: 0.2
    decoder:
        type: recurrent
        rnn_type: gru
        num_layers: 1
        hidden_size: 512
        attention: bahdanau
        input_feeding: true
        init_hidden: bridge
        embeddings: {embedding_dim: 256}
        dropout: 0.2
        hidden_dropout: 0.2
training:
    label_smoothing: 0.1
    optimizer: adam
    learning_rate: 0.001
    scheduling: plateau
    clip_grad_norm: 1.0
    batch_type: sentence
    batch_size: 64
    logging_freq: $((EVERY / 2))
    updates: $((UPDATES / 2))
    validation_freq: 1000000
    overwrite: true
testing: {}
YAML
}

ours() {
    wanted ours || return 0
    $PYTHON benchmarks/train.py benchmarks/standard.toml --threads 2 --rounds 3 --updates 30 "$@" \
        "training.device=$DEVICE" |
        grep -v '^|---\|^| variant'
}

tutorial() {
    wanted tutorial || return 0
    $PYTHON benchmarks/tutorial.py benchmarks/standard.toml --threads 2 \
        --set context.kind=fixed --set "training.device=$DEVICE"
}

for ((round = 1; round <= ROUNDS; round++)); do
    echo "== round $round"
    opennmt "OpenNMT-py, no input feeding, fp32" 0
    ours -v "attention, bf16" training.precision=bf16
    ours -v "attention, fp32" training.precision=fp32
    opennmt "OpenNMT-py, input feeding, fp32" 1
    eole "Eole, input feeding, fp32" fp32
    eole "Eole, input feeding, bf16" bf16
    joeynmt "JoeyNMT, additive attention, input feeding, fp32"
    ours -v "attention, classic placement, fp32" training.precision=fp32 context.placement=classic
    ours -v "attention, classic placement, bf16" training.precision=bf16 context.placement=classic
    tutorial
    ours -v "fixed c, bf16" context.kind=fixed training.precision=bf16
    ours -v "fixed c, fp32" context.kind=fixed training.precision=fp32
done
