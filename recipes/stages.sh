# Functions that every run.sh shares. A run.sh sources this file; nobody runs it directly. A stage runs
# only once, and again when its command or its input files change.
#
#   begin VARIANT [SEED] [PART] [NAME]  sets RECIPE, VARIANT, SEED, CONFIG and RUN, and changes to the
#                                     root of the repository. PART names one of several data sets.
#                                     CONFIG is NAME.toml (default: VARIANT.toml).
#   stage NAME FILE... -- COMMAND...  runs COMMAND, unless the same COMMAND already succeeded with the same
#                                     content of all FILEs and after the same earlier stages

set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[1]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)

fail() {
    echo "error: $*" >&2
    exit 2
}

begin() {
    cd "$ROOT"
    RECIPE=$(basename "$HERE")
    VARIANT=${1:-}
    CONFIG=recipes/$RECIPE/${4:-$VARIANT}.toml
    [ -n "$VARIANT" ] && [ -f "$CONFIG" ] ||
        fail "usage: recipes/$RECIPE/run.sh VARIANT, one of: $(cd "$HERE" && ls ./*.toml | sed 's|^\./||; s|\.toml$||' | paste -sd ' ')"
    command -v seq2seq > /dev/null ||
        fail "seq2seq is not installed here: run 'make setup', then '. .venv/bin/activate'"
    SEED=${2:-}
    [ "$SEED" != 1 ] || SEED=""  # seed 1 is the seed in the configurations
    RUN=runs/$RECIPE/$VARIANT${3:+-$3}${SEED:+-seed-$SEED}
    BEFORE=""
    mkdir -p "$RUN.stages"
    forget_without "$RUN"
}

# forget_without FOLDER: if the folder is gone, forget which of its stages are done.
forget_without() {
    [ -d "$1" ] || rm -f "$1.stages"/*
}

stage() {
    local name=$1 marker digest files=()
    shift
    while [ "$1" != "--" ]; do
        files+=("$1")
        shift
    done
    shift
    digest=$({ echo "$BEFORE" "$@"; [ ${#files[@]} -eq 0 ] || cat "${files[@]}"; } | cksum_of)
    marker=$RUN.stages/$name
    BEFORE=$digest
    if [ -f "$marker" ] && [ "$(cat "$marker")" = "$digest" ]; then
        echo "[$name] already done" >&2
        return
    fi
    if [ -f "$marker" ]; then
        echo "[$name] its command or input changed: running it again" >&2
        rm -f "$marker"
    fi
    echo "[$name] $*" >&2
    "$@"
    echo "$digest" > "$marker.part"
    mv "$marker.part" "$marker"
}

cksum_of() {
    python3 -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'
}

# corpus NAME: set CORPUS to all files of the folder NAME under $SEQ2SEQ_DATA.
corpus() {
    mapfile -t CORPUS < <(find -L "${SEQ2SEQ_DATA:-/nowhere}/$1" -type f 2> /dev/null | sort)
}

# train_run [OPTION...]: train, or resume a training that was stopped. `stage` calls this function, which
# stores the digest of the stage. A run with another digest is renamed, not deleted.
train_run() {
    local written=$RUN.stages/train.began
    if [ -d "$RUN" ] && { [ ! -f "$written" ] || [ "$(cat "$written")" != "$digest" ]; }; then
        local old
        old=$RUN.before-$(date +%Y%m%d-%H%M%S)
        echo "[train] the configuration or data of $RUN changed: the old run is kept as $old" >&2
        mv "$RUN" "$old"
    fi
    echo "$digest" > "$written"
    seq2seq train "$CONFIG" --out "$RUN" --resume ${SEED:+--set "seed=$SEED"} "$@"
}

# needs NAME: fail unless $SEQ2SEQ_DATA contains a file or a folder of this name.
needs() {
    [ -n "${SEQ2SEQ_DATA:-}" ] || fail "SEQ2SEQ_DATA is not set: export SEQ2SEQ_DATA with the path of the folder that contains $1"
    [ -e "$SEQ2SEQ_DATA/$1" ] || fail "SEQ2SEQ_DATA is $SEQ2SEQ_DATA, which does not contain $1: export the path of the folder that contains it"
}

# prepare NAME: run the recipe's prepare.py on the file or folder NAME under $SEQ2SEQ_DATA. The result goes to
# runs/RECIPE/data.
prepare() {
    needs "$1"
    corpus "$1"
    shared_data "" "recipes/$RECIPE/prepare.py" ${CORPUS[@]+"${CORPUS[@]}"} -- \
        python3 "recipes/$RECIPE/prepare.py" "$SEQ2SEQ_DATA/$1" "runs/$RECIPE/data"
}

# shared_data NAME FILE... -- COMMAND...: set DATA to the folder NAME in runs/RECIPE/data (or to runs/RECIPE/data
# if NAME is empty), and run COMMAND as a stage that fills DATA. All runs of the recipe share DATA.
shared_data() {
    DATA=runs/$RECIPE/data${1:+/$1}
    shift
    mkdir -p "$DATA.stages"
    exec {lock}> "$DATA.lock"
    flock "$lock"  # another run may be filling DATA
    forget_without "$DATA"
    RUN=$DATA stage data "$@"
    exec {lock}>&-
}

# score SPLIT NAME [OPTION...]: score a model on a split, print the scores and save them in NAME.scores.
# `stage` calls this function. MODEL is the model (default: the model of the run). If RECORD is set, the
# scores are also recorded with the command MADE_BY (default: that of run.sh). Recording refuses to run
# with uncommitted changes.
score() {
    local split=$1 name=$2
    shift 2
    seq2seq evaluate "${MODEL:-$RUN/model}" --split "$split" "$@" \
        ${RECORD:+--record "recipes/$RECIPE/results.jsonl" --command "${MADE_BY:-recipes/$RECIPE/run.sh $VARIANT${SEED:+ $SEED}}"} |
        tee "$RUN/$name.scores"
}

# Score a translator on validation by beam search, and on the test set greedily and by beam search.
score_translator() {
    local how split beam name
    for how in "valid 5" "test 1" "test 5"; do
        read -r split beam <<< "$how"
        name=$split-beam$beam
        stage "$name" -- score "$split" "$name" --beam "$beam" \
            -o "$RUN/$name.txt" --plot "$RUN/$name.png"
    done
    cat "$RUN/test-beam5.scores"
}

# train_seeds COUNT ARGUMENT...: run `run.sh ARGUMENT... SEED` for the seeds 1 to COUNT, and set MODELS to their
# models and MODEL to the ensemble of them. Finished stages are not repeated.
train_seeds() {
    local seed
    MODELS=()
    for seed in $(seq "$1"); do
        TEST="" bash "$HERE/run.sh" "${@:2}" "$seed" > /dev/null
        if [ "$seed" = 1 ]; then MODELS+=("$RUN/model"); else MODELS+=("$RUN-seed-$seed/model"); fi
    done
    MODEL=$(IFS=,; echo "${MODELS[*]}")
}

# score_seeds SPLIT NAME [OPTION...]: score the ensemble of `train_seeds` as a stage.
score_seeds() {
    stage "$2" "${MODELS[@]/%//model.safetensors}" -- score "$@" -o "$RUN/$2.txt"
}

# score_ensembles COUNT VARIANT CONFIG LANGUAGE...: for each language, train the seeds 1 to COUNT and score their
# ensemble on validation, and with TEST=1 on the test set, too. Then print the mean word error rates (WER).
score_ensembles() {
    local count=$1 variant=$2 config=$3 language split runs=()
    for language in "${@:4}"; do
        begin "$variant" "" "$language" "$config"
        train_seeds "$count" "$variant" "$language"
        MADE_BY="recipes/$RECIPE/ensemble.sh $variant $count $language"
        for split in valid ${TEST:+test}; do
            score_seeds "$split" "$split-ensemble-$count" --length-penalty 0
        done
        runs+=("$RUN")
    done
    for split in valid ${TEST:+test}; do
        mean_wer "$split-ensemble-$count" "${runs[@]}"
    done
}

# languages_in FOLDER: set LANGUAGES to the languages of the files FOLDER/LANGUAGE_train.tsv.gz under $SEQ2SEQ_DATA.
languages_in() {
    needs "$1"
    mapfile -t LANGUAGES < <(cd "$SEQ2SEQ_DATA/$1" && printf '%s\n' *_train.tsv.gz | sed 's/_train\.tsv\.gz$//')
}

# mean_wer NAME RUN...: print the word error rate (WER) in the file NAME.scores of each run, and their mean.
mean_wer() {
    local name=$1 run
    for run in "${@:2}"; do
        echo "$(basename "$run") $(awk '$1 == "WER" {print $2; exit}' "$run/$name.scores")"
    done | awk -v name="$name" '{print; sum += $2} END {printf "%s: mean WER %.2f (%d languages)\n", name, sum / NR, NR}'
}
