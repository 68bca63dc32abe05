"""What a long-running process needs: lifecycle, signals, locks, tasks, logs."""
