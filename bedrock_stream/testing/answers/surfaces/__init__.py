"""Messages, Chat Completions and Responses: each reads its body as the Converse body of the same conversation.

So answers, counts and the prompt cache are shared with all other routes. Model and `stream` are in the body here.
"""
