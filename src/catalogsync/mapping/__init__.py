"""From raw records to products, declared in TOML and pure.

A record is a row, an XML element or a JSON object. A `RecordMapping` says which records
belong to one product and which column or path each field comes from:

```toml
[jobs.shop.source.map]
key = "Handle"
title = "Title"
sku = "SKU"
price = { from = "Price", currency = "EUR", decimal = "," }
options.Size = "Size"
```

Paths into nested data, currency symbols and HTML require the extra `mapping`.
"""

from __future__ import annotations

from ._columns import paths_of
from ._expression import Expression
from ._guess import Guess, guess
from ._mapping import RecordMapping, refuse_of_files
from ._names import NAMES
from ._numbers import number_marks
from ._pricing import PriceRule
from ._proposal import Proposal
from ._rates import Rate
from ._record import Record
from ._rules import rules_of
from ._sample import Sample, Sampling

__all__ = [
    "NAMES",
    "Expression",
    "Guess",
    "PriceRule",
    "Proposal",
    "Rate",
    "Record",
    "RecordMapping",
    "Sample",
    "Sampling",
    "guess",
    "number_marks",
    "paths_of",
    "refuse_of_files",
    "rules_of",
]
