"""The pages of results: what they quote is what a command prints from the tables kept beside them."""

import importlib.util

import pandas as pd
import pytest
from conftest import REPO

spec = importlib.util.spec_from_file_location("quote", REPO / "docs/results/quote.py")
quote = importlib.util.module_from_spec(spec)
spec.loader.exec_module(quote)


@pytest.mark.parametrize("path", quote.PAGES, ids=lambda path: path.name)
def test_a_page_quotes_what_is_printed(path):
    page = path.read_text()
    assert quote.filled(page) == page, "python docs/results/quote.py fill"


def test_tables_of_a_study_are_kept_with_the_same_bytes_and_quoted(tmp_path, monkeypatch):
    folder = tmp_path / "results/tables/mine"
    folder.mkdir(parents=True)
    row = {
        "claim": "c",
        "statement": "It is",
        "source": "A paper 2020",
        "curve": "a",
        "against": "b",
        "note": None,
    }
    row |= {
        "mean": 0.9,
        "against_mean": 0.5,
        "difference": 0.4,
        "ci_low": 0.3,
        "ci_high": 0.5,
        "detectable": 0.1,
        "n": 3,
    }
    levels = [{**row, "of": "level", "remaining": left, "verdict": "shown"} for left in (0.8, 0.64)]
    pd.DataFrame([{**row, "of": "whole", "verdict": "mixed"}, *levels]).to_csv(
        folder / "claims.csv", index=False
    )
    monkeypatch.setattr(quote, "HERE", tmp_path / "kept")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept").mkdir()
    quote.keep("mine")
    first = (tmp_path / "kept/mine/claims.csv.gz").read_bytes()
    quote.keep("mine")
    assert (tmp_path / "kept/mine/claims.csv.gz").read_bytes() == first
    whole = (
        "| It is (A paper 2020) | +0.4 | +0.3 to +0.5 | 3 | 0.1 | shown at 2 of 2 (80, 64 %) | **mixed** |"
    )
    assert quote.claims("mine").splitlines()[2:] == [whole] == quote.claims("mine", "c*").splitlines()[2:]
    assert len(quote.claims("mine", "other").splitlines()) == 2
    assert (
        quote.levels("mine", "c").splitlines()[2]
        == "| 80 % | 0.9 | 0.5 | +0.4 | +0.3 to +0.5 | 3 | **shown** |"
    )
    page = "a\n<!-- quote: claims mine -->\nold\n<!-- end of quote -->\nb"
    assert quote.filled(page).splitlines()[4:] == [whole, "<!-- end of quote -->", "b"]
