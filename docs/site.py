"""What the documentation site is made of besides its pages: the gallery, the API reference, CONTRIBUTING.md as a page.

`python docs/site.py` writes docs/gallery.md from the examples and the graph in docs/images; a test fails while they are out of
date. `python docs/site.py runs` also makes the thumbnails, from what the examples wrote to that folder. The rest is for mkdocs
(see mkdocs.yml): pages that are generated while the site is built, and docstrings taken as plain text instead of Markdown.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
GALLERY = ROOT / "docs" / "gallery.md"
GRAPH = ROOT / "docs" / "images" / "graph.svg"
THUMBNAILS = ROOT / "docs" / "images" / "gallery"

# The examples in the order of the gallery, and the picture of each that it shows.
PICTURES = {
    "autograd_tour": "graph.svg",
    "linear_regression": "fit.gif",
    "logistic_regression": "boundary.gif",
    "image_filters": "pyramid.png",
    "convolution_zoo": "effects.png",
    "transposed_convolution": "checkerboard.png",
    "pooling_and_unpooling": "outlines.png",
    "normalization": "cubes.png",
    "vanishing_gradients": "spread.png",
    "lenet_digits": "misclassified.png",
    "alexnet": "activations.png",
    "containers": "accuracy.png",
    "activations": "activations.png",
    "super_resolution": "enlarged.png",
    "dcgan_digits": "samples.png",
    "mobile_nets": "comparison.png",
    "video_conv3d": "clips.png",
    "saliency_and_attack": "attack.png",
}

# The pages of the reference: title, what it is about, and the packages or modules whose public names it shows.
REFERENCE = {
    "tensor": ("Tensor", "The tensor and its methods.", ["minigrad.tensor"]),
    "minigrad": ("minigrad", "Functions that make tensors and compute with them, and the settings.", ["minigrad"]),
    "nn": ("minigrad.nn", "Layers, losses and containers.", ["minigrad.nn"]),
    "functional": ("minigrad.nn.functional", "What the layers compute, as functions.", ["minigrad.nn.functional"]),
    "nn_utils": ("nn.init, nn.utils", "Initialization, and tools for parameters.", ["minigrad.nn.init", "minigrad.nn.utils"]),
    "optim": ("minigrad.optim", "Optimizers and schedules.", ["minigrad.optim", "minigrad.optim.lr_scheduler"]),
    "autograd": ("minigrad.autograd", "Gradients, grad mode, and what checks them.", ["minigrad.autograd", "minigrad.autograd.observer"]),
    "data": ("minigrad.utils.data", "Datasets and loaders.", ["minigrad.utils.data"]),
    "vision": (
        "minigrad.vision",
        "Datasets, models and transforms for images, by torchvision's names.",
        ["minigrad.vision.datasets", "minigrad.vision.models", "minigrad.vision.transforms", "minigrad.vision.utils"],
    ),
    "tools": (
        "summary, viz, profiler",
        "The instruments: `minigrad.summary`, `minigrad.viz` and `minigrad.profiler`.",
        ["minigrad.summary_table", "minigrad.receptive_field", "minigrad.viz", "minigrad.profiler"],
    ),
}  # fmt: skip

# Not on a page under their own names, and why.
INTERNAL = {
    "minigrad.functions": "torch's top-level spellings, shown under minigrad",
    "minigrad.tensor_types": "old constructors, shown under minigrad",
    "minigrad.settings": "shown under minigrad",
    "minigrad.creation": "shown under minigrad",
    "minigrad.ops": "shown under minigrad and nn.functional",
    "minigrad.version": "one string",
    "minigrad.nn.backward_hooks": "how hooks are made",
    "minigrad.nn.error_path": "how errors are located",
    "minigrad.nn.members": "how modules keep their members",
    "minigrad.utils.hooks": "the handle of a hook",
}


def _others() -> list[str]:
    """The modules of the package that no page above shows."""
    shown = [module for _, _, modules in REFERENCE.values() for module in modules]
    found = []
    package = ROOT / "minigrad"
    for path in [*sorted(package.iterdir()), *sorted((package / "utils").iterdir())]:
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        module = path.suffix == ".py" or (path / "__init__.py").exists()
        if module and not path.stem.startswith("_") and name not in INTERNAL:
            if not any(other == name or other.startswith(name + ".") for other in shown):
                found.append(name)
    return found


REFERENCE["other"] = (
    "Other modules",
    "Random numbers, files, distributions, back ends, and stand-ins for what a CPU library does not have.",
    _others(),
)

# The methods by which an observer is told: shown once, on the page of autograd.
_HEARD = {"begin", "end", "begin_backward", "end_backward", "enter", "leave", "open", "close"}
# Shown on pages of their own.
_ELSEWHERE = {"minigrad": ("minigrad.nn", "minigrad.summary_table", "minigrad.random", "minigrad.io")}


def examples() -> list[tuple[str, str]]:
    """(name, first sentence of the docstring) of every example script, in the order of the gallery. ValueError for one without either."""
    found = []
    for path in sorted((ROOT / "examples").glob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        if text is None or path.stem not in PICTURES:
            raise ValueError(f"{path} has no docstring or no picture in docs/site.py")
        found.append((path.stem, text.splitlines()[0]))
    return sorted(found, key=lambda example: list(PICTURES).index(example[0]))


def thumbnail(name: str) -> Path:
    """The small picture of an example in the gallery."""
    return THUMBNAILS / f"{name}{'.svg' if PICTURES[name].endswith('.svg') else '.png'}"


def shrink(runs: Path) -> None:
    """Makes the thumbnails from the pictures that the examples wrote below a folder; of an animation the last frame.

    Also docs/images/gallery.png, six of them side by side.
    """
    from PIL import Image

    THUMBNAILS.mkdir(parents=True, exist_ok=True)
    for name, file in PICTURES.items():
        source = runs / name / file
        if source.suffix == ".svg":
            thumbnail(name).write_bytes(source.read_bytes())
            continue
        with Image.open(source) as picture:
            picture.seek(getattr(picture, "n_frames", 1) - 1)
            small = picture.convert("RGB")
        small.thumbnail((720, 480), Image.Resampling.LANCZOS)
        small.quantize(255).save(thumbnail(name), optimize=True)
    width, height, margin = 380, 230, 12
    strip = Image.new("RGB", (3 * width + 4 * margin, 2 * height + 3 * margin), "white")
    shown = (
        "image_filters",
        "transposed_convolution",
        "logistic_regression",
        "activations",
        "dcgan_digits",
        "saliency_and_attack",
    )
    for i, name in enumerate(shown):
        with Image.open(thumbnail(name)) as picture:
            small = picture.convert("RGB")
        small.thumbnail((width, height), Image.Resampling.LANCZOS)
        row, column = divmod(i, 3)
        left, top = margin + column * (width + margin), margin + row * (height + margin)
        strip.paste(small, (left + (width - small.width) // 2, top + (height - small.height) // 2))
    strip.quantize(255).save(ROOT / "docs" / "images" / "gallery.png", optimize=True)


def gallery() -> str:
    """The gallery page: a picture, a sentence and a command for each script."""
    parts = [
        "# Gallery\n\n"
        "Scripts to read in one sitting and to run in under a minute, on data that comes with scikit-learn or is made on the spot. "
        "Each takes `--help`, writes its pictures to `runs/<name>/` and ends with one number that the tests check.\n\n"
        '    pip install -e ".[examples]"\n\n'
        "<!-- Written by `python docs/site.py` from the docstrings of the examples; do not edit. -->\n"
    ]
    for name, sentence in examples():
        parts.append(f"\n## {name}\n\n{plain(sentence)}\n\n    python examples/{name}.py\n")
        parts.append(f"\n![{name}]({thumbnail(name).relative_to(ROOT / 'docs').as_posix()})\n")
    return "".join(parts)


def graph() -> str:
    """The graph of the network on the page of instruments, as SVG."""
    import minigrad as mg
    from minigrad import nn, viz

    convolution = nn.Conv2d(1, 6, 5, padding=2)
    net = nn.Sequential(convolution, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6 * 14 * 14, 10))
    return viz.trace(net, mg.zeros(4, 1, 28, 28)).svg


def module_file(name: str) -> Path | None:
    """The source of a module, a stub for a compiled one; None if there is none."""
    path = ROOT / name.replace(".", "/")
    candidates = [path / "__init__.py", path.with_suffix(".py"), path.with_suffix(".pyi")]
    return next((candidate for candidate in candidates if candidate.exists()), None)


def public_names(module: str) -> dict[str, list[str]]:
    """What a module offers: {the module where it is written: names}.

    A package offers what its __init__ imports with `import name as name`; a module the public classes and functions written in it.
    """
    path = module_file(module)
    if path is None:
        raise ValueError(f"there is no module {module}")
    found: dict[str, list[str]] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            package = module.split(".")
            above = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                if (
                    alias.asname == alias.name
                    and module_file(f"{source}.{alias.name}") is None
                    and source.startswith("minigrad")
                ):
                    found.setdefault(source, []).append(alias.name)
        elif isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            names = found.setdefault(module, [])
            if node.name not in names:
                names.append(node.name)
    return found


def _definitions(module: str) -> set[str]:
    """The names of the classes and functions of a module that have a docstring."""
    path = module_file(module)
    body = ast.parse(path.read_text(encoding="utf-8")).body if path else []
    kinds = ast.ClassDef | ast.FunctionDef
    return {node.name for node in body if isinstance(node, kinds) and ast.get_docstring(node)}


def reference_page(title: str, about: str, modules: list[str]) -> str:
    """A page of the reference, as Markdown for mkdocstrings."""
    parts = [f"# {title}\n\n{about}\n"]
    for module in modules:
        for source, names in public_names(module).items():
            if source.startswith(_ELSEWHERE.get(module, ())):
                continue
            defined = _definitions(source)
            written = [name for name in names if name in defined]
            if not written:
                continue
            heading = (
                f"{module}: {source.rpartition('.')[2]}" if len(modules) > 1 and source != module else source.rpartition(".")[2]
            )
            if source == module:
                heading = module
            parts.append(f"\n## {heading}\n")
            options = (
                f"    options:\n      members: [{', '.join(written)}]\n      heading_level: 3\n      show_root_heading: false\n"
            )
            parts.append(f"\n::: {source}\n{options}")
    return "".join(parts)


def _sentence(text: str) -> str:
    """A docstring's first paragraph, as a cell of a table."""
    return plain(" ".join(text.split("\n\n")[0].split()))


def _docstring(path: Path, name: str) -> str:
    """The docstring of a function in Python or Cython source; "" for one without."""
    found = re.search(rf'def (?:object )?{name}\(.*?\)[^\n]*:\n\s+"""(.*?)"""', path.read_text(encoding="utf-8"), re.DOTALL)
    return found.group(1) if found else ""


def tensor_tables() -> str:
    """What the class Tensor has beside the methods that are written in it: those of its compiled core, and its functions."""
    engine = (ROOT / "ext" / "engine_tensor.pxi").read_text(encoding="utf-8")
    core = engine[engine.index("cdef class TensorBase:") :].split("\ncdef class ")[0].split("\ndef ")[0]
    rows = re.findall(r'    def ([a-z]\w*)\((self[^()\n]*)\)[^\n]*:\n        """(.*?)"""', core, re.DOTALL)
    parts = ["\n## Gradients and the graph\n\n| | |\n|---|---|\n"]
    for name, arguments, text in rows:
        shown = (
            name if arguments == "self" and f"@property\n    def {name}(" in core else f"{name}({arguments[4:].lstrip(', ')})"
        )
        parts.append(f"| `{shown}` | {_sentence(text)} |\n")
    tree = ast.parse((ROOT / "minigrad" / "tensor.py").read_text(encoding="utf-8"))
    cls = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Tensor")
    methods: dict[tuple[str, str], list[str]] = {}
    for node in cls.body:
        value = node.value if isinstance(node, ast.Assign) else None
        if isinstance(value, ast.Call) and value.args:  # in_place(elementwise.exp)
            value = value.args[0]
        if isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name):
            names = [target.id for target in node.targets if isinstance(target, ast.Name) and not target.id.startswith("_")]
            methods.setdefault((value.value.id, value.attr), []).extend(names)
    parts.append(
        "\n## Functions as methods\n\nThe tensor is the first argument; names that end in `_` write the result into it.\n"
        "\n| | |\n|---|---|\n"
    )
    for names in methods.values():
        names.sort(key=lambda name: name.endswith("_"))
    for (module, function), names in sorted(methods.items(), key=lambda item: item[1][:1]):
        sources = [module_file(f"minigrad.ops.{module}"), module_file(f"minigrad.{module}"), ROOT / "ext" / f"{module}.pyx"]
        text = next((found for path in sources if path and path.exists() and (found := _docstring(path, function))), "")
        if names and text:
            parts.append(f"| {', '.join(f'`{name}`' for name in names)} | {_sentence(text)} |\n")
    return "".join(parts)


def contributing() -> str:
    """CONTRIBUTING.md as a page of the site."""
    return (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").replace("](docs/", "](")


def plain(text: str) -> str:
    """Markdown that shows the text as it is: what is not in backticks or an indented block is escaped."""
    out, block, blank = [], False, True
    for line in text.split("\n"):
        indented = line.startswith("    ")
        block = (indented and (block or blank)) or (block and not line.strip())
        if block:
            out.append(line)
        else:
            parts = re.split(r"(`+[^`]*`+)", line)
            out.append("".join(part if part.startswith("`") else re.sub(r"([*_<\[\]|])", r"\\\1", part) for part in parts))
        blank = not line.strip()
    return "\n".join(out)


# ---- for mkdocs


def on_files(files: Any, config: Any) -> Any:
    """Adds the generated pages."""
    from mkdocs.structure.files import File

    for name, page in REFERENCE.items():
        more = tensor_tables() if name == "tensor" else ""
        files.append(File.generated(config, f"reference/{name}.md", content=reference_page(*page) + more))
    files.append(File.generated(config, "contributing.md", content=contributing()))
    return files


try:
    import griffe
except ImportError:  # not building the site
    pass
else:

    class PlainText(griffe.Extension):
        """Escapes the docstrings, which are plain text, and leaves out what an Observer overrides."""

        def on_object(self, *, obj: Any, **_: Any) -> None:
            """Called for every object with its docstring."""
            bases = [str(base).rpartition(".")[2] for base in getattr(obj.parent, "bases", ())]
            if "Observer" in bases and obj.name in _HEARD:
                obj.docstring = None
            elif obj.docstring is not None:
                obj.docstring.value = plain(obj.docstring.value)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        shrink(Path(sys.argv[1]))
    GALLERY.write_text(gallery(), encoding="utf-8")
    GRAPH.parent.mkdir(exist_ok=True)
    GRAPH.write_text(graph(), encoding="utf-8")
