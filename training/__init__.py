"""From recorded outcomes to an artifact: train, calibrate, evaluate, export."""
