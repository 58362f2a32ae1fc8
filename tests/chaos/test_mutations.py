"""The mutations fit the code; whether tests find them: ``python -m tests.chaos.mutations``."""

from __future__ import annotations

import pytest

from tests.chaos.mutations import MUTATIONS, ROOT, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_changes_one_piece_of_code(mutation: Mutation) -> None:
    text = (ROOT / mutation.path).read_text()
    assert text.count(mutation.old) == 1
    compile(text.replace(mutation.old, mutation.new), mutation.path, "exec")


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_is_explained(mutation: Mutation) -> None:
    assert f"| {mutation.name} |" in (ROOT / "tests/chaos/MUTATIONS.md").read_text()
