"""Writes tests/conformance/cases/<OPERATOR>.bin: models of one operator and what TensorFlow Lite answers."""

import argparse
import collections
import time
from pathlib import Path

import archive
import operators
from answer import Answers
from operators import architectures, converted

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "conformance" / "cases"


def resolve_shapes(case, answers):
    """Gives each result the shape that TensorFlow Lite computes. The reason of each mode if both refuse the model."""
    made = [tensor for op in (case.answered_by or case.ops) for tensor in op.outputs]
    asked, case.outputs = case.outputs, made
    reasons = {}
    for mode in ["ref", "default"]:
        found = answers.ask(case.model(answered=True), [t.values for t in case.inputs], mode)
        if not isinstance(found, str):
            break
        reasons[mode] = found
    case.outputs = asked
    if len(reasons) == 2:
        return reasons
    for tensor, values in zip(made, found, strict=True):
        tensor.shape = values.shape
    return None


def case_bytes(case, answers):
    """The packed case, and which modes answered."""
    inputs = [tensor.values for tensor in case.inputs]
    refused = None if case.raw is not None else resolve_shapes(case, answers)
    if refused is not None:
        return archive.case(case.name, case.dtype, b"", [], refused["default"], refused["ref"]), "none"
    default, reference = (answers.ask(case.model(answered=True), inputs, mode) for mode in ["default", "ref"])
    if case.settle is not None:
        default, reference = (found if isinstance(found, str) else case.settle(found) for found in [default, reference])
    outcome = {(False, False): "both", (False, True): "default only", (True, False): "ref only", (True, True): "none"}[
        isinstance(default, str), isinstance(reference, str)
    ]
    if outcome == "none":
        return archive.case(case.name, case.dtype, b"", [], default, reference), "none"
    found = reference if isinstance(default, str) else default
    for tensor, values in zip(case.outputs, found, strict=case.raw is None):
        assert tensor.dtype == values.dtype.name and tensor.shape == values.shape, (case.name, tensor, values.shape)
    return archive.case(case.name, case.dtype, case.model(), inputs, default, reference), outcome


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("operator", nargs="*", help="only these operators")
    parser.add_argument("--output", type=Path, default=FOLDER)
    parser.add_argument("--verbose", action="store_true", help="print why models were refused")
    arguments = parser.parse_args()
    registered = operators.load()
    arguments.output.mkdir(parents=True, exist_ok=True)
    unknown = set(arguments.operator) - set(registered)
    if unknown:
        parser.error(f"no such operator: {', '.join(sorted(unknown))}")
    answers, total = Answers(), 0
    for name in sorted(registered):
        if arguments.operator and name not in arguments.operator:
            continue
        start, cases = time.monotonic(), operators.Cases(name)
        registered[name](cases)
        converted.add(cases)
        architectures.add(cases)
        packed, outcomes = [], collections.defaultdict(collections.Counter)
        for case in cases.cases:
            case.prepare(name)
            data, outcome = case_bytes(case, answers)
            packed.append(data)
            outcomes[case.dtype][outcome] += 1
            if arguments.verbose and outcome != "both":
                print(f"  {name} {case.dtype} {case.name}: {outcome} {data[-120:]!r}")
        data = archive.pack(packed)
        (arguments.output / f"{name}.bin").write_bytes(data)
        total += len(data)
        counts = "; ".join(f"{dtype} " + ", ".join(f"{n} {what}" for what, n in counter.items()) for dtype, counter in outcomes.items())
        print(f"{name}: {len(cases.cases)} cases, {len(data)} bytes, {time.monotonic() - start:.1f} s: {counts}", flush=True)
    answers.stop()
    if not arguments.operator:
        for stale in set(arguments.output.glob("*.bin")) - {arguments.output / f"{name}.bin" for name in registered}:
            stale.unlink()
    print(f"{total} bytes")


if __name__ == "__main__":
    main()
