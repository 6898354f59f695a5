"""Recognise files that are not plain text, by their names and by their first bytes."""

from __future__ import annotations

PACKED_SUFFIXES = (".gz", ".xz", ".bz2", ".zst")  # the endings of compressed files

_SIGNATURES = {
    b"\x1f\x8b": "is compressed with gzip; decompress it, or use a name that ends in .gz",
    b"\xfd7zXZ\0": "is compressed with xz; decompress it, or use a name that ends in .xz",
    b"BZh": "is compressed with bzip2; decompress it, or use a name that ends in .bz2",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd; decompress it, or use a name that ends in .zst",
    b"PK\x03\x04": "is a ZIP archive (as .xlsx files are); extract it, or export the table as .csv",
    b"PAR1": "is a Parquet file; use a name that ends in .parquet",
}
_UTF_16 = "is encoded in UTF-16; convert it, for example with iconv -f UTF-16 -t UTF-8"


def why_not_text(start: bytes) -> str | None:
    """Return why a file is not UTF-8 text, and what to do about it, or None if it may be text.

    start: The first bytes of the file, at most its first line.
    """
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _UTF_16
    for even, odd in ((start[0:200:2], start[1:200:2]), (start[1:200:2], start[0:200:2])):
        # UTF-16 without a byte order mark: every other byte of Latin letters is 0.
        if len(odd) >= 4 and not any(odd) and 0 not in even:
            return _UTF_16
    for signature, problem in _SIGNATURES.items():
        if start.startswith(signature) and (signature != b"BZh" or start[4:10] == b"1AY&SY"):
            return problem
    return None
