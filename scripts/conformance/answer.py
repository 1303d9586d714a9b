"""What TensorFlow Lite answers, from a process that may crash on a model without taking the script along."""

import multiprocessing

import numpy as np

# The resolver of each mode: `default` is what a user of ai-edge-litert gets, with XNNPACK; `ref` the reference kernels.
MODES = {"default": "AUTO", "ref": "BUILTIN_REF"}
TIMEOUT_S = 60


def answer(data, inputs, mode):
    """The results as arrays, or the reason why there are none."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        resolver = getattr(OpResolverType, MODES[mode])
        runner = Interpreter(model_content=data, experimental_op_resolver_type=resolver, num_threads=1)
        runner.allocate_tensors()
        for detail, values in zip(runner.get_input_details(), inputs, strict=True):
            runner.set_tensor(detail["index"], values)
        runner.invoke()
        # Not ascontiguousarray, which makes a scalar a vector.
        return [np.array(runner.get_tensor(detail["index"]), order="C") for detail in runner.get_output_details()]
    except (RuntimeError, ValueError) as error:
        return str(error).strip()


def serve(pipe):
    import os

    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)  # the runtime's log; reasons come as exceptions
    while True:
        data, inputs, mode = pipe.recv()
        pipe.send(answer(data, inputs, mode))


class Answers:
    """A process that answers, and is started again after a crash."""

    def __init__(self):
        self.context = multiprocessing.get_context("spawn")
        self.process = None

    def start(self):
        self.pipe, theirs = self.context.Pipe()
        self.process = self.context.Process(target=serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process = None

    def ask(self, data, inputs, mode):
        """The results as arrays, or the reason why there are none."""
        if self.process is None:
            self.start()
        try:
            self.pipe.send((data, inputs, mode))
            if not self.pipe.poll(TIMEOUT_S):
                raise EOFError
            return self.pipe.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self.stop()
            return "the runtime crashed"
