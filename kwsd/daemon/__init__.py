"""The daemon consists of a main loop, a listener for each audio stream, and a program that starts them."""
