# What benchmarks/peers.sh and benchmarks/decode.sh share: environments for the peers, the data in
# subwords, and the peers' configurations of the standard model. They source this file, after setting
# SYSTEMS, and for the configurations EVERY, UPDATES and DEVICE.
: "${SEQ2SEQ_DATA:?set it to the folder that holds multi30k/}"
LOCAL=$PWD/local
PEERS=$LOCAL/peers
PYTHON=${PYTHON:-$PWD/.venv/bin/python}
DEVICE=${DEVICE:-cpu}
GPU=
[ "$DEVICE" = cpu ] || GPU=true

# wanted SYSTEM: whether it is one of those to be measured.
wanted() {
    [[ " $SYSTEMS " == *" $1 "* ]]
}

# environment NAME PACKAGES REQUIREMENTS: local/NAME with our torch. The packages come without what
# they ask for (another torch, an old protobuf, torchcodec); what they import is named in its place.
environment() {
    local to=$LOCAL/$1
    [ ! -f "$to/ready" ] || return 0
    rm -rf "$to"
    python3 -m venv "$to"
    "$to/bin/pip" install --quiet "$(grep '^torch==' constraints.txt)"
    # Unquoted: lists.
    "$to/bin/pip" install --quiet $3
    [ -z "$2" ] || "$to/bin/pip" install --quiet --no-deps $2
    touch "$to/ready"
}

environments() {
    wanted opennmt && environment opennmt OpenNMT-py==3.5.1 "configargparse pyonmttok sacrebleu
        waitress flask pyyaml tensorboard six ctranslate2 rapidfuzz spacy fasttext-wheel
        pyahocorasick"
    # Its CTranslate2 is a peer, too.
    if wanted eole || wanted ctranslate2; then
        environment eole "eole==0.6.4 torch-optimi" "configargparse datasets fastapi fasttext-wheel
            huggingface_hub pandas protobuf pyahocorasick pydantic pyonmttok pyyaml rapidfuzz rich
            sacrebleu safetensors sentencepiece six spacy subword-nmt tensorboard tokenizers uvicorn
            waitress aiohttp ctranslate2==4.8.*"
    fi
    wanted joeynmt || return 0
    environment joeynmt joeynmt==2.3.0 "datasets setuptools<81 matplotlib packaging pandas pillow
        protobuf pyyaml sacrebleu sacremoses seaborn sentencepiece six subword-nmt tensorboard wrapt
        importlib_metadata"
    # It insists on a scheduler, and torch's no longer knows this argument.
    sed -i '/"verbose": False,/d' "$LOCAL"/joeynmt/lib/python3*/site-packages/joeynmt/builders.py
}

TEST=$SEQ2SEQ_DATA/multi30k/test_2016_flickr.en
[ -f "$TEST" ] || TEST=$TEST.gz

# The same pieces for all, and the vocabulary in a format that all of them read: a piece a line.
pieces() {
    mkdir -p "$PEERS"
    $PYTHON - benchmarks/standard.toml "$PEERS" "$TEST" << 'CODE'
import gzip
import sys
from pathlib import Path

from seq2seq.config.toml import load_config
from seq2seq.text import preparation

chosen, peers = load_config(Path(sys.argv[1])), Path(sys.argv[2])
prepared = preparation.prepare_data(chosen, peers / "data")
tokenizer = prepared.codec.target
for name in ("source", "target"):
    rows = (prepared.train.ids(row, name) for row in range(len(prepared.train)))
    lines = [" ".join(tokenizer.pieces(ids)) + "\n" for ids in rows]
    (peers / f"train.{name}").write_text("".join(lines), encoding="utf-8")
    # JoeyNMT does not start without some, though it is never told to validate.
    (peers / f"dev.{name}").write_text("".join(lines[:8]), encoding="utf-8")
specials = {tokenizer.pad, tokenizer.unk, tokenizer.bos, tokenizer.eos}
pieces = tokenizer.pieces([i for i in range(len(tokenizer)) if i not in specials])
(peers / "vocabulary").write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
test = Path(sys.argv[3])
with gzip.open(test, "rb") if test.suffix == ".gz" else test.open("rb") as file:
    encoded = tokenizer.encode(file.read().decode().split("\n")[:-1])
lines = [" ".join(tokenizer.pieces(ids)) + "\n" for ids in encoded]
(peers / "test.source").write_text("".join(lines), encoding="utf-8")
CODE
}

# opennmt_settings INPUT_FEED
opennmt_settings() {
    cat << YAML
data: {corpus_1: {path_src: train.source, path_tgt: train.target}}
src_vocab: vocabulary
tgt_vocab: vocabulary
share_vocab: true
save_model: opennmt
encoder_type: brnn
decoder_type: rnn
rnn_type: GRU
enc_layers: 1
dec_layers: 1
hidden_size: 512
word_vec_size: 256
global_attention: general
input_feed: $1
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

# eole_settings PRECISION: its architecture "rnn" makes an encoder of one direction in silence; with
# two, its bridge fails (64x512 and 256x256), so that it has none.
eole_settings() {
    cat << YAML
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
    compute_dtype: $1
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
