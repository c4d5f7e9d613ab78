"""Questions about cost, one script each: `python -m benchmarks.cpu_per_event`."""
