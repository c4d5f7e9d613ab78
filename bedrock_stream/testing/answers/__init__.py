"""The emulator's answers: content, pacing and frames."""
