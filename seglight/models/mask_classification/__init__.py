"""Nets that predict masks with classes: EoMT, its form over a frozen encoder, and Mask2Former."""
