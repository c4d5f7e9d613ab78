"""Programs that write parts of the documentation from the code; tests compare what they write with what is there."""
