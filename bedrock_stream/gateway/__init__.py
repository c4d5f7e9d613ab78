"""A gateway with OpenAI's chat completions API in front of Bedrock. Needs `pip install "bedrock-stream[gateway]"`.

    app = create_gateway(keys=[os.environ["GATEWAY_KEY"]], models={"fast": "amazon.nova-lite-v1:0"})

Every request is billed to the AWS account of the server, so requests are authenticated first: see `guard`.
"""

from .app import create_gateway

__all__ = ("create_gateway",)
