"""minigrad beside PyTorch, op by op and step by step: `python -m benchmarks --help`.

`workloads.py` and `steps.py` say what is measured, once for both libraries; `worker.py` times one library in a process of its own;
`turns.py` lets the libraries run in turn and discards what other processes disturbed; `programs.py` measures whole processes
(imports, peak memory, training on MNIST); `machine.py` measures the machine's limits; `report.py` prints, writes and draws.
"""
