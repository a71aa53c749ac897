"""Figures and HTML pages about data and models."""
