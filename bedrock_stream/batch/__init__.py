"""Batches: many calls with bounded concurrency, which survive throttling.

`Client.map` makes a `Batch`. `intake` reads the prompts, `asking` asks one row, `engine` runs the rows, and `outbox`
hands them out.
"""
