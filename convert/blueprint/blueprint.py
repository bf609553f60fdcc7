"""`Blueprint`: all that is known of a SavedModel once it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hub2hf.architectures.encoder import EncoderBlueprint
from hub2hf.blueprint.asked.oracle import Heard
from hub2hf.blueprint.text import TextBlueprint
from hub2hf.blueprint.text_side.probed import ProbedText, Seen


@dataclass(frozen=True)
class Blueprint:
    """What a SavedModel is: its text side, its encoder, and the entry it was read through.

    Attributes:
        signature: the name of the entry: a signature, or "__call__" of the root object.
        input_name: what takes the text, or the ids where the text side stands elsewhere.
        output_name: what gives the embedding.
        probe_vocabulary: piece → id, in place of the real vocabulary while probing.
        probes: what the graph itself made of the probe texts; the compiled tokenizer must make the same. Empty where no
            graph makes ids of texts.
        stages: stage of the encoder, up to the last layer → the tensor of the graph that holds it, [batch * length, hidden]
            or [batch, length, hidden], for the last layer perhaps the first tokens alone, [batch, hidden]. Empty where the
            encoder is a function: then `outputs` has what it gives of them.
        ids: the tensor of the graph that holds the ids whose embeddings are looked up; "" where the ids are an input.
        inputs: "ids", "mask", "types" → the input of the entry, where it takes these and not text.
        outputs: further outputs of the entry → the stage that each was proved to be.
        heard: the words that the graph made of generated texts; those of the compiled tokenizer must be the same.
        seen: what the proof of the text side has seen.
        absent: what was not there, where a graph-only file was read.
    """

    signature: str
    input_name: str
    output_name: str
    text: TextBlueprint
    encoder: EncoderBlueprint
    probe_vocabulary: Mapping[str, int]
    probes: tuple[ProbedText, ...]
    stages: Mapping[str, str]
    ids: str = field(default="", kw_only=True)
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    heard: tuple[Heard, ...] = ()
    seen: Seen = field(default_factory=Seen)
    absent: tuple[str, ...] = ()
