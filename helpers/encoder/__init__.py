"""All that touches a Hugging Face encoder: loading it, packing text for it, its vectors and masked-LM logits."""
