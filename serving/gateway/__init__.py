"""The gateway: chat completions and messages, as OpenAI's and Anthropic's clients expect them."""
