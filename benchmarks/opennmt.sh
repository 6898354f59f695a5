#!/usr/bin/env bash
# Training speed beside OpenNMT-py 3.5.1 with input feeding: target tokens a second without padding,
# two threads, both in fp32 with the same subwords, sizes and about 64 sentences a batch; ours in
# both placements of the question, in bf16 too. Rounds of both in turn.
#
#   SEQ2SEQ_DATA=folder-that-holds-multi30k benchmarks/opennmt.sh
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

peer() {
    (
        cd $PEER
        cat > settings.yaml << 'YAML'
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
input_feed: 1
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
        OMP_NUM_THREADS=2 bin/onmt_train -config settings.yaml 2>&1 |
            grep -o '/[ 0-9]* tok/s' | tr -dc '0-9\n' | tail -n +4 | sort -n |
            awk '{v[NR] = $1} END {print "OpenNMT-py, input feeding, fp32: " v[int((NR + 1) / 2)] " tokens/s (median of " NR " intervals)"}'
    )
}

ours() {
    $PYTHON benchmarks/train.py benchmarks/standard.toml --threads 2 --rounds 3 --updates 30 \
        -v "parallel, fp32" training.precision=fp32 \
        -v "classic, fp32" training.precision=fp32 context.placement=classic \
        -v "parallel, bf16" training.precision=bf16 \
        -v "classic, bf16" training.precision=bf16 context.placement=classic
}

for ((round = 1; round <= ROUNDS; round++)); do
    peer
    ours
done
