"""One call: planned for each target, sent, retried and read; `Client`, `Stream` and the tool loop."""
