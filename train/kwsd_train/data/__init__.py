"""Clips, and the examples made of them."""
