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
ROUNDS=${ROUNDS:-3} SYSTEMS=${SYSTEMS:-ours tutorial opennmt eole joeynmt}
# The peers tell their speed EVERY so many updates; the first WARM times do not count.
EVERY=8 WARM=3
UPDATES=$((EVERY * (WARM + 8)))
. benchmarks/peers_common.sh

# Ours switches this on itself (seq2seq/runtime.py).
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184 MALLOC_TOP_PAD_=268435456
export OMP_NUM_THREADS=2

environments
pieces

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
    peer opennmt "$1" '/[ 0-9]* tok/s' onmt_train -config opennmt.yaml < <(opennmt_settings "$2")
}

# eole TITLE PRECISION
eole() {
    # It logs as OpenNMT-py does.
    peer eole "$1" '/[ 0-9]* tok/s' eole train -config eole.yaml < <(eole_settings "$2")
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
