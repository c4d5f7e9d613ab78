"""What the emulator answers: content, pacing and frames."""
