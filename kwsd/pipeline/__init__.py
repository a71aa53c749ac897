"""The pipeline: samples in, detections out."""
