"""Figures as pages, plots and files."""
