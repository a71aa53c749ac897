"""Clips are short recordings of detections and near misses, which the daemon saves and ``kwsd review`` sorts."""
