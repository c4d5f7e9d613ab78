"""Value types: messages, media, tools, options, settings, events, responses. Pure: no I/O but `from_path`."""
