"""Figures and pages about data and models."""
