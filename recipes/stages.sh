# What every run.sh shares: stages that are done once, and again when what they are made from
# changes. Sourced, never run.
#
#   begin VARIANT [SEED]              sets RECIPE, VARIANT, SEED, CONFIG, RUN and goes to the repository root
#   stage NAME FILE... -- COMMAND...  runs COMMAND unless it succeeded before with the same words,
#                                     the same content of all FILEs and the same earlier stages

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
    CONFIG=recipes/$RECIPE/$VARIANT.toml
    [ -n "$VARIANT" ] && [ -f "$CONFIG" ] ||
        fail "usage: recipes/$RECIPE/run.sh VARIANT, one of: $(cd "$HERE" && ls ./*.toml | sed 's|^\./||; s|\.toml$||' | paste -sd ' ')"
    command -v seq2seq > /dev/null ||
        fail "seq2seq is not installed here: run 'make setup', then '. .venv/bin/activate'"
    SEED=${2:-}
    [ "$SEED" != 1 ] || SEED=""  # that of the configurations
    RUN=runs/$RECIPE/$VARIANT${SEED:+-seed-$SEED}
    BEFORE=""
    mkdir -p "$RUN.stages"
    forget_without "$RUN"
}

# forget_without FOLDER: what was done is not there any more where the folder is gone.
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
        echo "[$name] done before" >&2
        return
    fi
    if [ -f "$marker" ]; then
        echo "[$name] made from something else: again" >&2
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

# The files of a corpus: those in the folder of that name under $SEQ2SEQ_DATA, in CORPUS.
corpus() {
    mapfile -t CORPUS < <(find -L "${SEQ2SEQ_DATA:-/nowhere}/$1" -type f 2> /dev/null | sort)
}

# train_run [OPTION...]: train, or go on where a training stopped; called by `stage`, whose digest it
# keeps. A run that was made from something else is set aside, not lost.
train_run() {
    local written=$RUN.stages/train.began
    if [ -d "$RUN" ] && { [ ! -f "$written" ] || [ "$(cat "$written")" != "$digest" ]; }; then
        local old
        old=$RUN.before-$(date +%Y%m%d-%H%M%S)
        echo "[train] $RUN was made from something else: kept as $old" >&2
        mv "$RUN" "$old"
    fi
    echo "$digest" > "$written"
    seq2seq train "$CONFIG" --out "$RUN" --resume ${SEED:+--set "seed=$SEED"} "$@"
}

# needs NAME: a file or a folder of that name is under $SEQ2SEQ_DATA.
needs() {
    [ -n "${SEQ2SEQ_DATA:-}" ] || fail "SEQ2SEQ_DATA is not set: export the folder that holds $1"
    [ -e "$SEQ2SEQ_DATA/$1" ] || fail "SEQ2SEQ_DATA is $SEQ2SEQ_DATA, which holds no $1: export the one that does"
}

# The recipe's data in runs/RECIPE/data, made by its prepare.py from the file or folder of that name
# under $SEQ2SEQ_DATA.
prepare() {
    needs "$1"
    corpus "$1"
    shared_data "" "recipes/$RECIPE/prepare.py" ${CORPUS[@]+"${CORPUS[@]}"} -- \
        python3 "recipes/$RECIPE/prepare.py" "$SEQ2SEQ_DATA/$1" "runs/$RECIPE/data"
}

# shared_data NAME FILE... -- COMMAND...: the stage that makes DATA, the folder NAME in runs/RECIPE/data
# or all of that; called by itself, for other runs share it.
shared_data() {
    DATA=runs/$RECIPE/data${1:+/$1}
    shift
    mkdir -p "$DATA.stages"
    exec {lock}> "$DATA.lock"
    flock "$lock"  # another run may be making it
    forget_without "$DATA"
    RUN=$DATA stage data "$@"
    exec {lock}>&-
}

# score SPLIT NAME [OPTION...]: score the model (MODEL, of the run unless set) on a split, show what
# is said, keep it in NAME.scores and record it where RECORD is set, which refuses uncommitted
# changes, as made by MADE_BY (run.sh unless set); called by `stage`.
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
