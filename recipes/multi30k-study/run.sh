#!/usr/bin/env bash
# Study which settings raise BLEU. Each row changes one setting of the base of its section and is scored
# on validation alone. All rows of a section train on one thread.
#
#   attention-alone     English to German with attention, one change at a time
#   attention-best      English to German with attention, the best settings together
#   attention-together  English to German with attention, the best findings of attention-best together
#   fixed-alone         German to English with one fixed c, one change at a time
#   fixed-best          German to English with one fixed c, the best settings together
#   small               English to German with attention, from 2,000, 5,000 and 10,000 pairs
#
#   SEQ2SEQ_DATA=folder-that-holds-multi30k recipes/multi30k-study/run.sh SECTION [ROW...]
#
# ROWs limit the run to these rows, as in `run.sh attention-alone vocabulary-8000 unigram`. Several
# processes can share the rows of a section.
source "$(dirname "$0")/../stages.sh"
SECTION=${1:-}
begin "$SECTION"
shift
ROWS=("$@")
KNOWN=()

# row NAME key=value...: train and score one row, with these settings changed.
row() {
    local name=$1 setting settings=()
    shift
    [ -z "$LISTING" ] || { KNOWN+=("$name"); return 0; }
    [ ${#ROWS[@]} -eq 0 ] || [[ " ${ROWS[*]} " == *" $name "* ]] || return 0
    for setting in "$@"; do
        settings+=(--set "$setting")
    done
    VARIANT=$SECTION-$name
    RUN=runs/$RECIPE/$VARIANT
    MADE_BY="recipes/$RECIPE/run.sh $SECTION $name"
    BEFORE=$PREPARED
    mkdir -p "$RUN.stages"
    forget_without "$RUN"
    stage train "$CONFIG" "${CORPUS[@]}" -- train_run ${settings[@]+"${settings[@]}"}
    stage judge -- score valid judge --beam 5
}

# The rows that attention-alone and fixed-alone have in common.
both() {
    row base
    row label-smoothing training.label_smoothing=0.1
    row tied-all decoder.tied=all
    row vocabulary-8000 tokenizer.vocabulary=8000
    row dropout-0.3 encoder.dropout=0.3 decoder.dropout=0.3
    row average training.ema_decay=0.999
    row two-decoder-layers decoder.layers=2
    row two-encoder-layers encoder.layers=2
    row lstm encoder.cell=lstm decoder.cell=lstm
    # An update with R-Drop takes twice as long, so the next row trains for twice the epochs instead.
    row r-drop training.r_drop=1.0
    row 12-epochs training.epochs=12
}

attention-alone() {
    both
    row general context.kind=general
    row additive context.kind=additive
    row multi-head context.kind=multi-head
    row classic context.placement=classic
    row no-shortcut context.shortcut=false
    row rate-0.001 training.learning_rate=0.001
    row rate-0.004 training.learning_rate=0.004
    row inverse-sqrt training.schedule=inverse-sqrt
    row batch-3072 training.batch_tokens=3072
    row unigram tokenizer.kind=unigram
    row bpe-dropout tokenizer.sampling=0.1
    local size
    for size in 1000 16000; do
        row vocabulary-$size tokenizer.vocabulary=$size
    done
    row embedding-384 encoder.embedding=384 decoder.embedding=384
    row tied-output decoder.tied=output
    row word-dropout training.word_dropout=0.1
    row variational encoder.variational=true decoder.variational=true
    row layer-norm encoder.layer_norm=true decoder.layer_norm=true
    # The defaults of seq2seq, for the keys that the base sets to other values.
    row defaults tokenizer.kind=unigram context.pooling=attentive decoder.tied=output training.label_smoothing=0.1 \
        training.schedule=inverse-sqrt
    row three-layers encoder.layers=3 decoder.layers=3
    row three-layers-norm encoder.layers=3 decoder.layers=3 encoder.layer_norm=true decoder.layer_norm=true
}

fixed-alone() {
    both
    local pooling heads
    for pooling in mean max; do
        row pooling-$pooling context.pooling=$pooling
    done
    for heads in 1 8 16; do
        row heads-$heads context.pooling=attentive context.heads=$heads
    done
    row heads-8-size-1024 context.pooling=attentive context.size=1024
    row rate-0.003 training.learning_rate=0.003
    row reversed data.train=../../runs/multi30k-study/data/reversed-train data.valid=../../runs/multi30k-study/data/reversed-val
    row wide-decoder decoder.hidden=768
}

# Rows with other sizes of the network, for the sections whose base has two decoder layers.
networks() {
    row one-decoder-layer decoder.layers=1 decoder.hidden=512
    row wide encoder.hidden=384 decoder.hidden=512 context.size=768
}

attention-best() {
    row base
    row r-drop-1 training.r_drop=1.0
    row r-drop-4 training.r_drop=4.0
    row rate-0.002 training.learning_rate=0.002
    row rate-0.005 training.learning_rate=0.005
    row general context.kind=general
    row vocabulary-8000 tokenizer.vocabulary=8000
    row dropout-0.2 encoder.dropout=0.2 decoder.dropout=0.2
    row dropout-0.4 encoder.dropout=0.4 decoder.dropout=0.4
    networks
}

attention-together() {
    row base
    local size
    for size in 12000 16000; do
        row vocabulary-$size tokenizer.vocabulary=$size
    done
    row dropout-0.3 encoder.dropout=0.3 decoder.dropout=0.3
    row rate-0.0015 training.learning_rate=0.0015
    row rate-0.003 training.learning_rate=0.003
    row r-drop-1 training.r_drop=1.0
    row word-dropout-0 training.word_dropout=0.0
    row word-dropout-0.2 training.word_dropout=0.2
    row no-label-smoothing training.label_smoothing=0.0
    row embedding-384 encoder.embedding=384 decoder.embedding=384
    row lstm encoder.cell=lstm decoder.cell=lstm
    row layer-norm encoder.layer_norm=true decoder.layer_norm=true
    networks
}

fixed-best() {
    row base
    # An update without R-Drop takes half the time, so twice the epochs take as many minutes.
    row no-r-drop-40-epochs training.r_drop=0.0 training.epochs=40
}

small() {
    little 2000 40
    little 5000 24
    little 10000 12
}

# little PAIRS EPOCHS: the rows of the section small, for this number of training pairs.
little() {
    local data=("data.train=../../runs/multi30k-study/data/first-$1" "training.epochs=$2") size
    row "$1-base" "${data[@]}"
    for size in 1000 2000; do
        row "$1-vocabulary-$size" "${data[@]}" tokenizer.vocabulary=$size
    done
    row "$1-bpe-dropout" "${data[@]}" tokenizer.sampling=0.1
    row "$1-word-dropout" "${data[@]}" training.word_dropout=0.2
    row "$1-dropout-0.4" "${data[@]}" encoder.dropout=0.4 decoder.dropout=0.4
    row "$1-tied-all" "${data[@]}" decoder.tied=all
    row "$1-r-drop" "${data[@]}" training.r_drop=1.0
}

LISTING=yes
"$SECTION"
LISTING=""
for wanted in ${ROWS[@]+"${ROWS[@]}"}; do
    [[ " ${KNOWN[*]} " == *" $wanted "* ]] || fail "$SECTION has no row '$wanted', but: ${KNOWN[*]}"
done
prepare multi30k
PREPARED=$BEFORE
"$SECTION"
