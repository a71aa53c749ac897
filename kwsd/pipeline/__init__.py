"""The pipeline receives audio samples and returns keyword detections.

The pipeline uses neither sockets nor devices, and measures time only by counting samples.
"""
