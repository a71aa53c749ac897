"""The pipeline: samples in, detections out. It uses neither sockets nor devices, and its only clock counts samples."""
