"""The words that generated catalogs are made of."""

from __future__ import annotations

KINDS = ("garden", "kitchen", "office", "outdoor", "travel", "kids", "sports", "winter")
THINGS = ("tools", "bags", "shoes", "lamps", "chairs", "books", "games", "towels")

ADJECTIVES = ("Classic", "Modern", "Compact", "Folding", "Sturdy", "Light", "Deluxe")
MATERIALS = ("Oak", "Steel", "Cotton", "Glass", "Bamboo", "Leather", "Wool", "Cork")

PRAISE = (
    "made for everyday use",
    "easy to clean and hard to break",
    "a favourite for small homes",
    "built to last for many years",
    "the right choice for beginners and experts alike",
    "packed without any plastic",
    "light enough to carry with one hand",
)

WARRANTIES = (
    "No warranty",
    "1 week warranty",
    "1 month warranty",
    "3 months warranty",
    "6 months warranty",
    "1 year warranty",
    "2 year warranty",
    "3 year warranty",
    "5 year warranty",
    "Lifetime warranty",
)
SHIPPING = (
    "Ships overnight",
    "Ships in 1-2 business days",
    "Ships in 3-5 business days",
    "Ships in 1 week",
    "Ships in 2 weeks",
    "Ships in 1 month",
)
RETURNS = (
    "No return policy",
    "7 days return policy",
    "30 days return policy",
    "60 days return policy",
    "90 days return policy",
)

PLEASED = ("Works well!", "Just as described!", "Would buy it again!", "Good value!")
DISPLEASED = ("It broke!", "Not what I expected!", "Too expensive!", "Arrived late!")

COLORS = ("Red", "Blue", "Green", "Black", "White", "Grey")
SIZES = ("S", "M", "L", "XL", "XXL", "3XL")
