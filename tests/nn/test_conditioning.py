"""A single input in the place of a source."""

import torch

from seq2seq.nn.conditioning import VectorEncoder


def test_the_units_of_a_vector_part_the_cube_at_first():
    torch.manual_seed(0)
    made = VectorEncoder(3, 1e-6, 200, 8)
    points = torch.rand(500, 3)
    above = made.hidden(points) > 0  # [500, 200]
    shares = above.double().mean(dim=0)
    assert ((shares > 0) & (shares < 1)).double().mean() > 0.9
    # And neighbours differ in some: what is learned may change over a tenth of the way.
    moved = made.hidden(points + torch.tensor([0.1, 0, 0])) > 0
    assert (above != moved).double().mean() > 0.02


def test_what_stands_behind_the_vector_is_not_looked_at():
    made = VectorEncoder(3, 1e-6, 16, 8)
    tokens = torch.randint(0, 10**6, (4, 5))
    lengths = torch.full((4,), 5)
    other = tokens.clone()
    other[:, 3:] = 7
    torch.testing.assert_close(made(tokens, lengths).summary, made(other, lengths).summary)
    other[:, 2] += 10**5
    assert not torch.allclose(made(tokens, lengths).summary, made(other, lengths).summary)
