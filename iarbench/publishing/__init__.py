"""Image sets and generators as repositories of the Hugging Face Hub."""
