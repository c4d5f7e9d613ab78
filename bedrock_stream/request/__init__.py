"""From arguments to one HTTP request. Pure."""
