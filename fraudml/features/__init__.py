"""Features: what to compute, what fitting learnt, and the same code for training and scoring."""
