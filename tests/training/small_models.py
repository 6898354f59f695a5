"""Parts of the configurations of models that are trained within seconds."""

from __future__ import annotations

ATTENTION = """
[encoder]
embedding = 24
hidden = 24
dropout = 0.0
embedding_dropout = 0.0
[context]
kind = "additive"
size = 24
[decoder]
embedding = 24
hidden = 48
dropout = 0.0
embedding_dropout = 0.0
"""

# The keys of [training] besides a limit, such as `epochs`.
TRAINING = """
batch_tokens = 120
learning_rate = 0.01
schedule = "constant"
warmup = 0
label_smoothing = 0.0
patience = 0
threads = 1
device = "cpu"
precision = "fp32"
"""
