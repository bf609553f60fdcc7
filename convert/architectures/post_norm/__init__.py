"""Encoders with LayerNorm after each part: BERT and its kin, which differ in what the classes of transformers can hold."""
