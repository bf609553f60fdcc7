"""Hold the interpreter against TensorFlow's own list of operations, TensorFlow Text's among them.

    python scripts/ops.py            # listed, computed, excluded by rule; exit 1 where one is unexplained
    python scripts/ops.py --write    # rewrite convert/savedmodel/op_outputs.txt, the names of all outputs
    python scripts/ops.py --check    # also exit 1 if TensorFlow and that file differ
    python scripts/ops.py --rule NAME  # the operations that one rule excludes

Listed is what a text encoder's graph can hold: what has no state, or that of tables and variables alone, and runs on a CPU.
Each is computed, and held against TensorFlow in tests/test_operations.py, or falls under a rule that says why it is not.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_text
from tensorflow.core.framework import kernel_def_pb2, op_def_pb2
from tensorflow.python.client import pywrap_tf_session

from hub2hf.interpreter.catalog import find
from hub2hf.interpreter.run import BUILT_IN
from hub2hf.savedmodel.ops import outputs_of

TABLE = Path(__file__).parent.parent / "convert" / "savedmodel" / "op_outputs.txt"
# What the loops of TensorFlow 1 are made of, and tables that a file fills: read before the graph is run.
READ_AS_FORM: Mapping[str, str] = {
    **dict.fromkeys(("Enter", "Exit", "NextIteration", "LoopCond"), "convert/analysis/loops.py makes them While"),
    **dict.fromkeys(("RefEnter", "RefExit", "RefNextIteration"), "the same, of reference variables"),
    **dict.fromkeys(
        ("InitializeTableFromTextFile", "InitializeTableFromTextFileV2"), "convert/blueprint/text_side/read_text.py"
    ),
    "FastWordpieceTokenizeWithOffsets": "convert/blueprint/vocabulary/fast_wordpiece.py makes it WordpieceTokenizeWithOffsets",
    **dict.fromkeys(("Placeholder", "PlaceholderV2"), "fed"),
}

# Why operations are not computed: each rule's name and the full names it holds for, as a regex; the first that fits counts.
RULES: Mapping[str, str] = {
    "made by TensorFlow's runtime, in no SavedModel": r"_.*|HostConst|CopyHost|Copy|CheckPinned|FakeParam|RefSelect",
    "made for TensorFlow's own tests": r"ConstructionFails|Old|KernelLabel.*|GetDeadline|Test.*|Namespace>.*|Fact|WindowOp"
    r"|IsResourceHandleRefCounting|Resource(Create|Initialized|Using)Op|StubResourceHandleOp|SleepOp|SleepIdentityOp|ToBool"
    r"|IsTensorFloat32Enabled|GraphDefVersion|RequiresOlderGraphVersion|DevicePlacementOp|DtypeWithDefaultOp",
    "accelerators, XLA": r"Xla.*|.*TPU.*|.*Tpu.*|DeviceIndex|ApproxTopK|GetElementAtIndex",
    "quantised numbers": r".*Quanti[sz].*|.*quantize.*|FakeQuant.*|UniformRequantize|Requantiz.*|StochasticCastToInt"
    r"|MutableHashTableOfQuantized.*|CustomAggregator|CalibrationStatisticsSaver",
    "randomness, sampling": r"(Stateless)?Random.*|Stateless(Multinomial|.*TruncatedNormal.*|Sample.*|Shuffle)|Stateful.*"
    r"(Normal.*|Uniform.*|Binomial)|.*CandidateSampler|ComputeAccidentalHits|SobolSample|Skipgram|NegTrain|Rng.*|K[Mm].*Init.*"
    r"|Multinomial|NonDeterministicInts|Parameterized.*|TruncatedNormal|SampleDistorted.*|.*SeedGenerator|NearestNeighbors",
    "gradients, training": r".*Grad(V\d|A|WithShape|Args|Boxes|Image|WithArgmax)?|.*GradGrad.*|.*Backprop.*|SymbolicGradient"
    r"|(Resource)?(Sparse)?Apply.*|Sdca.*|.*Gradient(ToVariant)?|BroadcastGradientArgs|DebugGradient.*|IgammaGradA"
    r"|.*CrossEntropyWithLogits|RaggedTensorToVariantGradient|SparseFillEmptyRowsGrad|CTCLoss.*|IsotonicRegression",
    "datasets, records, files": r".*Dataset.*|.*Iterator.*|Parse(Single|Sequence|Example).*|.*Reader.*|ReadFile|WriteFile"
    r"|MatchingFiles|.*Proto(V\d)?|DecodeCSV|DecodeJSONExample|Sharded.*|Save.*|Restore.*|MergeV2.*|Optional.*|.*Snapshot.+"
    r"|GenerateVocabRemapping|LoadAndRemapMatrix|ImmutableConst|.*Options|MapDefun|.*MemoryCache|ComputeBatchSize|RecordInput"
    r"|(Unc|C)ompressElement|FileSystem.*|DumpTensor|DistributedSave|.*Stats.*|DisableCopyOnRead|DecodeCompressed|DummyIter.*",
    "tensors as protocol buffers": r"(Des|S)erialize.*|ParseTensor",
    "images": r".*Image.*|Resize.*|Crop.*|Decode(And|Jpeg|Png|Gif|Bmp|WebP|Jxl).*|Encode(Jpeg|Png).*|.*Jpeg.*|RGBToHSV|HSVToRGB"
    r"|Adjust.*|.*NonMax.*|DrawBounding.*|ExtractGlimpse.*|ScaleAndTranslate|ExtractVolumePatches|FusedResize.*",
    "convolutions, pooling": r"_?(Fused)?(Pad)?Conv.*|FusedPadConv2D|Depthwise.*|.*Pool.*|Dilation2D|LRN|BatchNormWithGlobal.*",
    "audio, signals": r"I?R?FFT.*|BatchI?FFT.*|Mfcc|Audio.*|DecodeWav|EncodeWav",
    "recurrent cells in one kernel, speech decoders": r"(Block)?LSTM.*|GRUBlock.*|CTC.*|Cudnn.*",
    "linear-algebra decompositions": r"(Batch)?(Cholesky|Qr|Svd|Lu|Eig|SelfAdjoint.*|Log?Matrix.*|Matrix(Inverse|Determinant"
    r"|Solve(Ls)?|Exponential|Logarithm|SquareRoot|TriangularSolve))|Tridiagonal.*|BandedTriangularSolve",
    "sparse matrices in compressed rows": r"CSR.*|SparseMatrix.*|.*ToCSR.*",
    "assigning to variables": r"Assign.*|(Resource)?Scatter(Nd)?(Add|Sub|Mul|Div|Min|Max|Update)|.*CountUpTo|StridedSliceAssign"
    r"|ResourceStridedSliceAssign|IsVariableInitialized|DestroyTemporaryVariable|TemporaryVariable|DestroyResourceOp|Inplace.*",
    "queues, stacks, barriers, stages": r".*Queue.*|Stack.*|Barrier.*|.*Accumulator.*|(Ordered)?Map(Stage|Un|Peek|Clear|Size|Inc).*"
    r"|(Un)?[Ss]tage.*|StageClear|Stage.*|.*Mutex.*|(Add|Take)(Many)?Sparse.*TensorsMap|.*SessionHandle.*|.*SessionTensor",
    "batching of a server": r"Batch|BatchFunction|Unbatch",
    "devices and their talk": r"Collective.*|Nccl.*|Rpc.*|Send|Recv|RemoteCall|(Make)?Weak.*|DeepCopy|DTensor.*|CopyToMesh",
    "summaries, debugging, printing": r".*Summary.*|Debug.*|Print.*|Assert.*|Abort|ImportEvent|Timestamp|CheckNumericsV2",
    "Python code": r"(Eager)?PyFunc.*",
    "sets": r".*SetOperation|SetSize",
    "boosted trees": r"Boosted.*",
    "another tokenizer, refused by name": r"TFText>FastSentencepiece.*|(TFText>)?(Phrase|FastWordpiece|FastBert).*"
    r"|Sentencepiece(TokenizeWithOffsets|Detokenize)Op"
    r"|TokenizerFromLogits",
    "features hashed with a salt": r"SparseCrossHashed",
    "parsers, labels, measures and maps of offsets, which give no token": r"ConstrainedSequence|MaxSpanningTree|RougeL|SentenceFragments(V2)?"
    r"|TFText>(Boise.*|.*BoiseTags)|FindSourceOffsets|.*OffsetsMap",
}


@dataclass(frozen=True)
class Count:
    """What became of the listed operations.

    Attributes:
        listed: how many there are.
        computed: by a kernel, or read as a form.
        excluded: names by rule.
        unexplained: names that are neither.
        elsewhere: how many of the registry are not listed, by reason.
    """

    listed: int
    computed: tuple[str, ...]
    excluded: dict[str, list[str]]
    unexplained: tuple[str, ...]
    elsewhere: dict[str, int]


@cache
def registry() -> tuple[Any, ...]:
    """Return every OpDef that TensorFlow and TensorFlow Text register, in the order of their names."""
    found = op_def_pb2.OpList.FromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    return tuple(sorted(found.op, key=lambda op: op.name))


@cache
def on_cpu() -> frozenset[str]:
    """Return the names of operations with a kernel for a CPU."""
    buffer = pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllRegisteredKernels())
    kernels = kernel_def_pb2.KernelList.FromString(buffer).kernel
    return frozenset(kernel.op for kernel in kernels if kernel.device_type in ("CPU", "DEFAULT"))


# Stateful in TensorFlow's list, by tables and variables, or because the functions that they call may be.
KEPT_STATE = re.compile(
    r".*Table.*|.*Variable.*|VarHandleOp|VarIsInitializedOp|Resource(Gather|Scatter).*|TensorArray.*|While|If|Case"
    r"|StatefulPartitionedCall|CheckNumerics(V2)?|Wordpiece.*|GuaranteeConst|Empty|Sentencepiece.*"
)


def count() -> Count:
    """Return what became of each listed operation."""
    rules = {name: re.compile(pattern) for name, pattern in RULES.items()}
    computed, unexplained = [], []
    excluded: dict[str, list[str]] = {name: [] for name in RULES}
    elsewhere = {"without a kernel for a CPU": 0, "with another state than tables and variables": 0}
    for op in registry():
        if find(op.name) or op.name in BUILT_IN or op.name in READ_AS_FORM:
            computed.append(op.name)
        elif op.name not in on_cpu():
            elsewhere["without a kernel for a CPU"] += 1
        elif op.is_stateful and not KEPT_STATE.fullmatch(op.name):
            elsewhere["with another state than tables and variables"] += 1
        elif rule := next((name for name, pattern in rules.items() if pattern.fullmatch(op.name)), None):
            excluded[rule].append(op.name)
        else:
            unexplained.append(op.name)
    total = len(computed) + len(unexplained) + sum(map(len, excluded.values()))
    return Count(total, tuple(computed), excluded, tuple(unexplained), elsewhere)


def table() -> str:
    """Return the file of the outputs' names, as text."""
    lines = [
        "# The outputs of every operation of TensorFlow and TensorFlow Text, in order; written by scripts/ops.py, not by hand.",
        "# name*attribute is a list as long as the attribute tells: a number, or types.",
    ]
    for op in registry():
        names = (name + (f"*{attribute}" if attribute else "") for name, attribute in outputs_of(op))
        lines.append(" ".join([op.name, *names]))
    return "\n".join(lines) + "\n"


def main() -> int:
    """Do what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="rewrite the table of outputs")
    parser.add_argument("--check", action="store_true", help="compare the table of outputs too")
    parser.add_argument("--rule", metavar="NAME", help="print what a rule excludes")
    asked = parser.parse_args()
    if asked.write:
        TABLE.write_text(table(), encoding="ascii")
        print(f"{TABLE}: {len(registry())} operations")
        return 0
    found = count()
    if asked.rule:
        print(" ".join(found.excluded[asked.rule]))
        return 0
    print(
        f"TensorFlow {tf.__version__} and TensorFlow Text {tensorflow_text.__version__}: {len(registry())} operations"
    )
    for reason, number in found.elsewhere.items():
        print(f"not listed, {reason}: {number}")
    print(f"listed: {found.listed}\ncomputed: {len(found.computed)}")
    print(f"excluded: {sum(map(len, found.excluded.values()))}")
    for rule, names in found.excluded.items():
        print(f"    {len(names):4}  {rule}")
    print(f"unexplained: {len(found.unexplained)}", *found.unexplained)
    differs = asked.check and TABLE.read_text(encoding="ascii") != table()
    if differs:
        print(f"{TABLE} differs from TensorFlow's list")
    return 1 if differs or found.unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
