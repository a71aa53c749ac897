"""Recordings on disk, and the training examples made from them."""
