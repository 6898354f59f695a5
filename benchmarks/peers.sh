#!/usr/bin/env bash
# Training speed and memory beside others, on one machine and in one run, everything in turn: the
# standard model with attention beside OpenNMT-py 3.5.1 (without and with input feeding), and with a
# fixed c beside the loop of the tutorials. Target tokens a second without padding, two threads, the
# same subwords, sizes and about 64 sentences a batch; theirs in fp32, all they have on a CPU.
#
#   SEQ2SEQ_DATA=folder-that-holds-multi30k [ROUNDS=3] benchmarks/peers.sh
#
# Makes an environment for the peer in local/ (packages from PyPI). Nothing else should run.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${SEQ2SEQ_DATA:?set it to the folder that holds multi30k/}"
ROUNDS=${ROUNDS:-3}
PEER=local/opennmt
PYTHON=.venv/bin/python

# Ours switches this on itself (seq2seq/runtime.py).
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184 MALLOC_TOP_PAD_=268435456
export OMP_NUM_THREADS=2

if [ ! -f $PEER/ready ]; then
    rm -rf $PEER
    python3 -m venv $PEER
    $PEER/bin/pip install --quiet "$(grep '^torch==' constraints.txt)"
    # It pins torch < 2.3; what it imports is named here.
    $PEER/bin/pip install --quiet --no-deps OpenNMT-py==3.5.1
    $PEER/bin/pip install --quiet configargparse pyonmttok sacrebleu waitress flask pyyaml \
        tensorboard six ctranslate2 rapidfuzz spacy fasttext-wheel pyahocorasick
    touch $PEER/ready
fi

# The same pieces for both.
$PYTHON - benchmarks/standard.toml $PEER << 'CODE'
import sys
from pathlib import Path

from seq2seq import config
from seq2seq.text import preparation

chosen, peer = config.load(Path(sys.argv[1])), Path(sys.argv[2])
prepared = preparation.prepare(chosen, peer / "data")
tokenizer = prepared.tokenizers.target
for side, name in enumerate(("source", "target")):
    rows = (prepared.train.ids(row, side) for row in range(len(prepared.train)))
    text = "".join(" ".join(tokenizer.pieces(ids)) + "\n" for ids in rows)
    (peer / f"train.{name}").write_text(text, encoding="utf-8")
specials = {tokenizer.pad, tokenizer.unk, tokenizer.bos, tokenizer.eos}
pieces = tokenizer.pieces([i for i in range(len(tokenizer)) if i not in specials])
(peer / "vocabulary").write_text("".join(f"{piece}\t1\n" for piece in pieces), encoding="utf-8")
CODE

# Kilobytes in memory when all that a training needs has been imported.
imports=$(cd $PEER && bin/python -c '
import onmt.bin.train, onmt.trainer, onmt.train_single
print(open("/proc/self/status").read().split("VmRSS:")[1].split()[0])' 2> /dev/null)

# opennmt NAME INPUT_FEED
opennmt() {
    cat > $PEER/settings.yaml << YAML
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
report_every: 10
train_steps: 80
save_checkpoint_steps: 1000000
YAML
    (
        cd $PEER
        # The highest memory of what it runs, in kilobytes, on the last line.
        "$OLDPWD/$PYTHON" -c '
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' \
            bin/onmt_train -config settings.yaml > log 2>&1
        speed=$(grep -o '/[ 0-9]* tok/s' log | tr -dc '0-9\n' | tail -n +4 | sort -n |
            awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}')
        peak=$(awk '/^peak/ {print $2}' log)
        echo "$1, fp32: $speed tokens/s, $(((peak - imports) / 1024)) MiB above imports"
    )
}

ours() {
    $PYTHON benchmarks/train.py benchmarks/standard.toml --threads 2 --rounds 3 --updates 30 "$@" |
        grep -v '^|---\|^| variant'
}

for ((round = 1; round <= ROUNDS; round++)); do
    echo "== round $round"
    opennmt "OpenNMT-py, no input feeding" 0
    ours -v "attention, bf16" training.precision=bf16
    ours -v "attention, fp32" training.precision=fp32
    opennmt "OpenNMT-py, input feeding" 1
    ours -v "attention, classic placement, fp32" training.precision=fp32 context.placement=classic
    ours -v "attention, classic placement, bf16" training.precision=bf16 context.placement=classic
    $PYTHON benchmarks/tutorial.py benchmarks/standard.toml --set context.kind=fixed --threads 2
    ours -v "fixed c, bf16" context.kind=fixed training.precision=bf16
    ours -v "fixed c, fp32" context.kind=fixed training.precision=fp32
done
