"""The pages: their code runs and prints what they say, what is generated is up to date, every public name is in the reference."""

import importlib.util
import itertools
import pkgutil
import re
from pathlib import Path

import pytest

import minigrad
from tests.test_repository import check_block, python_blocks

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = [DOCS / "index.md", *sorted((DOCS / "guide").glob("*.md"))]


@pytest.fixture(scope="module")
def site():
    spec = importlib.util.spec_from_file_location("site_of_the_docs", DOCS / "site.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_prints_what_it_says(page, tmp_path, monkeypatch):
    """The blocks of a page are one program, run from the top in an empty folder."""
    monkeypatch.chdir(tmp_path)
    threads, dtype, state = minigrad.get_num_threads(), minigrad.get_default_dtype(), minigrad.get_rng_state()
    namespace = {"__name__": page.stem}
    try:
        checked = sum(check_block(block, namespace) for block in python_blocks(page))
    finally:
        minigrad.set_num_threads(threads)
        minigrad.set_default_dtype(dtype)
        minigrad.set_rng_state(state)
    assert checked > 0, "the page checks no printed value"


def test_every_print_of_a_page_is_checked():
    """Each print has its output beside it, so that no value on a page is left to trust."""
    for page in PAGES:
        for block in python_blocks(page):
            lines = [*block.splitlines(), ""]
            for line, below in itertools.pairwise(lines):
                assert not line.startswith("print(") or "#" in line or below.startswith("#"), f"{page.name}: {line}"


def test_the_gallery_is_what_the_examples_say(site):
    assert site.GALLERY.read_text() == site.gallery(), "run `python docs/site.py`"
    for name, _ in site.examples():
        assert f"python examples/{name}.py" in site.gallery()
        assert site.thumbnail(name).is_file(), "run the example, then `python docs/site.py runs`"
    assert sorted(site.PICTURES) == sorted(name for name, _ in site.examples())


def test_the_graph_is_what_viz_draws(site):
    assert site.GRAPH.read_text() == site.graph(), "run `python docs/site.py`"


def test_the_reference_shows_every_public_module(site):
    """Each module of the package is on a page, is re-exported by one that is, or is internal for a reason given there."""
    modules = {name for _, _, names in site.REFERENCE.values() for name in names}
    shown = modules | {source for name in modules for source in site.public_names(name)}
    for info in pkgutil.walk_packages(minigrad.__path__, "minigrad."):
        parts = info.name.split(".")
        if any(part.startswith("_") for part in parts):
            continue
        if any(name.startswith(info.name + ".") for name in shown):
            continue  # a package whose parts are shown
        known = any(".".join(parts[:n]) in shown or ".".join(parts[:n]) in site.INTERNAL for n in range(2, len(parts) + 1))
        assert known, f"{info.name} is on no page of the reference (REFERENCE in docs/site.py)"


def test_the_reference_names_what_there_is(site):
    page = site.reference_page(*site.REFERENCE["nn"])
    members = {name.strip() for line in re.findall(r"members: \[(.*)\]", page) for name in line.split(",")}
    assert {"Conv2d", "Linear", "Sequential", "Module", "CrossEntropyLoss"} <= members
    assert all(hasattr(minigrad.nn, name) for name in members)
    top = site.reference_page(*site.REFERENCE["minigrad"])
    for name in ("matmul", "softmax", "zeros", "einsum", "where"):
        assert re.search(rf"[\[ ]{name}[,\]]", top)


def test_the_page_of_the_tensor_names_its_methods(site):
    """Every public attribute is in a table, or has a docstring in the class itself and is shown with it."""
    page = site.tensor_tables()
    shown = set(re.findall(r"`(\w+)(?:\([^`]*\))?`", page)) | {
        name for name, value in vars(minigrad.Tensor).items() if value.__doc__
    }
    missing = [name for name in dir(minigrad.Tensor) if not name.startswith("_") and name not in shown]
    assert missing == []
    assert "| `exp`, `exp_` | " in page
    assert "| `backward(gradient=None" in page


def test_docstrings_are_taken_as_plain_text(site):
    assert site.plain("(*, C * r) -> `(*, H)` <g> _x_ [0]") == r"(\*, C \* r) -> `(*, H)` \<g> \_x\_ \[0\]"
    assert site.plain("text\n\n    code * here\n\nmore*") == "text\n\n    code * here\n\nmore\\*"
    assert site.plain("text\n    goes on *") == "text\n    goes on \\*"


def test_the_navigation_names_every_page():
    """What mkdocs --strict checks in CI, without mkdocs: no page is left out, none is missing."""
    named = set(re.findall(r"([\w/]+\.md)", (DOCS.parent / "mkdocs.yml").read_text()))
    written = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    generated = {name for name in named if name.startswith("reference/")} | {"contributing.md"}
    beside = {"performance_table.md"}  # read by another page
    assert named - generated - beside == written - beside
