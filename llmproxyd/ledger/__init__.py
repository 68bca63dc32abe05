"""What was used: token calibration and counters."""
