"""A gateway that speaks OpenAI's chat completions and asks Bedrock. Needs `pip install "bedrock-stream[gateway]"`.

    app = create_gateway(keys=[os.environ["GATEWAY_KEY"]], models={"fast": "amazon.nova-lite-v1:0"})

It spends its owner's money, so it lets in only whom it is told to: see `guard`.
"""

from .app import create_gateway

__all__ = ("create_gateway",)
