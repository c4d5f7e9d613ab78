"""Values: messages, media, tools, options, settings, events, responses. Pure."""
