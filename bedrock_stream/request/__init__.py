"""Turn the arguments of a call into one HTTP request. Pure: no I/O."""
