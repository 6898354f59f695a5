#!/usr/bin/env bash
# Train yoyodyne 0.5.27 on letters to sounds or on inflection, and score it on dev: a peer of
# recipes/g2p and recipes/inflection.
#
#   SEQ2SEQ_DATA=folder benchmarks/yoyodyne.sh g2p dut                 # or another medium language
#   SEQ2SEQ_DATA=folder benchmarks/yoyodyne.sh inflection swa [MODEL]
#
# MODEL is SoftAttentionLSTM (the default) or PointerGeneratorLSTM. MINUTES (15) limits the CPU time of the
# training, on one thread. The sizes are those of yoyodyne's own experiments on such data, with Adam. The
# checkpoint with the best accuracy on dev is scored on dev, and with SCORE_TEST=1 also on the test set. The
# program prints exact match, WER, words learned a second of CPU time, and words decoded a second.
set -euo pipefail
cd "$(dirname "$0")/.."
SYSTEMS=yoyodyne
source benchmarks/peers_common.sh

TASK=${1:?g2p or inflection} LANGUAGE=${2:?a language}
MODEL=${3:-SoftAttentionLSTM}
MINUTES=${MINUTES:-15}
TO=$LOCAL/yoyodyne-$TASK/$LANGUAGE-$MODEL
export OMP_NUM_THREADS=1 CUDA_VISIBLE_DEVICES=

environment yoyodyne "" yoyodyne==0.5.27
# The torchvision that it asks for is built for another torch, and nothing here needs it.
"$LOCAL/yoyodyne/bin/pip" uninstall --quiet --yes torchvision torchaudio 2> /dev/null
mkdir -p "$TO"
case $TASK in
g2p)
    for split in train dev test; do
        gunzip -c "$SEQ2SEQ_DATA/sigmorphon2021_g2p/medium/${LANGUAGE}_$split.tsv.gz" > "$TO/$split.tsv"
    done
    COLUMNS=(--data.target_sep " ")
    FEATURES=()
    TARGET=2
    ;;
inflection)
    for split in train:trn dev:dev test:tst; do
        gunzip -c "$SEQ2SEQ_DATA/sigmorphon2023_inflection/$LANGUAGE.${split#*:}.gz" > "$TO/${split%:*}.tsv"
    done
    COLUMNS=(--data.features_col 2 --data.target_col 3)
    FEATURES=(--model.init_args.features_encoder true)
    TARGET=3
    ;;
esac

SETTINGS=(
    --data.model_dir "$TO/model" --data.train "$TO/train.tsv" --data.val "$TO/dev.tsv" --data.batch_size 32
    --model "yoyodyne.models.${MODEL}Model" "${COLUMNS[@]}"
    --model.init_args.embedding_size 128 --model.init_args.decoder_hidden_size 256
    --model.init_args.decoder_dropout 0.3
    --model.init_args.source_encoder yoyodyne.models.modules.LSTMEncoder
    --model.init_args.source_encoder.init_args.embedding_size 128
    --model.init_args.source_encoder.init_args.hidden_size 256
    --model.init_args.source_encoder.init_args.dropout 0.3
    ${FEATURES[@]+"${FEATURES[@]}"}
    --model.init_args.optimizer torch.optim.Adam --model.init_args.optimizer.init_args.lr 0.001
    --trainer.accelerator cpu
)
rm -rf "$TO/model"
"$LOCAL/yoyodyne/bin/python" - "$TO" "$MINUTES" "$TARGET" "${SETTINGS[@]}" << 'CODE'
import glob
import os
import resource
import sys
import time
from types import SimpleNamespace

import torch
from lightning.pytorch.callbacks import timer
from yoyodyne.cli import main

timer.time = SimpleNamespace(monotonic=time.process_time)  # trainer.max_time limits the CPU time
to, minutes, target, *settings = sys.argv[1:]
main.python_interface(
    [
        "fit",
        *settings,
        "--seed_everything=1",
        f"--trainer.max_time=00:00:{int(minutes):02d}:00",
        "--trainer.max_epochs=10000",
        "--trainer.gradient_clip_val=3",
        "--trainer.enable_progress_bar=false",
        "--trainer.logger=lightning.pytorch.loggers.CSVLogger",
        "--checkpoint.monitor=val_accuracy",
        "--checkpoint.mode=max",
        "--checkpoint.save_last=true",
    ]
)
used = resource.getrusage(resource.RUSAGE_SELF)
cpu = used.ru_utime + used.ru_stime
(checkpoint,) = glob.glob(f"{to}/model/**/epoch=*.ckpt", recursive=True)
(last,) = glob.glob(f"{to}/model/**/last.ckpt", recursive=True)
words = torch.load(last, weights_only=False)["global_step"] * 32
print(f"learned {words:,} words: {words / cpu:.0f} a CPU second")
for split in ("dev", "test") if os.environ.get("SCORE_TEST") else ("dev",):
    start = time.process_time()
    main.python_interface(
        [
            "predict",
            *settings,
            f"--data.predict={to}/{split}.tsv",
            f"--prediction.path={to}/{split}.out",
            f"--ckpt_path={checkpoint}",
            "--trainer.enable_progress_bar=false",
            "--trainer.logger=false",
        ]
    )
    seconds = time.process_time() - start
    with open(f"{to}/{split}.tsv", encoding="utf-8") as file:
        wanted = [line.rstrip("\n").split("\t")[int(target) - 1] for line in file]
    with open(f"{to}/{split}.out", encoding="utf-8") as file:
        written = [line.rstrip("\n") for line in file]
    assert len(wanted) == len(written)
    exact = 100 * sum(map(str.__eq__, wanted, written)) / len(wanted)
    print(f"{split}: exact match {exact:.2f} (WER {100 - exact:.2f})")
    print(f"decoding with greedy search: {len(wanted) / seconds:.0f} words a CPU second")
CODE
