"""The networks. Letters, the same everywhere:

B batch · S source length · T target length · E embedding · H hidden size per direction ·
D size of an encoder state (H, or 2H both ways) · C context · V vocabulary · K beam · L layers ·
N rows of a search (hypotheses)
"""
