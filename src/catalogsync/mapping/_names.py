"""What columns are called, in several languages: for proposals, never for reading."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["NAMES"]

NAMES: Mapping[str, tuple[str, ...]] = {
    "key": (
        *("handle", "slug", "parent sku", "parent id", "item group id", "group id"),
        *("group", "model", "model number", "style", "style no", "style number"),
        *("product id", "product code", "product number", "id", "sku", "item number"),
        *("article number", "article no", "artikelnummer", "artikel nr", "artikelnr"),
        *("art nr", "bestellnummer", "référence", "reference", "ref", "referencia"),
        *("codice", "codice articolo", "codigo", "código", "artikelnummer leverancier"),
    ),
    "title": (
        *(
            "title",
            "name",
            "product name",
            "product title",
            "item name",
            "article name",
        ),
        *("bezeichnung", "artikelbezeichnung", "produktname", "artikelname", "titel"),
        *("nom", "nom du produit", "désignation", "titre", "libellé", "nombre"),
        *("título", "titolo", "nome", "nome prodotto", "naam", "productnaam", "nazwa"),
        *("label", "short description"),
    ),
    "description": (
        *("description", "body", "body html", "long description", "details", "text"),
        *("beschreibung", "langtext", "artikelbeschreibung", "produktbeschreibung"),
        *("descripción", "descrizione", "omschrijving", "opis"),
    ),
    "brand": (
        *("brand", "vendor", "manufacturer", "brand name", "hersteller", "marke"),
        *("marque", "fabricant", "marca", "fabricante", "merk", "producent"),
    ),
    "subtitle": ("subtitle", "untertitel", "sous titre", "subtítulo", "sottotitolo"),
    "material": ("material", "matériau", "matière", "materiale", "materiaal"),
    "hs_code": (
        *("hs code", "hscode", "harmonized system code", "customs tariff number"),
        *("tariff number", "zolltarifnummer", "warentarifnummer", "code sh"),
    ),
    "origin_country": (
        *("origin country", "country of origin", "coo", "ursprungsland"),
        *("herkunftsland", "pays d'origine", "país de origen", "paese di origine"),
        "land van herkomst",
    ),
    "mid_code": ("mid code", "manufacturer identification code"),
    "discountable": ("discountable",),
    "type": ("item type", "produkttyp", "artikeltyp", "type de produit"),
    "collection": (
        *("collection", "collection title", "collection name", "kollektion"),
        *("colección", "collezione", "collectie"),
    ),
    "status": ("status", "published", "active", "enabled", "aktiv", "online"),
    "categories": (
        *(
            "category",
            "categories",
            "category path",
            "product type",
            "product category",
        ),
        *("kategorie", "kategorien", "warengruppe", "produktgruppe", "catégorie"),
        *("categoría", "categoria", "categorie", "kategoria"),
    ),
    "tags": ("tags", "tag", "keywords", "schlagworte", "stichworte", "mots clés"),
    "images": (
        *("images", "image", "image url", "image urls", "image link", "image src"),
        *("picture", "pictures", "picture url", "photo", "photo url", "bild", "bilder"),
        *("bild url", "bildurl", "bildlink", "imagen", "immagine", "afbeelding"),
        "zdjęcie",
    ),
    "thumbnail": ("thumbnail", "thumbnail url", "thumb", "vorschaubild", "miniatura"),
    "sku": (
        *("sku", "variant sku", "item number", "item no", "stock code", "part number"),
        *("mpn", "article number", "artikelnummer", "artikel nr", "artikelnr"),
        *("référence", "referencia", "codice articolo"),
    ),
    "barcode": (
        *("barcode", "ean", "gtin", "upc", "ean code", "ean13", "gtin13", "isbn"),
        *("variant barcode", "strichcode", "código de barras"),
    ),
    "weight": (
        "weight",
        "gross weight",
        "net weight",
        "gewicht",
        "poids",
        "peso",
        "waga",
    ),
    "length": ("length", "depth", "länge", "laenge", "tiefe", "longueur", "largo"),
    "width": ("width", "breite", "largeur", "ancho", "larghezza", "breedte"),
    "height": ("height", "höhe", "hoehe", "hauteur", "alto", "altezza", "hoogte"),
    "variant_weight": ("variant weight",),
    "variant_length": ("variant length",),
    "variant_width": ("variant width",),
    "variant_height": ("variant height",),
    "price": (
        *("price", "list price", "retail price", "regular price", "unit price", "rrp"),
        *("msrp", "variant price", "sale price", "selling price", "preis", "vk preis"),
        *("verkaufspreis", "listenpreis", "bruttopreis", "nettopreis", "uvp", "vk"),
        *("prix", "prix de vente", "prix ttc", "prix ht", "precio", "prezzo"),
        *("prijs", "cena"),
    ),
    "stock": (
        *("stock", "qty", "quantity", "stock qty", "stock quantity", "inventory"),
        *("inventory quantity", "quantity available", "on hand", "available stock"),
        *("bestand", "lagerbestand", "menge", "verfügbarkeit", "quantité", "cantidad"),
        *("existencias", "giacenza", "quantità", "voorraad", "availability"),
    ),
    "options.Size": ("size", "größe", "groesse", "grösse", "taille", "talla", "taglia"),
    "options.Color": ("color", "colour", "farbe", "couleur", "colore", "kleur"),
}
"""Fields, and names in lower case; those that come first are taken first."""
