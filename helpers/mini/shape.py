"""The shape of `mini`, known to its training and to its card."""

VOCABULARY = 8192
LAYERS, WIDTH, HEADS = 4, 192, 6
