"""OpenAI's dialect and Anthropic's, put into each other. Pure: JSON values in and out."""
