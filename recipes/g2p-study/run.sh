#!/usr/bin/env bash
# Study which settings lower the word error rate (WER) of a model that predicts phones from letters, with
# little data. A ROW is a change of one setting of recipes/g2p/low.toml. The script trains a model for each of
# ten languages with seed 1 on one thread, and scores it on the dev set. The last line of the output is the
# mean WER of the languages.
#
#   SEQ2SEQ_DATA=folder-that-holds-sigmorphon2021_g2p recipes/g2p-study/run.sh ROW [LANGUAGE...]
#
# `run.sh` without arguments lists the rows. If a run was stopped, the same command continues it.
source "$(dirname "$0")/../stages.sh"

# settings ROW: set SETTINGS to the settings that a row changes.
settings() {
    case $1 in
    base) SETTINGS=() ;;
    additive) SETTINGS=(context.kind=additive) ;;
    monotonic) SETTINGS=(context.kind=monotonic) ;;
    copying) SETTINGS=(decoder.copying=true) ;;
    gru) SETTINGS=(encoder.cell=gru decoder.cell=gru) ;;
    dropout-0.5) SETTINGS=(encoder.dropout=0.5 decoder.dropout=0.5) ;;
    narrow) SETTINGS=(encoder.hidden=128 decoder.hidden=256) ;;
    wide) SETTINGS=(encoder.hidden=384 decoder.hidden=768) ;;
    two-encoder-layers) SETTINGS=(encoder.layers=2) ;;
    r-drop) SETTINGS=(training.r_drop=1.0) ;;
    no-label-smoothing) SETTINGS=(training.label_smoothing=0) ;;
    twice-the-epochs) SETTINGS=(training.epochs=120) ;;
    one-model) SETTINGS=(data.features=2 data.target_column=3) ;; # one model for all languages
    *) return 1 ;;
    esac
}

ROW=${1:-}
settings "$ROW" ||
    fail "usage: recipes/g2p-study/run.sh ROW [LANGUAGE...], ROW is one of: $(sed -n '/case \$1/,/esac/s/^    \([a-z0-9.-]*\)) .*/\1/p' "$0" | paste -sd ' ')"
shift
LANGUAGES=("$@")
[ $# -gt 0 ] || languages_in sigmorphon2021_g2p/low
cd "$ROOT"
command -v seq2seq > /dev/null || fail "seq2seq is not installed here: run 'make setup', then '. .venv/bin/activate'"
needs sigmorphon2021_g2p/low
RECIPE=g2p-study
CONFIG=recipes/g2p/low.toml
FOLDER=$SEQ2SEQ_DATA/sigmorphon2021_g2p/low
SEED=""
BEFORE=""
if [ "$ROW" = one-model ]; then
    mkdir -p runs/$RECIPE
    shared_data low "recipes/$RECIPE/prepare.py" "$FOLDER"/*.tsv.gz -- \
        python3 "recipes/$RECIPE/prepare.py" "$SEQ2SEQ_DATA/sigmorphon2021_g2p" low "runs/$RECIPE/data/low"
    FOLDER=$PWD/$DATA
    LANGUAGES=(all)
fi
SUM=0
for language in "${LANGUAGES[@]}"; do
    VARIANT=$ROW-$language
    RUN=runs/$RECIPE/$VARIANT
    MADE_BY="recipes/$RECIPE/run.sh $ROW $language"
    BEFORE=""
    mkdir -p "$RUN.stages"
    forget_without "$RUN"
    flags=(--set training.threads=1 --set validation.every=400 --set "data.test=$FOLDER/${language}_dev.tsv")
    for setting in "data.train=$FOLDER/${language}_train.tsv" "data.valid=$FOLDER/${language}_dev.tsv" \
        ${SETTINGS[@]+"${SETTINGS[@]}"}; do
        flags+=(--set "$setting")
    done
    stage train "$CONFIG" "$FOLDER/${language}"_{train,dev}.tsv* -- train_run "${flags[@]}"
    stage valid -- score valid valid-beam5 --length-penalty 0
    WER=$(awk '$1 == "WER" {print $2; exit}' "$RUN/valid-beam5.scores")
    SUM=$(python3 -c "print($SUM + $WER)")
done
python3 -c "print(f'$ROW: mean WER {$SUM / ${#LANGUAGES[@]}:.2f} (dev, ${#LANGUAGES[@]} languages)')"
