"""The repository: every public op has a row, the README tells the truth, imports point down."""

import ast
import contextlib
import inspect
import io
import re
import shutil
import subprocess
import sys
import textwrap
import tokenize
from pathlib import Path

import pytest

import minigrad
from minigrad._ext.engine import Function
from tests.op_table import ROWS
from tests.op_table import __main__ as op_page
from tests.test_ops import execute, is_tensor, prepare

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "minigrad"
README = ROOT / "README.md"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# Imported inside a function on purpose: they are optional, or slow to import.
LATE_IMPORTS = {
    "PIL", "fractions", "json", "matplotlib", "multiprocessing", "random", "safetensors", "scipy", "socket", "tempfile", "torch", "tqdm",
}  # fmt: skip
# `import minigrad` loads none of these: they cost it a third of its time, or are not there for everyone.
NOT_AT_IMPORT = LATE_IMPORTS | {
    "IPython",
    "argparse",
    "ast",
    "decimal",
    "html",
    "http",
    "numpy.random",
    "pathlib",
    "shutil",
    "urllib",
}

# A module may import modules of its own layer and below. The first entry that is a prefix counts.
LAYERS = [
    ("minigrad._ext", 0),
    ("minigrad._dtype", 0),
    ("minigrad._device", 0),
    ("minigrad._arguments", 1),
    ("minigrad._lazy", 0),
    ("minigrad.return_types", 0),
    ("minigrad._naming", 1),
    ("minigrad._repr", 1),
    ("minigrad._ufunc", 1),
    ("minigrad.autograd", 1),
    ("minigrad.ops", 1),
    ("minigrad.creation", 1),
    ("minigrad.tensor", 2),
    ("minigrad.random", 1),
    ("minigrad.nn.functional", 4),
    ("minigrad.nn", 5),
    ("minigrad.optim", 5),
    ("minigrad.utils", 5),
    ("minigrad.io", 5),
    ("minigrad", 6),
]


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer(module):
    return next(rank for prefix, rank in LAYERS if module == prefix or module.startswith(prefix + "."))


def is_module(name):
    path = ROOT / name.replace(".", "/")
    compiled = name.startswith("minigrad._ext.") and (ROOT / "ext" / path.name).with_suffix(".pyx").exists()
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists() or compiled


def imports(tree, name, is_package):
    """(node, module) of every import in module `name` that runs; those under `if TYPE_CHECKING` do not."""
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            skipped.update(id(inner) for statement in node.body for inner in ast.walk(statement))
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = name.split(".") if is_package else name.split(".")[:-1]
            above = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:  # `from minigrad.nn import functional` imports a module
                inner = f"{source}.{alias.name}"
                yield node, inner if is_module(inner) else source


@pytest.mark.parametrize("path", SOURCES, ids=[module_name(path) for path in SOURCES])
def test_imports_point_down(path):
    name, tree, is_package = module_name(path), ast.parse(path.read_text()), path.name == "__init__.py"
    for node, target in imports(tree, name, is_package):
        if target == "minigrad" or target.startswith("minigrad."):
            inside = is_package and target.startswith(name + ".")
            allowed = inside or layer(target) <= layer(name)
            assert allowed, f"line {node.lineno}: {name} (layer {layer(name)}) imports {target} (layer {layer(target)})"
    for function in ast.walk(tree):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            for node, target in imports(function, name, is_package):
                assert target.split(".")[0] in LATE_IMPORTS, f"line {node.lineno}: {target} is imported inside a function"


def test_importing_minigrad_loads_nothing_that_is_slow_or_optional():
    """Nothing but what numpy loads anyway, and small modules of Python."""
    loaded = {}
    for library in ("numpy", "minigrad"):
        command = [sys.executable, "-c", f"import {library}, sys; print(*sys.modules)"]
        loaded[library] = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert not (loaded["minigrad"] - loaded["numpy"]) & NOT_AT_IMPORT
    late = (
        "minigrad.vision",
        "minigrad.viz",
        "minigrad.as_torch",
        "minigrad.utils.data",
        "minigrad.distributions",
        "minigrad.profiler",
    )
    assert not [name for name in loaded["minigrad"] if name.startswith(late)]


def test_late_submodules_are_there_at_their_first_use():
    script = """
        import minigrad as mg
        print(mg.optim.SGD.__name__, mg.utils.data.DataLoader.__name__, mg.distributions.Normal.__name__, mg.summary.__name__)
        print({"optim", "summary", "profiler", "add"} <= set(dir(mg)), "data" in dir(mg.utils), hasattr(mg, "nothing"))
    """
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["SGD", "DataLoader", "Normal", "summary", "True", "True", "False"]


def test_backward_speaks_only_ops():
    """No backward rule calls numpy: it would cut the graph of the second derivative."""
    wrong = []
    for path in sorted((PACKAGE / "ops").rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef) and function.name == "backward":
                names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
                if names & {"np", "numpy"}:
                    wrong.append(f"{path.relative_to(ROOT)}:{function.lineno}")
    assert not wrong, wrong


def public_functions(module, path):
    """(dotted path, function) of what `module` offers that was defined in minigrad."""
    for name, value in sorted(vars(module).items()):
        defined_here = (getattr(value, "__module__", None) or "").startswith("minigrad")
        if not name.startswith("_") and callable(value) and not inspect.isclass(value) and defined_here:
            yield f"{path}.{name}", value


def test_every_public_function_of_nn_functional_has_a_row():
    rows = {row.name for row in ROWS}
    missing = []
    for path, value in public_functions(minigrad.nn.functional, "nn.functional"):
        elsewhere = f"{value.__name__}" in rows and getattr(minigrad, value.__name__, None) is value
        if path not in rows and not elsewhere:
            missing.append(path)
    assert not missing, f"no row in tests/op_table: {missing}"


def subclasses(cls):
    for child in cls.__subclasses__():
        yield child
        yield from subclasses(child)


def graph_nodes(tensors, seen):
    """Adds the type of every node below these tensors to `seen`."""
    stack, visited = [t.grad_fn for t in tensors if t is not None and t.grad_fn is not None], set()
    while stack:
        node = stack.pop()
        if id(node) not in visited:
            visited.add(id(node))
            seen.add(type(node))
            stack.extend(other for other, _ in getattr(node, "next_functions", ()) if other is not None)


def test_every_node_is_in_the_graph_of_some_row():
    """Each Function of the package is run, in first, second or third order, by a row of the op table."""
    seen = set()
    for row in ROWS:
        for sample in row.sample_list() if row.order else ():
            call = prepare(minigrad, sample, row.dtypes[0])
            tensors = [y for y in execute(minigrad, row, call) if is_tensor(y) and y.requires_grad]
            for _ in range(row.order + 1):  # the outputs, their gradients, and the gradients of those
                tensors = [t for t in tensors if t is not None and t.requires_grad]
                graph_nodes(tensors, seen)
                if tensors:
                    total = sum(((t * t).sum() for t in tensors[1:]), (tensors[0] * tensors[0]).sum())
                    tensors = minigrad.autograd.grad(total, call.inputs, create_graph=row.order > 1, allow_unused=True)
    written = {cls for cls in subclasses(Function) if cls.__module__.startswith("minigrad.")}
    written -= {cls for cls in written if cls.__module__ == "minigrad.autograd.function"}  # tests/test_graph_probes_function.py
    abstract = {cls for cls in written if cls.__subclasses__() or cls.backward is Function.backward}
    missing = sorted(f"{cls.__module__}.{cls.__name__}" for cls in written - abstract - seen)
    assert not missing, missing


def python_blocks(path):
    return re.findall(r"^```python\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)


def promised_output(block, statement, next_line):
    """The text in the comments at the end of a statement and on lines of their own right below it; None if there is none."""
    source = block.splitlines()
    comments = {
        token.start[0]: token.string.removeprefix("#").removeprefix(" ")
        for token in tokenize.generate_tokens(io.StringIO(block).readline)
        if token.type == tokenize.COMMENT
    }
    lines = [comments[statement.end_lineno]] if statement.end_lineno in comments else []
    number = statement.end_lineno + 1
    while number < next_line and number in comments and source[number - 1].lstrip().startswith("#"):
        lines.append(comments[number])
        number += 1
    return "\n".join(lines) if lines else None


def check_block(block, namespace):
    """Runs a block statement by statement; what a print prints must be what the comment beside it says."""
    statements = ast.parse(block).body
    checked = 0
    for i, statement in enumerate(statements):
        next_line = statements[i + 1].lineno if i + 1 < len(statements) else len(block.splitlines()) + 1
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(ast.Module([statement], []), "README.md", "exec"), namespace)
        prints = "print(" in ast.unparse(statement)
        promised = promised_output(block, statement, next_line) if prints else None
        if promised is not None:
            found = "\n".join(line.strip() for line in printed.getvalue().strip().splitlines())
            assert found == "\n".join(line.strip() for line in promised.strip().splitlines()), ast.unparse(statement)
            checked += 1
    return checked


def test_the_readme_s_printed_values_are_what_its_code_prints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "readme"}
    checked = sum(check_block(block, namespace) for block in python_blocks(README))
    assert checked > 0, "no printed value was found in README.md"


def test_the_readme_checker_finds_a_wrong_number():
    assert check_block("print(1 + 1)  # 2\nfor i in range(2):\n    print(i)  # 0\n# 1\n", {}) == 2
    with pytest.raises(AssertionError):
        check_block("print(1 + 1)  # 3\n", {})


def test_the_readme_and_ci_run_the_same_tests():
    command = 'pip install -e ".[test]" && pytest'
    assert command in README.read_text()
    assert command in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: path.name)
def test_links_in_the_docs_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#\s]+)", path.read_text()):
        if "://" not in target and not target.startswith("mailto:"):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_the_page_of_operations_is_what_the_op_table_says():
    assert set(map(id, ROWS)) == {id(row) for rows in op_page.FAMILIES.values() for row in rows}
    figures = op_page.stored_parity()
    assert set(figures) == set(op_page.FAMILIES), "run `python -m tests.op_table --parity` where PyTorch is installed"
    assert op_page.PAGE.read_text() == op_page.render(figures), "run `python -m tests.op_table`"


def tracked_files():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True).stdout
    return [Path(line) for line in listed.splitlines()]


def test_nothing_generated_is_in_git():
    generated = {".c", ".so", ".o", ".pyc", ".pyd", ".html"}
    by_hand = {"ext/serial_region.c"}
    assert [str(path) for path in tracked_files() if path.suffix in generated and path.as_posix() not in by_hand] == []


def test_no_unfinished_business():
    mark = re.compile("TO" + "DO|FIX" + "ME|XX" + "X")
    suffixes = {".py", ".pyx", ".pxd", ".h", ".md", ".toml"}
    found = [str(path) for path in tracked_files() if path.suffix in suffixes and mark.search((ROOT / path).read_text())]
    assert found == []


def test_no_line_of_c_is_longer_than_140():  # the linters watch over Python and Cython
    lines = [
        f"{path}:{number}"
        for path in tracked_files()
        if path.suffix in {".h", ".c", ".pxi"}
        for number, line in enumerate((ROOT / path).read_text().splitlines(), 1)
        if len(line) > 140
    ]
    assert lines == []
