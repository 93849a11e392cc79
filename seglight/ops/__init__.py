"""Pure tensor functions: bands of logits, upsampling, blending, confusion counts, padding."""
