"""The documentation; a package only so that tests can import its scripts."""
