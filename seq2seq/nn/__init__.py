"""The parts of the neural networks. Shapes use the same letters in every module:

B: sentences in a batch
S: source length, in tokens
T: target length, or the number of time steps
E: size of an embedding
H: hidden units per direction
D: size of an encoder state (H, or 2H for a bidirectional encoder)
C: size of a context vector
V: size of the vocabulary
K: beam size
L: number of layers
N: rows in a search (one row per hypothesis)
"""
