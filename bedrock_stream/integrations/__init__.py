"""Where the library meets other people's frameworks. Each module needs the extra of its name.

Nothing in the library imports them.
"""
