"""`bedrock-stream doctor`: find out why a model cannot be reached, with a remedy for each cause.

`settings` and `probes` gather facts, `checks` turns them into findings without any I/O, `report` prints the findings.
"""

from .examination import Question, doctor

__all__ = ("Question", "doctor")
