"""A model for pydantic-ai on a `Client`. Needs `pip install "bedrock-stream[pydantic-ai]"`.

    agent = Agent(BedrockStreamModel("us.amazon.nova-2-lite-v1:0", client=client))

It takes the place of `BedrockConverseModel`, which calls boto3 in threads, and neither needs boto3 nor threads.
"""

from .model import BedrockStreamModel
from .settings import BedrockStreamSettings

__all__ = ("BedrockStreamModel", "BedrockStreamSettings")
