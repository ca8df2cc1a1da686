"""The shape of `mini`, known to its training and to its card."""

VOCABULARY = 8192
LAYERS, WIDTH, HEADS = 4, 256, 4
LONGEST = 512  # tokens a window that positions are there for; the card says up to where they were trained
