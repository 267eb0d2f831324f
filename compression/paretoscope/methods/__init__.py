"""What may be done to a network: pruning, quantization, recovery and how codes are stored and run.

Each method says its own range and text form; a `Recipe` puts one of each kind together.
"""
